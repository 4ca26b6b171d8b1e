//! Ethernet tunnels over feth(4), bpf(4) and AF_NDRV.
