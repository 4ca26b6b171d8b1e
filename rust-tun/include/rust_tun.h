/* SPDX-License-Identifier: ISC */

/*
 * The C surface of rust-tun: Ethernet tunnels over a pair of feth(4)
 * interfaces, bpf(4) and AF_NDRV, as openbsd-compat/port-net.c uses it.
 */

#ifndef RUST_TUN_H
#define RUST_TUN_H

#include <stddef.h>
#include <stdint.h>

struct sshbuf;

/* Room for any sentence that rust_tun_open_feth() writes, NUL included. */
#define RUST_TUN_ERRMSG_LEN	512

/* IFNAMSIZ on Darwin: room for an interface's name, NUL included. */
#define RUST_TUN_IFNAME_LEN	16

/* An open tunnel. Both descriptors are the caller's, to close separately. */
struct rust_tun {
	int		rfd;		/* bpf(4) device attached to the peer */
	int		wfd;		/* AF_NDRV socket connected to the peer */
	uint32_t	rbuf_len;	/* read(2) of rfd must ask for this many
					   bytes, no more and no less */
	char		ifname[RUST_TUN_IFNAME_LEN]; /* the primary */
};

/*
 * What has passed through the filters of one tunnel. The caller zeroes it
 * before first use; the filters only ever add to it.
 */
struct rust_tun_counts {
	uint64_t	reads;		/* reads given to the infilter */
	uint64_t	in_frames;	/* frames appended to the input */
	uint64_t	in_max;		/* most frames out of one read */
	uint64_t	in_truncated;	/* dropped: cut short by the capture */
	uint64_t	in_runts;	/* dropped: no whole Ethernet header */
	uint64_t	in_malformed;	/* dropped: lengths that contradict
					   themselves or the read */
	uint64_t	in_nobufs;	/* reads dropped: no room in the input */
	uint64_t	out_frames;	/* frames passed on to be written */
	uint64_t	out_runts;	/* dropped: no whole Ethernet header */
	uint64_t	out_toobig;	/* dropped: longer than any feth's */
};

/*
 * Open an Ethernet tunnel on the pair feth<unit> (the primary, which the user
 * configures) and feth<5000 + unit> (the peer, used for I/O only), and bring
 * both up. Descriptors are close-on-exec; the bpf one is in immediate mode
 * and does not see what is written to the other.
 * Returns 0; or -1 with errno set, a sentence in errmsg that names the step,
 * the device and the remedy, and no descriptor left open.
 */
int	rust_tun_open_feth(int unit, struct rust_tun *tun, char *errmsg,
	    size_t errmsg_len);

/*
 * Append every whole Ethernet frame of one read(2) from bpf to "input", each
 * as an SSH string, in one reservation. Any bytes are accepted: what is not
 * a whole frame is dropped and counted.
 */
void	rust_tun_bpf_infilter(struct rust_tun_counts *counts,
	    struct sshbuf *input, const void *buf, size_t len);

/*
 * Decide about one frame from the peer: 1 to write it to wfd as it is,
 * 0 to drop it (counted).
 */
int	rust_tun_bpf_outfilter(struct rust_tun_counts *counts,
	    const void *frame, size_t len);

#endif /* RUST_TUN_H */
