/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * IP in IP (RFC 2003) for kernels without an ipip device: tc programs that put on the wire what tunl0
 * would. They need no configuration: the routes say where packets go. Kernel 6.7 or later (BPF_FIB_LOOKUP_SRC).
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

/* From linux/bpf.h, which a freestanding compiler does not have. */
struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
		ingress_ifindex, ifindex;
};
struct bpf_fib_lookup {
	u8 family, l4_protocol;
	u16 sport, dport, tot_len;
	u32 ifindex, tos, src, src6[3], dst, dst6[3], table, macs[3];
};
struct bpf_redir_neigh {
	u32 family, next_hop, next_hop6[3];
};
struct iphdr {
	u8 version_ihl, tos;
	u16 tot_len, id, frag_off;
	u8 ttl, protocol;
	u16 check;
	u32 saddr, daddr;
};

static long (*skb_store_bytes)(struct __sk_buff *, u32, const void *, u32, u64) = (void *)9;
static u32 (*get_prandom_u32)(void) = (void *)7;
static long (*skb_load_bytes)(const void *, u32, void *, u32) = (void *)26;
static long (*skb_adjust_room)(struct __sk_buff *, int, u32, u64) = (void *)50;
static long (*fib_lookup)(void *, struct bpf_fib_lookup *, int, u32) = (void *)69;
static long (*redirect_neigh)(u32, struct bpf_redir_neigh *, int, u64) = (void *)152;

enum { AF_INET = 2, ETH_HLEN = 14, IPPROTO_IPIP = 4, TC_ACT_OK = 0, TC_ACT_SHOT = 2 };
enum { LOOKUP_OUTPUT = 2, LOOKUP_SKIP_NEIGH = 4, LOOKUP_SRC = 16 };
enum { ROOM_MAC = 1, ROOM_FIXED_GSO = 1, ROOM_ENCAP_L3_IPV4 = 2, ROOM_DECAP_L3_IPV4 = 128 };

#define SECTION(name) __attribute__((section(name), used))
#define ETH_P_IP __builtin_bswap16(0x0800)
#define IP_DF __builtin_bswap16(0x4000)

/* Wrap the packet and send it to the gateway of the block route, which is the peer node. */
static inline __attribute__((always_inline)) int wrap(struct __sk_buff *skb, int perspective)
{
	struct iphdr ip;

	if (skb->protocol != ETH_P_IP || skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return TC_ACT_SHOT;

	/* The block route, `via <peer> dev tunl0`: the lookup leaves the gateway in dst. */
	struct bpf_fib_lookup inner = {
		.family = AF_INET, .ifindex = skb->ifindex, .src = ip.saddr, .dst = ip.daddr,
	};
	if (fib_lookup(skb, &inner, sizeof(inner), perspective | LOOKUP_SKIP_NEIGH))
		return TC_ACT_SHOT;

	/* The way to the peer: uplink, next hop (the peer or a router) and the address to send from. */
	struct bpf_fib_lookup outer = { .family = AF_INET, .ifindex = skb->ifindex, .dst = inner.dst };
	if (fib_lookup(skb, &outer, sizeof(outer), LOOKUP_SKIP_NEIGH | LOOKUP_SRC))
		return TC_ACT_SHOT;

	/* As the kernel's fallback device fills it in (net/ipv4/ip_tunnel.c, ip_tunnel_xmit): TTL and DF
	 * of the inner header, of TOS the congestion bits only.
	 */
	ip.version_ihl = 0x45;
	ip.tos &= 3;
	ip.tot_len = __builtin_bswap16(skb->len - ETH_HLEN + sizeof(ip));
	ip.frag_off &= IP_DF;
	ip.id = ip.frag_off ? 0 : get_prandom_u32();
	ip.protocol = IPPROTO_IPIP;
	ip.check = 0;
	ip.saddr = outer.src;
	ip.daddr = inner.dst;

	const u16 *words = (const u16 *)&ip;
	u32 sum = 0;
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip.check = ~(sum + (sum >> 16));

	/* FIXED_GSO: the segments of a merged packet were cut for tunl0's MTU already. */
	if (skb_adjust_room(skb, sizeof(ip), ROOM_MAC, ROOM_FIXED_GSO | ROOM_ENCAP_L3_IPV4) ||
	    skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0))
		return TC_ACT_SHOT;
	struct bpf_redir_neigh hop = { .family = AF_INET, .next_hop = outer.dst };
	return redirect_neigh(outer.ifindex, &hop, sizeof(hop), 0);
}

/* Egress of tunl0: the short way. Takes packets before the device counts them. */
SECTION("ipip/encap") int encapsulate(struct __sk_buff *skb)
{
	return wrap(skb, LOOKUP_OUTPUT);
}

/* Ingress of tunl0's far end: one hop more, and tunl0 has counted the packet as a real one does. */
SECTION("ipip/encap-counted") int encapsulate_counted(struct __sk_buff *skb)
{
	return wrap(skb, 0);
}

/* Ingress of the uplink: unwrap IP in IP and let the stack route what was inside. */
SECTION("ipip/decap") int decapsulate(struct __sk_buff *skb)
{
	struct iphdr ip;

	if (skb->protocol != ETH_P_IP || skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) ||
	    ip.protocol != IPPROTO_IPIP || ip.version_ihl != 0x45)
		return TC_ACT_OK;
	if (skb_adjust_room(skb, -(int)sizeof(ip), ROOM_MAC, ROOM_FIXED_GSO | ROOM_DECAP_L3_IPV4))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

/* fib_lookup is for programs under a licence compatible with the kernel's. */
const char kernel_license[] SECTION("license") = "Dual BSD/GPL";
