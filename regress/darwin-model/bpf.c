/* SPDX-License-Identifier: ISC */

/*
 * bpf(4): bsd/net/bpf.c of XNU. An AF_PACKET socket (packet(7)) stands behind
 * each descriptor, so that poll(2) works on it.
 *
 * Not modelled, for want of anything that uses it: filters (BIOCSETF), other
 * link types, writing, asynchronous notification. What cannot be modelled
 * without interposing poll(2) too: macOS tells a poller of one packet only in
 * immediate mode, else of a full buffer or the end of BIOCSRTIMEOUT; here it
 * is always told of one packet.
 */

#include <sys/ioctl.h>

#include <linux/if_packet.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

#define HDRLEN		D_BPF_HDRLEN_EN10MB
#define VLAN_HLEN	4		/* a tag, which Linux keeps apart */
#define BATCH		32		/* frames a recvmmsg(2) */
#define MAXFRAME	(65535 + D_ETHER_HDR_LEN + VLAN_HLEN)
#define STRIDE_MAX	(MAXFRAME + 64)
#define ROOM_MIN	65536		/* see set_if() */
#define HOLD_FD		500		/* out of the way of the callers */

/* What a read has gathered so far. */
struct fill {
	uint8_t		*buf;
	size_t		len;
	unsigned int	packets;
	bool		full;		/* the next packet does not fit */
	struct timespec	now;
};

/*
 * Which nodes exist. devfs_make_node() names them bpf0, bpf1, …: four at boot
 * (bpf_init), and one more when the last one is opened, whether it was free or
 * not (bpfopen), up to 256. A node once made stays; here it stays for this
 * process, and for others as long as the minor before it is held.
 */
static unsigned int nodes = D_NBPFILTER;

int
bpf_minor_of(const char *path)
{
	const char *unit;
	unsigned int minor;

	if (path == NULL || strncmp(path, "/dev/bpf", 8) != 0)
		return -1;
	unit = path + 8;
	if (*unit == '\0' || strlen(unit) > 4 ||
	    unit[strspn(unit, "0123456789")] != '\0' ||
	    (unit[0] == '0' && unit[1] != '\0'))
		return -1;
	minor = 0;
	for (; *unit != '\0'; unit++)
		minor = minor * 10 + (*unit - '0');
	return (int)minor;
}

/*
 * One process holds a minor. An abstract unix(7) address belongs to its
 * network namespace, which is our machine, and goes away with its socket.
 * That socket is a second descriptor of whoever holds the minor; it is
 * close-on-exec and has a high number, so that it neither is in the way nor
 * outlives the bpf descriptor in practice.
 * Returns a descriptor or -errno.
 */
static int
hold_minor(unsigned int minor)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, high, n;

	if (minor < faults.bpf_busy)
		return -EBUSY;
	n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
	    "darwin-model/bpf%u", minor);
	fd = real.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	if (real.bind(fd, (struct sockaddr *)&sun,
	    offsetof(struct sockaddr_un, sun_path) + 1 + n) == -1) {
		n = errno == EADDRINUSE ? EBUSY : errno;
		real.close(fd);
		return -n;
	}
	if ((high = fcntl(fd, F_DUPFD_CLOEXEC, HOLD_FD)) != -1) {
		real.close(fd);
		fd = high;
	}
	return fd;
}

static bool
is_held(unsigned int minor)
{
	int fd = hold_minor(minor);

	if (fd >= 0)
		real.close(fd);
	return fd == -EBUSY;
}

static bool
node_exists(unsigned int minor)
{
	if (faults.bpf_none || minor >= D_BPF_MAX_DEVICES ||
	    (faults.bpf_max >= 0 && minor > (unsigned int)faults.bpf_max))
		return false;
	return minor < nodes || is_held(minor) || is_held(minor - 1);
}

int
d_bpf_open(unsigned int minor, int flags)
{
	struct slot *s;
	int fd, hold;

	slot_reap();
	if (!node_exists(minor))
		return -ENOENT;
	if (faults.bpf_eacces || geteuid() != 0)
		return -EACCES;		/* mode 0600, root's */
	if (minor + 1 >= nodes)
		nodes = minor + 2;
	if ((hold = hold_minor(minor)) < 0)
		return hold;
	fd = real.socket(AF_PACKET, SOCK_RAW |
	    (flags & O_CLOEXEC ? SOCK_CLOEXEC : 0) |
	    (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0), 0);
	if (fd == -1) {
		fd = -errno;
		real.close(hold);
		return fd;
	}
	s = slot_new(fd, KIND_BPF);
	s->bpf.minor = minor;
	s->bpf.hold = hold;
	s->bpf.access = flags & O_ACCMODE;
	s->bpf.bufsize = D_BPF_BUFSIZE;
	s->bpf.seesent = true;
	s->bpf.random = 0x9e3779b9;
	return fd;
}

void
bpf_release(struct slot *s)
{
	struct sockaddr_un sun;
	socklen_t len = sizeof(sun);

	free(s->bpf.scratch);
	s->bpf.scratch = NULL;
	/* closed behind our back too, and perhaps its number used again? */
	if (getsockname(s->bpf.hold, (struct sockaddr *)&sun, &len) == 0 &&
	    sun.sun_family == AF_UNIX &&
	    len > offsetof(struct sockaddr_un, sun_path) + 13 &&
	    memcmp(sun.sun_path + 1, "darwin-model/", 13) == 0)
		real.close(s->bpf.hold);
}

/* Receive one frame into scratch, or only look at it. */
static ssize_t
receive(struct slot *s, int flags, struct tpacket_auxdata *aux)
{
	union {
		struct cmsghdr	hdr;
		char		space[CMSG_SPACE(sizeof(*aux))];
	} control;
	struct iovec iov = { s->bpf.scratch, MAXFRAME };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t n;
	int tries;

	/* The first error is that the interface went down, or up again. */
	for (tries = 0; tries < 3; tries++) {
		msg.msg_controllen = sizeof(control);
		n = recvmsg(s->fd, &msg, flags | MSG_DONTWAIT | MSG_TRUNC);
		if (n != -1)
			break;
		if (errno == EAGAIN)
			return -1;
	}
	memset(aux, 0, sizeof(*aux));
	for (c = CMSG_FIRSTHDR(&msg); n != -1 && c != NULL;
	    c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == SOL_PACKET &&
		    c->cmsg_type == PACKET_AUXDATA)
			memcpy(aux, CMSG_DATA(c), sizeof(*aux));
	}
	return n;
}

static void
drain(struct slot *s)
{
	struct tpacket_auxdata aux;

	while (receive(s, 0, &aux) != -1)
		;
}

/* bpfdetach(): what was captured can still be read, then ENXIO. */
static void
detach_if_gone(struct slot *s)
{
	if (s->ifindex != 0 && !link_exists(s->fd, s->ifindex)) {
		log_line("bpf%u detached from %s", s->bpf.minor, s->ifname);
		s->ifindex = 0;
	}
}

static void
set_seesent(struct slot *s)
{
	int ignore = !s->bpf.seesent;

	if (real.setsockopt(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING,
	    &ignore, sizeof(ignore)) == -1)
		model_die("PACKET_IGNORE_OUTGOING: %s", strerrordesc_np(errno));
}

static void
update_stats(struct slot *s)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	/* Linux starts anew each time it is asked */
	if (real.getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &stats,
	    &len) == 0) {
		s->bpf.recv += stats.tp_packets;
		s->bpf.drop += stats.tp_drops;
	}
}

/* bpf_setif(). A second one moves the descriptor to another interface. */
static int
set_if(struct slot *s, const char name[D_IFNAMSIZ])
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
	};
	int on = 1, room;

	if ((sll.sll_ifindex = feth_lookup(s->fd, name)) == 0)
		return -ENXIO;
	if (s->bpf.scratch == NULL &&
	    (s->bpf.scratch = malloc((size_t)BATCH * STRIDE_MAX)) == NULL)
		return -ENOMEM;
	link_offload_off(s->fd, name);
	/*
	 * The kernel has two buffers, one that fills and one that is read,
	 * and drops what fits neither. Linux counts a frame's memory, not its
	 * bytes: a full-sized frame takes half as much again, the smallest
	 * twelve times. Eight times the buffer (SO_RCVBUF is doubled) holds
	 * about two and a half times as many full-sized frames as the kernel
	 * would, and half as many of the smallest. Small buffers are not
	 * worth such care.
	 */
	room = s->bpf.bufsize > INT32_MAX / 8 ? INT32_MAX / 2 :
	    (int)(s->bpf.bufsize * 4);
	if (room < ROOM_MIN)
		room = ROOM_MIN;
	if (real.setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room,
	    sizeof(room)) == -1 ||
	    real.setsockopt(s->fd, SOL_PACKET, PACKET_AUXDATA, &on,
	    sizeof(on)) == -1)
		return -errno;
	set_seesent(s);
	if (real.bind(s->fd, (struct sockaddr *)&sll, sizeof(sll)) == -1)
		return -errno;
	drain(s);
	update_stats(s);
	s->bpf.recv = s->bpf.drop = 0;
	s->ifindex = sll.sll_ifindex;
	memcpy(s->ifname, name, sizeof(s->ifname));
	return 0;
}

const char *
bpf_request_name(uint32_t request)
{
	switch (request) {
	case D_BIOCGBLEN:	return "BIOCGBLEN";
	case D_BIOCSBLEN:	return "BIOCSBLEN";
	case D_BIOCSETF:	return "BIOCSETF";
	case D_BIOCFLUSH:	return "BIOCFLUSH";
	case D_BIOCPROMISC:	return "BIOCPROMISC";
	case D_BIOCGDLT:	return "BIOCGDLT";
	case D_BIOCGETIF:	return "BIOCGETIF";
	case D_BIOCSETIF:	return "BIOCSETIF";
	case D_BIOCSRTIMEOUT:	return "BIOCSRTIMEOUT";
	case D_BIOCGRTIMEOUT:	return "BIOCGRTIMEOUT";
	case D_BIOCGSTATS:	return "BIOCGSTATS";
	case D_BIOCIMMEDIATE:	return "BIOCIMMEDIATE";
	case D_BIOCVERSION:	return "BIOCVERSION";
	case D_BIOCGHDRCMPLT:	return "BIOCGHDRCMPLT";
	case D_BIOCSHDRCMPLT:	return "BIOCSHDRCMPLT";
	case D_BIOCGSEESENT:	return "BIOCGSEESENT";
	case D_BIOCSSEESENT:	return "BIOCSSEESENT";
	case D_FIONBIO:
	case FIONBIO:		return "FIONBIO";
	}
	return "unknown";
}

int
d_bpf_ioctl(struct slot *s, uint32_t request, void *arg)
{
	struct bpf *d = &s->bpf;
	union {
		uint32_t		u;
		struct d_ifreq		ifr;
		struct d_timeval	tv;
		struct d_bpf_stat	stat;
		struct d_bpf_version	version;
	} a = { 0 };
	size_t size = D_IOC_SIZE(request);

	if (request == FIONBIO || request == D_FIONBIO)
		return real.ioctl(s->fd, FIONBIO, arg) == -1 ? -errno : 0;
	if (strcmp(bpf_request_name(request), "unknown") == 0)
		return -EINVAL;
	if (request == D_BIOCSETF)
		model_die("BIOCSETF: the model has no filters");
	if (size > 0) {
		if (arg == NULL)
			return -EFAULT;
		if (request & D_IOC_IN)
			memcpy(&a, arg, size);
	}
	detach_if_gone(s);

	switch (request) {
	case D_BIOCGBLEN:
		a.u = d->bufsize;
		break;
	case D_BIOCSBLEN:
		/*
		 * The cap was debug.bpf_maxbufsize, 512 KiB by default; the
		 * newest kernels have one of many MiB. The stricter is taken.
		 */
		if (s->ifindex != 0)
			return -EINVAL;
		if (a.u > faults.bpf_maxbuf)
			a.u = faults.bpf_maxbuf;
		else if (a.u < D_BPF_MINBUFSIZE)
			a.u = D_BPF_MINBUFSIZE;
		d->bufsize = a.u;
		break;
	case D_BIOCFLUSH:
		if (d->scratch != NULL)
			drain(s);
		update_stats(s);
		d->recv = d->drop = 0;
		break;
	case D_BIOCPROMISC:
		/*
		 * Needs no more: feth passes every frame to bpf
		 * (feth_output_common), whatever its destination.
		 */
		if (s->ifindex == 0)
			return -EINVAL;
		break;
	case D_BIOCGDLT:
		if (s->ifindex == 0)
			return -EINVAL;
		a.u = D_DLT_EN10MB;
		break;
	case D_BIOCGETIF:
		if (s->ifindex == 0)
			return -EINVAL;
		memcpy(a.ifr.name, s->ifname, sizeof(a.ifr.name));
		break;
	case D_BIOCSETIF:
		a.ifr.name[D_IFNAMSIZ - 1] = '\0';
		return set_if(s, a.ifr.name);
	case D_BIOCSRTIMEOUT:
		/* itimerfix(), then ticks of 10 ms */
		if (a.tv.tv_sec < 0 || a.tv.tv_sec > 100000000 ||
		    a.tv.tv_usec < 0 || a.tv.tv_usec >= 1000000)
			return -EINVAL;
		d->timeout = (uint64_t)a.tv.tv_sec * 1000000 + a.tv.tv_usec;
		if (d->timeout != 0 && d->timeout < 10000)
			d->timeout = 10000;
		d->timeout -= d->timeout % 10000;
		break;
	case D_BIOCGRTIMEOUT:
		a.tv.tv_sec = (int64_t)(d->timeout / 1000000);
		a.tv.tv_usec = (int32_t)(d->timeout % 1000000);
		break;
	case D_BIOCGSTATS:
		update_stats(s);
		a.stat.bs_recv = (uint32_t)d->recv;
		a.stat.bs_drop = (uint32_t)d->drop;
		break;
	case D_BIOCIMMEDIATE:
		d->immediate = (uint8_t)a.u != 0;	/* it reads one byte */
		break;
	case D_BIOCVERSION:
		a.version.bv_major = a.version.bv_minor = 1;
		break;
	case D_BIOCGHDRCMPLT:
		a.u = d->hdrcmplt;
		break;
	case D_BIOCSHDRCMPLT:
		d->hdrcmplt = a.u != 0;
		break;
	case D_BIOCGSEESENT:
		a.u = d->seesent;
		break;
	case D_BIOCSSEESENT:
		d->seesent = a.u != 0;
		set_seesent(s);
		break;
	}
	if (request & D_IOC_OUT)
		memcpy(arg, &a, size);
	return 0;
}

/*
 * catchpacket(): a header and as much of the frame as there is room for.
 * avail bytes of the frame's len are at hand. What is between two records is
 * whatever was in the kernel's buffer; so that nobody takes it for zero, it
 * is not.
 */
static void
append(struct slot *s, struct fill *f, const uint8_t *frame, size_t len,
    size_t avail, const struct tpacket_auxdata *aux)
{
	struct d_bpf_hdr hdr = { 0 };
	uint8_t tag[VLAN_HLEN], *p;
	size_t off = D_BPF_WORDALIGN(f->len), caplen, n, head;
	uint16_t tpid = ETH_P_8021Q, tci;

	s->bpf.captured++;
	if ((aux->tp_status & TP_STATUS_VLAN_VALID) && avail >= 12) {
		if (aux->tp_status & TP_STATUS_VLAN_TPID_VALID)
			tpid = aux->tp_vlan_tpid;
		tpid = htons(tpid);
		tci = htons(aux->tp_vlan_tci);
		memcpy(tag, &tpid, 2);
		memcpy(tag + 2, &tci, 2);
		head = 12;
		len += VLAN_HLEN;
		avail += VLAN_HLEN;
	} else
		head = avail;

	caplen = avail;
	if (faults.truncate != 0 && s->bpf.captured % faults.truncate == 0)
		caplen = len > 1 ? len / 2 : len;
	if (faults.runt != 0 && s->bpf.captured % faults.runt == 0)
		caplen = len = 5;
	if (caplen > s->bpf.bufsize - off - HDRLEN)
		caplen = s->bpf.bufsize - off - HDRLEN;
	if (caplen < len)
		s->bpf.cut++;

	hdr.bh_tv_sec = (int32_t)f->now.tv_sec;
	hdr.bh_tv_usec = (int32_t)(f->now.tv_nsec / 1000);
	hdr.bh_caplen = (uint32_t)caplen;
	hdr.bh_datalen = (uint32_t)len;
	hdr.bh_hdrlen = HDRLEN;
	memset(f->buf + f->len, 0xa5, off - f->len);
	memcpy(f->buf + off, &hdr, HDRLEN);

	p = f->buf + off + HDRLEN;
	n = caplen < head ? caplen : head;
	memcpy(p, frame, n);
	if (caplen > head) {
		p += head;
		n = caplen - head < VLAN_HLEN ? caplen - head : VLAN_HLEN;
		memcpy(p, tag, n);
		if (caplen > head + VLAN_HLEN)
			memcpy(p + VLAN_HLEN, frame + head,
			    caplen - head - VLAN_HLEN);
	}
	f->len = off + HDRLEN + caplen;
	f->packets++;
}

static bool
destroyed_now(const struct slot *s)
{
	return faults.destroy != 0 && !s->bpf.destroyed &&
	    s->bpf.captured >= faults.destroy;
}

/*
 * Up to count frames, which certainly fit. Returns how many there were.
 */
static unsigned int
collect_batch(struct slot *s, struct fill *f, unsigned int count,
    size_t maxframe)
{
	struct mmsghdr msgs[BATCH];
	struct iovec iovs[BATCH];
	union {
		struct cmsghdr	hdr;
		char		space[CMSG_SPACE(
				    sizeof(struct tpacket_auxdata))];
	} controls[BATCH];
	struct tpacket_auxdata aux;
	struct cmsghdr *c;
	unsigned int i;
	size_t len;
	int n, tries;

	for (tries = 0; tries < 3; tries++) {
		for (i = 0; i < count; i++) {
			iovs[i].iov_base = s->bpf.scratch + i * maxframe;
			iovs[i].iov_len = maxframe;
			memset(&msgs[i], 0, sizeof(msgs[i]));
			msgs[i].msg_hdr.msg_iov = &iovs[i];
			msgs[i].msg_hdr.msg_iovlen = 1;
			msgs[i].msg_hdr.msg_control = &controls[i];
			msgs[i].msg_hdr.msg_controllen = sizeof(controls[i]);
		}
		n = recvmmsg(s->fd, msgs, count, MSG_DONTWAIT | MSG_TRUNC,
		    NULL);
		if (n != -1 || errno == EAGAIN)
			break;
	}
	if (n <= 0)
		return 0;
	for (i = 0; i < (unsigned int)n; i++) {
		memset(&aux, 0, sizeof(aux));
		for (c = CMSG_FIRSTHDR(&msgs[i].msg_hdr); c != NULL;
		    c = CMSG_NXTHDR(&msgs[i].msg_hdr, c)) {
			if (c->cmsg_level == SOL_PACKET &&
			    c->cmsg_type == PACKET_AUXDATA)
				memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		}
		len = msgs[i].msg_len;
		append(s, f, iovs[i].iov_base, len,
		    len < maxframe ? len : maxframe, &aux);
	}
	return (unsigned int)n;
}

/*
 * Move packets from the socket to the reader's buffer until there are no more
 * or the next does not fit; that one stays where it is, for poll(2) to see.
 */
static void
collect(struct slot *s, struct fill *f)
{
	struct tpacket_auxdata aux;
	size_t off, maxframe, stride;
	unsigned int count;
	ssize_t len;
	int mtu;

	if (link_mtu(s->fd, s->ifname, &mtu) != 0)
		mtu = 65535;
	maxframe = (size_t)mtu + D_ETHER_HDR_LEN;
	stride = D_BPF_WORDALIGN(HDRLEN + maxframe + VLAN_HLEN);
	while (!destroyed_now(s)) {
		off = D_BPF_WORDALIGN(f->len);
		count = off < s->bpf.bufsize ?
		    (unsigned int)((s->bpf.bufsize - off) / stride) : 0;
		if (count > BATCH)
			count = BATCH;
		if (faults.destroy != 0 && !s->bpf.destroyed &&
		    count > faults.destroy - s->bpf.captured)
			count = (unsigned int)(faults.destroy -
			    s->bpf.captured);
		if (count > 0) {
			if (collect_batch(s, f, count, maxframe) < count)
				return;
			continue;
		}
		if ((len = receive(s, MSG_PEEK, &aux)) == -1)
			return;
		if (aux.tp_status & TP_STATUS_VLAN_VALID)
			len += VLAN_HLEN;
		if (f->len > 0 && off + HDRLEN + len > s->bpf.bufsize) {
			f->full = true;
			return;
		}
		if ((len = receive(s, 0, &aux)) == -1)
			return;
		append(s, f, s->bpf.scratch, (size_t)len,
		    (size_t)len < MAXFRAME ? (size_t)len : MAXFRAME, &aux);
	}
}

static bool
has_data(struct slot *s)
{
	struct tpacket_auxdata aux;

	return receive(s, MSG_PEEK, &aux) != -1;
}

static void
scribble(struct slot *s, uint8_t *buf, size_t len)
{
	struct d_bpf_hdr hdr;
	size_t off, i, next;
	uint32_t *x = &s->bpf.random;

	for (off = 0; off + HDRLEN <= len; off = next) {
		memcpy(&hdr, buf + off, HDRLEN);
		next = D_BPF_WORDALIGN(off + HDRLEN + hdr.bh_caplen);
		for (i = 0; i < HDRLEN; i++) {
			*x ^= *x << 13;
			*x ^= *x >> 17;
			*x ^= *x << 5;
			buf[off + i] = (uint8_t)*x;
		}
	}
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Sleep without the lock. Returns poll's result or -errno. */
static int
wait_for_packet(struct slot *s, int64_t deadline)
{
	struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
	uint64_t cookie = s->cookie;
	int64_t left;
	int n, timeout = -1;

	if (deadline != 0) {
		left = deadline - now_us();
		timeout = left <= 0 ? 0 : (int)((left + 999) / 1000);
	}
	slot_unlock();
	n = poll(&pfd, 1, timeout);
	if (n == -1)
		n = -errno;
	slot_lock();
	if (s->kind != KIND_BPF || s->cookie != cookie)
		return -ENXIO;		/* closed meanwhile */
	return n;
}

/*
 * bpfread(). The kernel fills one buffer while the other is read; the reader
 * gets a full one, or what there is: at once if it does not block or is in
 * immediate mode, else when BIOCSRTIMEOUT has passed, nothing included.
 */
ssize_t
d_bpf_read(struct slot *s, void *buf, size_t len, unsigned int *packets)
{
	struct bpf *d = &s->bpf;
	struct fill f = { .buf = buf };
	int64_t deadline = 0;
	bool nonblock;
	int n, r = 0;

	*packets = 0;
	d->reads++;
	if (d->access == O_WRONLY)
		return -EBADF;
	if (len != d->bufsize)
		return -EINVAL;
	if (d->scratch == NULL)
		return -ENXIO;		/* never attached */
	nonblock = (fcntl(s->fd, F_GETFL) & O_NONBLOCK) != 0;

	if (faults.zero_read != 0 && has_data(s) &&
	    ++d->data_reads % faults.zero_read == 0)
		return 0;

	if (d->timeout != 0)
		deadline = now_us() + (int64_t)d->timeout;
	clock_gettime(CLOCK_REALTIME, &f.now);
	for (;;) {
		collect(s, &f);
		if (f.full || destroyed_now(s) ||
		    (f.len > 0 && (d->immediate || nonblock)))
			break;
		detach_if_gone(s);
		if (s->ifindex == 0) {
			if (f.len > 0)
				break;
			return -ENXIO;
		}
		if (nonblock)
			return -EWOULDBLOCK;
		n = wait_for_packet(s, deadline);
		if (n == -ENXIO)
			return n;
		if (n == 0 || n == -EINTR) {
			r = n;
			break;
		}
	}
	if (r == -EINTR && f.len == 0)
		return r;

	if (f.len > 0) {
		if (faults.zero_read == 0)
			d->data_reads++;
		if (faults.garbage != 0 &&
		    d->data_reads % faults.garbage == 0)
			scribble(s, buf, f.len);
	}
	d->packets += f.packets;
	d->bytes += f.len;
	if (f.packets > d->max_packets)
		d->max_packets = f.packets;
	if (destroyed_now(s)) {
		/*
		 * The real thing, for everyone to see; ifconfig(8) would leave
		 * the other end behind, but one end of a veth does not live
		 * alone.
		 */
		d->destroyed = true;
		r = link_delete(s->ifindex);
		log_call(r, "destroy(%s)", s->ifname);
		drain(s);
		detach_if_gone(s);
	}
	*packets = f.packets;
	return (ssize_t)f.len;
}

ssize_t
d_bpf_write(struct slot *s)
{
	if (s->bpf.access == O_RDONLY)
		return -EBADF;
	model_die("write to bpf%u: not modelled", s->bpf.minor);
}

void
bpf_log_totals(struct slot *s, const char *event)
{
	struct bpf *d = &s->bpf;

	if (!s->used_here)
		return;
	update_stats(s);
	log_line("%s fd=%d bpf%u if=%s reads=%llu packets=%llu "
	    "max_packets=%llu bytes=%llu cut=%llu drops=%llu", event, s->fd,
	    d->minor, s->ifname[0] != '\0' ? s->ifname : "-",
	    (unsigned long long)d->reads, (unsigned long long)d->packets,
	    (unsigned long long)d->max_packets, (unsigned long long)d->bytes,
	    (unsigned long long)d->cut, (unsigned long long)d->drop);
}
