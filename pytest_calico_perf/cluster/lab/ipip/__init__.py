"""IP in IP (RFC 2003): by the kernel's device, or by two tc programs that put the same bytes on the wire."""
