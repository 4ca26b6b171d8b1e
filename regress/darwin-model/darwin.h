/* SPDX-License-Identifier: ISC */

/*
 * Darwin's numbers and layouts, as far as the model answers to them: those of
 * a 64-bit process. Written from XNU's headers, each named below, and on
 * purpose not shared with the code under test, so that a wrong number there
 * does not agree with itself.
 */

#ifndef DARWIN_H
#define DARWIN_H

#include <stdint.h>

/* bsd/sys/ioccom.h: direction in the top bits, then size, group and number */
#define D_IOC_VOID		0x20000000u
#define D_IOC_OUT		0x40000000u
#define D_IOC_IN		0x80000000u
#define D_IOC_SIZE(req)		(((req) >> 16) & 0x1fffu)
#define D_IOC_GROUP(req)	(((req) >> 8) & 0xffu)
#define D_IOC(dir, group, num, size) \
	((uint32_t)(dir) | ((uint32_t)(size) << 16) | \
	((uint32_t)(group) << 8) | (uint32_t)(num))
#define D_IO(group, num)	D_IOC(D_IOC_VOID, group, num, 0)
#define D_IOR(group, num, type)	D_IOC(D_IOC_OUT, group, num, sizeof(type))
#define D_IOW(group, num, type)	D_IOC(D_IOC_IN, group, num, sizeof(type))
#define D_IOWR(group, num, type) \
	D_IOC(D_IOC_IN | D_IOC_OUT, group, num, sizeof(type))

/* bsd/net/if.h */
#define D_IFNAMSIZ		16
#define D_IFF_UP		0x1
#define D_IFF_BROADCAST		0x2
#define D_IFF_RUNNING		0x40
#define D_IFF_SIMPLEX		0x800
#define D_IFF_MULTICAST		0x8000

/* No ifr_ before the names: Linux's header has macros of those. */
struct d_ifreq {
	char		name[D_IFNAMSIZ];
	union {
		char		space[16];
		int16_t		flags;
		int32_t		mtu;
	};
};
_Static_assert(sizeof(struct d_ifreq) == 32, "struct ifreq");

struct d_ifdrv {		/* 4-byte packing makes no difference here */
	char		ifd_name[D_IFNAMSIZ];
	uint64_t	ifd_cmd;
	uint64_t	ifd_len;
	void		*ifd_data;
};
_Static_assert(sizeof(struct d_ifdrv) == 40, "struct ifdrv");

/* bsd/sys/sockio.h */
#define D_SIOCSIFFLAGS		D_IOW('i', 16, struct d_ifreq)
#define D_SIOCGIFFLAGS		D_IOWR('i', 17, struct d_ifreq)
#define D_SIOCGIFMTU		D_IOWR('i', 51, struct d_ifreq)
#define D_SIOCSIFMTU		D_IOW('i', 52, struct d_ifreq)
#define D_SIOCIFCREATE		D_IOWR('i', 120, struct d_ifreq)
#define D_SIOCIFDESTROY		D_IOW('i', 121, struct d_ifreq)
#define D_SIOCSDRVSPEC		D_IOW('i', 123, struct d_ifdrv)
#define D_SIOCGDRVSPEC		D_IOWR('i', 123, struct d_ifdrv)

/* bsd/net/if_fake_var.h */
#define D_IF_FAKE_G_CMD_GET_PEER	1

struct d_if_fake_request {
	uint64_t	iffr_reserved[4];
	union {
		char		iffr_buf[128];
		char		iffr_peer_name[D_IFNAMSIZ];
	};
};
_Static_assert(sizeof(struct d_if_fake_request) == 160,
    "struct if_fake_request");

/* bsd/sys/filio.h */
#define D_FIONBIO		D_IOW('f', 126, int32_t)

/* bsd/net/bpf.h */
struct d_bpf_version {
	uint16_t	bv_major;
	uint16_t	bv_minor;
};

struct d_bpf_stat {
	uint32_t	bs_recv;
	uint32_t	bs_drop;
};

struct d_timeval {		/* struct timeval of a 64-bit process */
	int64_t		tv_sec;
	int32_t		tv_usec;
	int32_t		tv_pad;
};

struct d_bpf_program {
	uint32_t	bf_len;
	void		*bf_insns;
};

struct d_bpf_hdr {		/* its timestamp is a timeval32 */
	int32_t		bh_tv_sec;
	int32_t		bh_tv_usec;
	uint32_t	bh_caplen;
	uint32_t	bh_datalen;
	uint16_t	bh_hdrlen;
};
_Static_assert(sizeof(struct d_bpf_hdr) == 20, "struct bpf_hdr");

#define D_BPF_WORDALIGN(x)	(((x) + 3u) & ~3u)
#define D_BPF_MINBUFSIZE	32u
#define D_BPF_MAXBUFSIZE	0x80000u
#define D_BPF_BUFSIZE		4096u	/* bsd/net/bpf.c */
#define D_NBPFILTER		4u	/* nodes at boot */
#define D_BPF_MAX_DEVICES	256u	/* bsd/net/bpf.c */
#define D_DLT_EN10MB		1u
#define D_ETHER_HDR_LEN		14u

/*
 * bpf_attach() in bsd/net/bpf.c: 18 bytes of header, and padding in front of
 * the frame so that what follows the link header is aligned: none is needed
 * for Ethernet, since 18 + 14 = 32.
 */
#define D_BPF_HDRLEN_EN10MB	18u

#define D_BIOCGBLEN		D_IOR('B', 102, uint32_t)
#define D_BIOCSBLEN		D_IOWR('B', 102, uint32_t)
#define D_BIOCSETF		D_IOW('B', 103, struct d_bpf_program)
#define D_BIOCFLUSH		D_IO('B', 104)
#define D_BIOCPROMISC		D_IO('B', 105)
#define D_BIOCGDLT		D_IOR('B', 106, uint32_t)
#define D_BIOCGETIF		D_IOR('B', 107, struct d_ifreq)
#define D_BIOCSETIF		D_IOW('B', 108, struct d_ifreq)
#define D_BIOCSRTIMEOUT		D_IOW('B', 109, struct d_timeval)
#define D_BIOCGRTIMEOUT		D_IOR('B', 110, struct d_timeval)
#define D_BIOCGSTATS		D_IOR('B', 111, struct d_bpf_stat)
#define D_BIOCIMMEDIATE		D_IOW('B', 112, uint32_t)
#define D_BIOCVERSION		D_IOR('B', 113, struct d_bpf_version)
#define D_BIOCGHDRCMPLT		D_IOR('B', 116, uint32_t)
#define D_BIOCSHDRCMPLT		D_IOW('B', 117, uint32_t)
#define D_BIOCGSEESENT		D_IOR('B', 118, uint32_t)
#define D_BIOCSSEESENT		D_IOW('B', 119, uint32_t)

/* bsd/sys/socket.h, bsd/net/ndrv.h, bsd/net/ndrv_var.h */
#define D_AF_NDRV		27
#define D_NDRVSNDQ		8192

struct d_sockaddr_ndrv {
	uint8_t		snd_len;
	uint8_t		snd_family;
	uint8_t		snd_name[D_IFNAMSIZ];
};
_Static_assert(sizeof(struct d_sockaddr_ndrv) == 18, "struct sockaddr_ndrv");

/*
 * sbreserve() in bsd/kern/uipc_socket2.c: kern.ipc.maxsockbuf (8 MiB) times
 * 2048 / (256 + 2048); what is above gets ENOBUFS.
 */
#define D_SOCKBUF_LIMIT		7456540

/* M16KCLBYTES: the largest mbuf cluster, and so feth's largest frame. */
#define D_FETH_MAXFRAME		16384u

#endif /* DARWIN_H */
