"""`kind: kubernetes`: what is read, what it defaults to, and that nothing an API server would refuse gets through."""

from __future__ import annotations

import re
import textwrap
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pytest_calico_perf.clusterfile import (
    Images,
    KubernetesFile,
    Nodes,
    Pools,
    Resources,
    Ssh,
    Timeouts,
    Toleration,
    load,
    parse,
)
from pytest_calico_perf.errors import ClusterFileProblem, UsageProblem
from pytest_calico_perf.model import Mode

CHECKOUT = Path(__file__).parents[2]
LEAST = "kind: kubernetes\nname: mine\n"
SSH = "hosts: ssh\nssh:\n  "


def read(text: str) -> KubernetesFile:
    file = parse(LEAST + textwrap.dedent(text), "clusters/f.yaml")
    assert isinstance(file, KubernetesFile)
    return file


def problem(text: str) -> ClusterFileProblem:
    with pytest.raises(ClusterFileProblem) as caught:
        parse(LEAST + textwrap.dedent(text), "f.yaml")
    assert str(caught.value).isprintable()
    return caught.value


def test_the_least_a_file_says_and_the_defaults():
    file = read("")
    assert (file.kubeconfig, file.context, file.in_cluster) == (None, None, False)
    assert (file.nodes.pair, file.nodes.selector, file.hosts, file.ssh) == (None, "", "pod", None)
    assert (file.images.tools, file.images.web) == ("nicolaka/netshoot:v0.14", "nginx:1.28.0-alpine")
    assert (file.images.pull_policy, file.images.pull_secrets) == ("IfNotPresent", ())
    assert (file.namespace, file.tolerations, file.priority_class) == (None, (), None)
    assert file.resources.manifest() == {}
    assert file.pools.range == IPv4Network("198.19.0.0/16")
    assert (file.pools.prefix, file.pools.block_size, file.pools.nat_outgoing) == (24, 28, True)
    limits = file.timeouts
    assert (limits.request, limits.pods, limits.pools, limits.switch, limits.removal) == (
        30,
        180,
        120,
        180,
        180,
    )


def test_all_fields(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    file = read("""\
        kubeconfig: secrets/admin.conf
        context: arn:aws:eks:eu-central-1:111122223333:cluster/prod
        nodes:
          pair: [node-1.example.com, node-2]
        hosts: ssh
        ssh:
          user: ann@corp
          port: 2222
          key: ~/.ssh/id_ed25519
          agent: false
          known-hosts: /etc/ssh/ssh_known_hosts
          strict: false
          jump: root@bastion_1:22
          config: false
          addresses: {node-2: 192.0.2.7, node-1.example.com: node-1}
        images:
          tools: quay.io/team/tools:1.2
          web: registry:5000/nginx@sha256:30f1c0d78e0ad60901648be663a710bdadf19e4c10ac6782c235200619158284
          pull-policy: Always
          pull-secrets: [login]
          mirrors: {docker.io: mirror.example.com/hub}
        namespace: perf
        tolerations:
          - {key: dedicated, value: perf, effect: NoExecute, toleration-seconds: 60}
          - {operator: Exists}
        resources:
          requests: {cpu: 2, memory: 256Mi}
          limits: {memory: 1Gi}
        priority-class: high
        pools: {range: 10.200.0.0/20, prefix: 26, block-size: 29, nat-outgoing: false}
        timeouts: {request: 5, pods: 7.5, pools: 6, switch: 8, removal: 9}
        defaults: {modes: [ipip, bgp]}
    """)
    assert file.kubeconfig == str(Path("clusters/secrets/admin.conf").absolute())
    assert file.kubeconfig_files == (Path(file.kubeconfig),)
    assert file.context == "arn:aws:eks:eu-central-1:111122223333:cluster/prod"
    assert file.nodes.pair == ("node-1.example.com", "node-2")
    ssh = file.ssh
    assert ssh is not None
    assert (ssh.user, ssh.port, ssh.key, ssh.agent) == (
        "ann@corp",
        2222,
        Path("/home/ann/.ssh/id_ed25519"),
        False,
    )
    assert (ssh.known_hosts, ssh.strict, ssh.config) == (
        Path("/etc/ssh/ssh_known_hosts"),
        False,
        Path("/dev/null"),
    )
    assert ssh.jump == "root@bastion_1:22"
    assert ssh.addresses == {"node-2": "192.0.2.7", "node-1.example.com": "node-1"}
    assert file.images.pull_secrets == ("login",)
    assert [each.manifest() for each in file.tolerations] == [
        {"key": "dedicated", "operator": "Equal", "value": "perf", "effect": "NoExecute", "tolerationSeconds": 60},
        {"operator": "Exists"},
    ]  # fmt: skip
    assert file.resources.manifest() == {
        "requests": {"cpu": "2", "memory": "256Mi"},
        "limits": {"memory": "1Gi"},
    }
    assert (file.pools.range, file.pools.room) == (IPv4Network("10.200.0.0/20"), 64)
    assert (file.timeouts.pods, file.priority_class) == (7.5, "high")


def test_an_empty_ssh_section_leaves_all_to_openssh():
    ssh = read("hosts: ssh\nssh: {}\n").ssh
    assert ssh is not None
    assert {ssh.user, ssh.port, ssh.key, ssh.known_hosts, ssh.jump, ssh.config} == {None}
    assert (ssh.strict, ssh.agent, ssh.addresses) == (True, True, {})


@pytest.mark.parametrize(
    "jump",
    ["bastion", "ann@bastion_1", "bastion.example.com:2222", "CORP\\ann@192.0.2.1:22", "outer, ann@inner:22"],
)
def test_jump_hosts(jump):
    ssh = read(f"hosts: ssh\nssh: {{jump: '{jump}'}}\n").ssh
    assert ssh is not None
    assert ssh.jump == jump


@pytest.mark.parametrize(
    "selector",
    [
        "zone=a",
        "zone == a , !spot",
        "node-role.kubernetes.io/worker",
        "node-role.kubernetes.io/worker=",
        "disk in (ssd, nvme),zone notin (a),tier!=slow",
        "disk in ( ssd , nvme , )",
    ],
)
def test_label_selectors(selector):
    assert read(f"nodes: {{selector: '{selector}'}}\n").nodes.selector == selector


@pytest.mark.parametrize("name", sorted(file.stem for file in (CHECKOUT / "clusters").glob("*.yaml")))
def test_every_example_is_found_by_name_and_read(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = load(name)
    assert file.name == name
    assert file.description
    file.check_modes(file.defaults.modes or ())


def test_examples_show_what_they_are_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    published = load("published-machines")
    assert isinstance(published, KubernetesFile)
    assert published.ssh is not None
    assert set(published.ssh.addresses) == {"master1", "master2", "node2", "node3"}
    assert (published.defaults.profile, published.defaults.modes) == ("article", (Mode.IPIP, Mode.BGP))
    kubeadm = load("kubeadm")
    assert isinstance(kubeadm, KubernetesFile)
    assert kubeadm.hosts == "ssh"
    assert kubeadm.images.for_role("web") == "registry.example.com/docker-hub/library/nginx:1.28.0-alpine"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("kubeconfg: x", "3: kubeconfg", "unknown field, did you mean 'kubeconfig'?"),
        ("kubeconfig: 7", "3: kubeconfig", "should be the path of a file, not 7"),
        ("kubeconfig: ''", "3: kubeconfig", "should be the path of a file, not ''"),
        ("kubeconfig: a:b", "3: kubeconfig", "should be the path of one file, without a colon"),
        ('kubeconfig: "a\\0b"', "3: kubeconfig", "should be the path of a file, not 'a\\x00b'"),
        ("context: 7", "3: context", "should be a word, not 7"),
        ("context: ''", "3: context", "at least 1 character"),
        ("in-cluster: true\ncontext: a", "4: context", "means nothing with in-cluster in line 3"),
        ("kubeconfig: a\nin-cluster: true", "3: kubeconfig", "means nothing with in-cluster in line 4"),
        # its deadlines are in timeouts
        ("ready-within: 400", "3: ready-within", "unknown field (known: "),
        # nodes
        ("nodes:\n  pair: [a, a]", "4: nodes.pair", "client and server must be on different nodes"),
        ("nodes:\n  pair: [a]", "4: nodes.pair[1]", "field is missing"),
        ("nodes:\n  pair: [a, b, c]", "4: nodes.pair", "at most 2"),
        ("nodes:\n  pair: [a, Node_B]", "4: nodes.pair[1]", "small letters, digits, dashes and dots, as Kubernetes names are, not 'Node_B'"),
        ("nodes:\n  pair: [a, '-rf']", "4: nodes.pair[1]", "not '-rf'"),
        ("nodes:\n  pair: [a, '../b']", "4: nodes.pair[1]", "not '../b'"),
        ('nodes:\n  pair: [a, "b\\n"]', "4: nodes.pair[1]", "not 'b\\n'"),
        ("nodes:\n  pair: [a, " + "b" * 64 + "]", "4: nodes.pair[1]", "not 'bbb"),
        ("nodes:\n  pair: [a, " + "b." * 127 + "b]", "4: nodes.pair[1]", "not 'b.b"),
        ("nodes:\n  pair: [a, b]\n  selector: x", "5: nodes.selector", "chooses nodes, but pair in line 4 names them"),
        ("nodes: {selector: 'a=b=c'}", "3: nodes.selector", "should be a label selector such as"),
        ("nodes: {selector: 'a in (b'}", "3: nodes.selector", "not 'a in (b'"),
        ("nodes: {selector: 'a in (" + ",  " * 300 + "'}", "3: nodes.selector", "should be a label selector"),
        ("nodes: {selector: 'a,,b'}", "3: nodes.selector", "not 'a,,b'"),
        ("nodes: {selector: 'a; rm -rf /'}", "3: nodes.selector", "not 'a; rm -rf /'"),
        ("nodes: {selector: 'a>1'}", "3: nodes.selector", "not 'a>1'"),
        ("nodes: {selector: '" + "a=b," * 300 + "c'}", "3: nodes.selector", "at most 1000 characters"),
        # hosts and ssh
        ("hosts: shh", "3: hosts", "'shh' is unknown, did you mean 'ssh'? (known: pod, ssh)"),
        ("hosts: ssh", "3: hosts", "needs an ssh section, if only `ssh: {}`"),
        ("ssh: {user: ann}", "3: ssh", "is for `hosts: ssh`, and hosts is pod"),
        (SSH + "user: '-oProxyCommand=x'", "5: ssh.user", "should be a user's name"),
        (SSH + "user: 'ann lee'", "5: ssh.user", "not 'ann lee'"),
        (SSH + "port: 0", "5: ssh.port", "greater than or equal to 1"),
        (SSH + "port: 65536", "5: ssh.port", "less than or equal to 65535"),
        (SSH + "password: x", "5: ssh.password", "unknown field"),
        (SSH + "config: true", "5: ssh.config", "should be the path of a file, not True"),
        (SSH + "config:", "5: ssh.config", "should be the path of a file, or false"),
        (SSH + "known-hosts: false", "5: ssh.known-hosts", "should be the path of a file, not False"),
        (SSH + "jump: ann@", "5: ssh.jump", "should be a jump host such as"),
        (SSH + "jump: bastion:99999", "5: ssh.jump", "should have a port of 1 to 65535"),
        (SSH + "jump: bastion:x", "5: ssh.jump", "not 'bastion:x'"),
        (SSH + "jump: 'a b'", "5: ssh.jump", "not 'a b'"),
        (SSH + "jump: '@bastion'", "5: ssh.jump", "not '@bastion'"),
        (SSH + "jump: '2001:db8::1'", "5: ssh.jump", "not '2001:db8::1'"),
        (SSH + "jump: '[bastion]'", "5: ssh.jump", "not '[bastion]'"),
        (SSH + "jump: a,,b", "5: ssh.jump", "not 'a,,b'"),
        (SSH + "jump: 'a`id`'", "5: ssh.jump", "not 'a`id`'"),
        (SSH + "jump: '$(id)@a'", "5: ssh.jump", "not '$(id)@a'"),
        (SSH + "user: 'a;id'", "5: ssh.user", "not 'a;id'"),
        (SSH + "jump: '-oProxyCommand=x'", "5: ssh.jump", "not '-oProxy"),
        (SSH + "addresses: {Node: a}", "5: ssh.addresses.Node", "as Kubernetes names are, not 'Node'"),
        (SSH + "addresses: {node: 192.0.2.300}", "5: ssh.addresses.node", "should be a host's name or address"),
        (SSH + "addresses: {node: '-v'}", "5: ssh.addresses.node", "not '-v'"),
        (SSH + "addresses: {node: 'a;b'}", "5: ssh.addresses.node", "not 'a;b'"),
        (SSH + "addresses: {node: 198.19.3.4}", "5: ssh.addresses.node", "198.19.3.4 is inside pools.range 198.19.0.0/16"),
        # images
        ("images: {tools: 'a b'}", "3: images.tools", "should be an image such as"),
        ("images: {tools: Nginx}", "3: images.tools", "not 'Nginx'"),
        ("images: {tools: 'nginx:'}", "3: images.tools", "not 'nginx:'"),
        ("images: {tools: 'https://quay.io/a'}", "3: images.tools", "not 'https://quay.io/a'"),
        ("images: {tools: 'nginx@sha256:12'}", "3: images.tools", "not 'nginx@sha256:12'"),
        ("images: {tools: " + "a." * 300 + "a/b}", "3: images.tools", "should be an image such as"),
        ("images: {pull-policy: always}", "3: images.pull-policy", "did you mean 'Always'? (known: IfNotPresent, Always, Never)"),
        ("images: {pull-secrets: [a]}", "3: images.pull-secrets", "name the existing one they are in under namespace"),
        ("images: {pull-secrets: [A]}\nnamespace: b", "3: images.pull-secrets[0]", "not 'A'"),
        ("images: {mirrors: {nicolaka: a.b}}", "3: images.mirrors.nicolaka", "should begin with a registry"),
        ("images: {mirrors: {docker.io: mirror}}", "3: images.mirrors.docker.io", "should begin with a registry"),
        ("images: {mirrors: {docker.io/: a.b}}", "3: images.mirrors.docker.io/", "should begin with a registry"),
        ("images: {mirrors: {docker.io: 'a.b/c:1'}}", "3: images.mirrors.docker.io", "should begin with a registry"),
        # the pods
        ("namespace: a.b", "3: namespace", "should be at most 63 small letters, digits and dashes"),
        ("namespace: kube-system", "3: namespace", "belongs to Kubernetes itself"),
        ("priority-class: High!", "3: priority-class", "not 'High!'"),
        ("tolerations: [{value: a}]", "3: tolerations[0].key", "is needed unless the operator is Exists"),
        ("tolerations: [{key: a, operator: Exists, value: b}]", "3: tolerations[0].value", "means nothing to the operator Exists"),
        ("tolerations: [{key: a, toleration-seconds: 3}]", "3: tolerations[0].toleration-seconds", "NoExecute only"),
        ("tolerations: [{key: a, effect: NoShedule}]", "3: tolerations[0].effect", "did you mean 'NoSchedule'?"),
        ("tolerations: [{key: 'a b'}]", "3: tolerations[0].key", "not 'a b'"),
        ("tolerations: [{key: a, value: 'b c'}]", "3: tolerations[0].value", "not 'b c'"),
        ("tolerations: {key: a}", "3: tolerations", "should be a list"),
        ("resources: {requests: {cpu: much}}", "3: resources.requests.cpu", "should be a quantity such as 500m or 256Mi"),
        ("resources: {requests: {cpu: true}}", "3: resources.requests.cpu", "not True"),
        ("resources: {requests: {cpu: -1}}", "3: resources.requests.cpu", "not -1"),
        ("resources: {requests: {cpu: .inf}}", "3: resources.requests.cpu", "not inf"),
        ("resources:\n  requests: {memory: 1Gi}\n  limits: {memory: 1G}", "4: resources.requests.memory", "1Gi is more than the limit, 1G in line 5"),
        # pools and time
        ("pools: {range: 198.18.0.0/14}", "3: pools.range", "has host bits set"),
        ("pools: {range: 8.8.8.0/24}", "3: pools.range", "8.8.8.0/24 holds addresses of the Internet: choose it from 198.18.0.0/15, 10.0.0.0/8"),
        ("pools: {range: '2001:db8::/32'}", "3: pools.range", "2001:db8::"),
        ("pools: {range: 10.0.0.0/25}", "3: pools.prefix", "a pool of /24 does not fit into 10.0.0.0/25"),
        ("pools: {prefix: 28}", "3: pools.block-size", "a pool of /28 has no room for blocks of /28 on two nodes"),
        ("pools: {block-size: 19}", "3: pools.block-size", "greater than or equal to 20"),
        ("pools: {block-size: 33}", "3: pools.block-size", "less than or equal to 32"),
        ("pools:\n  range: 10.0.0.0/24\ndefaults: {modes: [bgp, ipip]}", "4: pools.range", "has room for 1 pools of /24, not for 2, as many as defaults.modes in line 5 needs"),
        ("timeouts: {request: 0}", "3: timeouts.request", "greater than 0"),
        ("timeouts: {pods: 3601}", "3: timeouts.pods", "less than or equal to 3600"),
        ("timeouts: {pod: 3}", "3: timeouts.pod", "did you mean 'pods'?"),
        ("defaults: {modes: [bpg]}", "3: defaults.modes[0]", "did you mean 'bgp'?"),
    ],
)  # fmt: skip
def test_mistakes(text, where, words):
    found = problem(text + "\n")
    assert found.where == f"f.yaml:{where}"
    assert words in str(found)


def test_more_modes_than_pools_have_room_for():
    file = read("pools: {range: 10.0.0.0/23}\n")
    file.check_modes([Mode.BGP, Mode.IPIP, Mode.CURRENT])
    with pytest.raises(
        UsageProblem,
        match=r"f\.yaml: cluster mine: 10\.0\.0\.0/23 has room for 2 pools of /24, not for 3; widen",
    ):
        file.check_modes([Mode.BGP, Mode.IPIP, Mode.VXLAN])  # fmt: skip


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    _ANYTHING, st.sampled_from(sorted(field.alias or "" for field in KubernetesFile.model_fields.values()))
)
def test_no_value_of_a_field_ends_in_a_traceback(value, field):
    document = {"kind": "kubernetes", "name": "mine", field: value}
    try:
        parse(yaml.safe_dump(document), "f.yaml")
    except ClusterFileProblem as found:
        assert found.where.startswith("f.yaml:")
        assert str(found).isprintable()


@given(
    _ANYTHING,
    st.sampled_from(["user", "port", "key", "known-hosts", "jump", "config", "addresses", "strict", "agent"]),
)
def test_no_value_of_the_ssh_section_ends_in_a_traceback(value, field):
    try:
        parse(
            yaml.safe_dump({"kind": "kubernetes", "name": "a", "hosts": "ssh", "ssh": {field: value}}),
            "f.yaml",
        )
    except ClusterFileProblem as found:
        assert str(found).isprintable()


def test_every_field_is_explained():
    page = (CHECKOUT / "docs" / "cluster-file.md").read_text()
    sections: dict[str, type[BaseModel]] = {
        "": KubernetesFile,
        "nodes.": Nodes,
        "images.": Images,
        "resources.": Resources,
        "pools.": Pools,
        "timeouts.": Timeouts,
    }
    fields = [
        prefix + str(field.alias)
        for prefix, model in sections.items()
        for field in model.model_fields.values()
    ]
    fields += [str(field.alias) for model in (Ssh, Toleration) for field in model.model_fields.values()]
    whole = {section.rstrip(".") for section in sections}
    assert [field for field in fields if field not in whole and f"`{field}`" not in page] == []


def test_every_example_on_the_page_is_read():
    page = (CHECKOUT / "docs" / "cluster-file.md").read_text()
    kubernetes = page[page.index("## `kind: kubernetes`") :]
    blocks = re.findall(r"```yaml\n(.*?)```", kubernetes, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        parse(block if "kind:" in block else LEAST + block, "page.yaml")


def test_the_pages_mirrors_do_what_it_says():
    images = read(
        "images: {mirrors: {docker.io: registry.example.com/hub, docker.io/library: mirror.example.com}}\n"
    ).images
    page = (CHECKOUT / "docs" / "cluster-file.md").read_text()
    assert f"# {images.for_role('tools')}\n" in page
    assert f"# {images.for_role('web')}\n" in page
