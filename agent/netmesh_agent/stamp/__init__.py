"""STAMP (RFC 8762, RFC 8972): latency that is the network's, by the kernel's time stamps at both ends."""
