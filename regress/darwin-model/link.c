/* SPDX-License-Identifier: ISC */

/*
 * What stands for macOS's interfaces: Linux's. netdevice(7), rtnetlink(7) and
 * the old ethtool ioctls.
 */

#include <sys/ioctl.h>

#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

/* ifr is all zero but for the argument. */
static int
request(int fd, unsigned long number, const char *name, struct ifreq *ifr)
{
	int saved = errno, r;

	memcpy(ifr->ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	r = real.ioctl(fd, number, ifr) == -1 ? -errno : 0;
	errno = saved;
	return r;
}

int
link_index(int fd, const char *name)
{
	struct ifreq ifr = { 0 };

	return request(fd, SIOCGIFINDEX, name, &ifr) == 0 ?
	    ifr.ifr_ifindex : 0;
}

bool
link_exists(int fd, int ifindex)
{
	struct ifreq ifr = { .ifr_ifindex = ifindex };
	int saved = errno;
	bool r;

	r = real.ioctl(fd, SIOCGIFNAME, &ifr) == 0;
	errno = saved;
	return r;
}

int
link_flags(int fd, const char *name, int *flags)
{
	struct ifreq ifr = { 0 };
	int r;

	if ((r = request(fd, SIOCGIFFLAGS, name, &ifr)) == 0)
		*flags = (unsigned short)ifr.ifr_flags;
	return r;
}

int
link_set_up(int fd, const char *name, bool up)
{
	struct ifreq ifr = { 0 };
	int flags, r;

	if ((r = link_flags(fd, name, &flags)) != 0)
		return r;
	ifr.ifr_flags = (short)(up ? flags | IFF_UP : flags & ~IFF_UP);
	return request(fd, SIOCSIFFLAGS, name, &ifr);
}

int
link_mtu(int fd, const char *name, int *mtu)
{
	struct ifreq ifr = { 0 };
	int r;

	if ((r = request(fd, SIOCGIFMTU, name, &ifr)) == 0)
		*mtu = ifr.ifr_mtu;
	return r;
}

struct netlink_request {
	struct nlmsghdr		h;
	struct ifinfomsg	ifi;
};

/* One request and its answer. Returns the answer's length or -errno. */
static ssize_t
netlink(struct netlink_request *req, void *answer, size_t len)
{
	int fd;
	ssize_t n;

	req->h.nlmsg_len = sizeof(*req);
	req->h.nlmsg_seq = 1;
	fd = real.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd == -1)
		return -errno;
	if (send(fd, req, sizeof(*req), 0) == -1 ||
	    (n = recv(fd, answer, len, 0)) == -1)
		n = -errno;
	real.close(fd);
	return n;
}

/*
 * The other end of a veth pair: 0 and its name, or an empty name when there
 * is none in this network namespace.
 */
int
link_peer(int ifindex, char name[D_IFNAMSIZ])
{
	struct netlink_request req = {
		.h = { .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST },
		.ifi = { .ifi_index = ifindex },
	};
	_Alignas(struct nlmsghdr) char answer[16384];
	struct nlmsghdr *h = (struct nlmsghdr *)answer;
	struct rtattr *rta;
	int rtalen, link = 0, saved = errno;
	ssize_t n;
	char found[IF_NAMESIZE];

	memset(name, 0, D_IFNAMSIZ);
	if ((n = netlink(&req, answer, sizeof(answer))) < 0)
		return (int)n;
	if (!NLMSG_OK(h, (size_t)n) || h->nlmsg_type != RTM_NEWLINK)
		return -ENXIO;
	rtalen = IFLA_PAYLOAD(h);
	for (rta = IFLA_RTA(NLMSG_DATA(h)); RTA_OK(rta, rtalen);
	    rta = RTA_NEXT(rta, rtalen)) {
		if (rta->rta_type == IFLA_LINK)
			memcpy(&link, RTA_DATA(rta), sizeof(link));
		else if (rta->rta_type == IFLA_LINK_NETNSID)
			goto out;	/* not our number, then */
	}
	if (link > 0 && link != ifindex && if_indextoname(link, found) != NULL)
		memcpy(name, found, D_IFNAMSIZ);
out:
	errno = saved;
	return 0;
}

int
link_delete(int ifindex)
{
	struct netlink_request req = {
		.h = { .nlmsg_type = RTM_DELLINK,
		    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.ifi = { .ifi_index = ifindex },
	};
	_Alignas(struct nlmsghdr) char answer[1024];
	struct nlmsghdr *h = (struct nlmsghdr *)answer;
	ssize_t n;

	if ((n = netlink(&req, answer, sizeof(answer))) < 0)
		return (int)n;
	if (!NLMSG_OK(h, (size_t)n) || h->nlmsg_type != NLMSG_ERROR)
		return -EIO;
	return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static void
checksum_off(int fd, const char *name)
{
	struct ethtool_value v = { .cmd = ETHTOOL_STXCSUM };
	struct ifreq ifr = { .ifr_data = (void *)&v };
	int r;

	r = request(fd, SIOCETHTOOL, name, &ifr);
	if (r != 0 && r != -EOPNOTSUPP)
		log_call(r, "ETHTOOL_STXCSUM(%s)", name);
}

/*
 * feth has no offloads: frames carry their checksums and are no larger than
 * the MTU. veth passes packets on with neither summed nor cut until it is
 * told otherwise, on both ends. Without checksum offload there is no
 * segmentation offload either.
 */
void
link_offload_off(int fd, const char *name)
{
	char peer[D_IFNAMSIZ];

	checksum_off(fd, name);
	if (link_peer(link_index(fd, name), peer) == 0 && peer[0] != '\0')
		checksum_off(fd, peer);
}
