/* SPDX-License-Identifier: ISC */

/*
 * AF_NDRV: bsd/net/ndrv.c of XNU, and what the socket layer above it adds
 * (bsd/kern/uipc_socket.c, uipc_syscalls.c). An AF_PACKET socket (packet(7))
 * that receives nothing stands behind each: nor does an AF_NDRV socket that
 * has asked for no protocol with NDRV_SETDMXSPEC, which is not modelled.
 */

#include <linux/if_packet.h>

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

/*
 * The type must be SOCK_RAW and nothing else: Darwin's socket(2) has no
 * SOCK_CLOEXEC or SOCK_NONBLOCK. Any protocol will do: pffindproto() takes
 * protocol 0 of a raw domain for a wildcard.
 */
int
d_ndrv_socket(int type, int protocol)
{
	struct slot *s;
	int fd;

	(void)protocol;
	if (type != SOCK_RAW)
		return -EPROTONOSUPPORT;
	if (faults.ndrv_eperm || geteuid() != 0)
		return -EPERM;
	if ((fd = real.socket(AF_PACKET, SOCK_RAW, 0)) == -1)
		return -errno;
	s = slot_new(fd, KIND_NDRV);
	s->ndrv.sndbuf = D_NDRVSNDQ;
	return fd;
}

/*
 * getsockaddr(): the kernel puts the length it was called with in the place
 * of sa_len, whatever was there. ndrv.c does not look at the family either.
 */
static int
get_sockaddr(const void *addr, socklen_t len, struct d_sockaddr_ndrv *sa)
{
	if (addr == NULL)
		return -EDESTADDRREQ;
	if (len > 255)
		return -ENAMETOOLONG;
	if (len < 2)
		return -EINVAL;
	memset(sa, 0, sizeof(*sa));
	memcpy(sa, addr, len < sizeof(*sa) ? len : sizeof(*sa));
	sa->snd_len = (uint8_t)len;
	return 0;
}

/*
 * ndrv_bind(). The address is kept before it is looked at, so that a bind
 * which fails leaves a socket that cannot be bound any more.
 */
int
d_ndrv_bind(struct slot *s, const void *addr, socklen_t len)
{
	struct d_sockaddr_ndrv sa;
	struct sockaddr_ll sll = { .sll_family = AF_PACKET };
	char name[D_IFNAMSIZ + 1] = "";
	int r;

	if ((r = get_sockaddr(addr, len, &sa)) != 0)
		return r;
	if (s->ndrv.has_laddr)
		return -EINVAL;
	s->ndrv.has_laddr = true;
	if (sa.snd_name[0] == '\0')
		return -EINVAL;
	memcpy(name, sa.snd_name, D_IFNAMSIZ);
	if ((sll.sll_ifindex = feth_lookup(s->fd, name)) == 0)
		return -EADDRNOTAVAIL;
	link_offload_off(s->fd, name);
	if (real.bind(s->fd, (struct sockaddr *)&sll, sizeof(sll)) == -1)
		return -errno;
	s->ifindex = sll.sll_ifindex;
	memcpy(s->ifname, name, sizeof(s->ifname));
	return 0;
}

/*
 * soconnectlock(), ndrv_connect(). Where the protocol needs no connection the
 * socket layer disconnects a connected socket first, and soisdisconnected()
 * shuts it down for good: a second connect succeeds, and ends the socket's
 * use. (EISCONN of ndrv_connect() is what nobody gets to see.)
 */
int
d_ndrv_connect(struct slot *s, const void *addr, socklen_t len)
{
	struct d_sockaddr_ndrv sa;
	int r;

	if ((r = get_sockaddr(addr, len, &sa)) != 0)
		return r;
	if (s->ndrv.connected) {
		s->ndrv.connected = false;
		s->ndrv.cantsend = true;
	}
	if (sa.snd_len < sizeof(sa))
		return -EINVAL;
	s->ndrv.connected = true;
	return 0;
}

int
d_ndrv_setsockopt(struct slot *s, int level, int name, const void *val,
    socklen_t len)
{
	int v;

	if (level != SOL_SOCKET || name != SO_SNDBUF)
		return real.setsockopt(s->fd, level, name, val, len) == -1 ?
		    -errno : 0;
	if (val == NULL || len < sizeof(v))
		return -EINVAL;
	memcpy(&v, val, sizeof(v));
	if (v < 1)
		return -EINVAL;
	if (v > D_SOCKBUF_LIMIT)
		return -ENOBUFS;
	s->ndrv.sndbuf = v;
	return 0;
}

int
d_ndrv_getsockopt(struct slot *s, int level, int name, void *val,
    socklen_t *len)
{
	if (level != SOL_SOCKET || name != SO_SNDBUF)
		return real.getsockopt(s->fd, level, name, val, len) == -1 ?
		    -errno : 0;
	if (val == NULL || len == NULL)
		return -EFAULT;
	if (*len > sizeof(s->ndrv.sndbuf))
		*len = sizeof(s->ndrv.sndbuf);
	memcpy(val, &s->ndrv.sndbuf, *len);
	return 0;
}

/* ndrv_handle_ifp_detach(): the interface is gone, and so is the sending. */
static bool
detach_if_gone(struct slot *s)
{
	if (s->ifindex != 0 && !link_exists(s->fd, s->ifindex)) {
		log_line("ndrv %d detached from %s", s->fd, s->ifname);
		s->ifindex = 0;
		s->ndrv.cantsend = true;
	}
	return s->ndrv.cantsend;
}

static int
broken_pipe(void)
{
	slot_unlock();		/* a handler may do as it likes */
	raise(SIGPIPE);
	slot_lock();
	return -EPIPE;
}

/*
 * ifnet_output_raw(), feth_start(). Nothing on the way looks at the MTU, nor
 * at whether there is an Ethernet header at all: feth takes 14 bytes off a
 * shorter frame as well. What comes of that is not modelled; it is counted,
 * as what must not happen. Linux does look at the MTU, so larger frames are
 * counted and do not arrive.
 * A frame of more than 16384 bytes, which feth cannot copy, stays at the head
 * of its queue for ever: no frame passes any more.
 */
static int
output(struct slot *s, const void *buf, size_t len)
{
	int flags, mtu;

	if (s->ifindex == 0)
		return -EINVAL;
	if (link_flags(s->fd, s->ifname, &flags) != 0 ||
	    link_mtu(s->fd, s->ifname, &mtu) != 0)
		return detach_if_gone(s) ? broken_pipe() : -ENXIO;
	if ((flags & IFF_UP) == 0)
		return -ENETDOWN;
	if (len < D_ETHER_HDR_LEN) {
		s->ndrv.runts++;
		return 0;
	}
	if (len > D_FETH_MAXFRAME)
		s->ndrv.jammed = true;
	if (s->ndrv.jammed)
		return 0;
	if (real.write(s->fd, buf, len) != -1)
		return 0;
	switch (errno) {
	case EMSGSIZE:
		s->ndrv.oversize++;
		return 0;
	case EAGAIN:
		return -ENOBUFS;
	}
	return detach_if_gone(s) ? broken_pipe() : -errno;
}

/* sosend(), sosendcheck(), ndrv_send(). */
ssize_t
d_ndrv_write(struct slot *s, const void *buf, size_t len)
{
	struct ndrv *np = &s->ndrv;
	int r;

	np->writes++;
	if (np->cantsend)
		r = broken_pipe();
	else if (!np->connected)
		r = -EDESTADDRREQ;
	else if (len > (size_t)np->sndbuf)
		r = -EMSGSIZE;
	else if (faults.write_enobufs != 0 &&
	    np->writes % faults.write_enobufs == 0)
		r = -ENOBUFS;
	else
		r = output(s, buf, len);
	if (r != 0) {
		np->errors++;
		return r;
	}
	np->bytes += len;
	return (ssize_t)len;
}

/* soreceive(): nothing ever comes; end of file once it cannot. */
ssize_t
d_ndrv_read(struct slot *s, void *buf, size_t len)
{
	ssize_t n;
	int fd = s->fd;

	if (detach_if_gone(s))
		return 0;
	slot_unlock();
	n = real.read(fd, buf, len);
	if (n == -1)
		n = -errno;
	slot_lock();
	return n;
}

void
ndrv_log_totals(struct slot *s, const char *event)
{
	struct ndrv *np = &s->ndrv;

	if (!s->used_here)
		return;
	log_line("%s fd=%d ndrv if=%s writes=%llu bytes=%llu errors=%llu "
	    "runts=%llu oversize=%llu jammed=%d", event, s->fd,
	    s->ifname[0] != '\0' ? s->ifname : "-",
	    (unsigned long long)np->writes, (unsigned long long)np->bytes,
	    (unsigned long long)np->errors, (unsigned long long)np->runts,
	    (unsigned long long)np->oversize, np->jammed);
}
