/* SPDX-License-Identifier: ISC */

/*
 * feth(4): the interface ioctls that concern it, as ifioctl() in bsd/net/if.c
 * and feth_ioctl() in bsd/net/if_fake.c answer them. A veth pair plays the
 * pair, each end under its macOS name. There are no interfaces but feth: any
 * other name is unknown.
 */

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

int
feth_lookup(int fd, const char *name)
{
	const char *unit = name + 4;

	/* the name as the kernel writes it: no leading zeros */
	if (faults.no_feth || strncmp(name, "feth", 4) != 0 ||
	    *unit == '\0' || unit[strspn(unit, "0123456789")] != '\0' ||
	    (unit[0] == '0' && unit[1] != '\0'))
		return 0;
	return link_index(fd, name);
}

const char *
feth_request_name(uint32_t request)
{
	switch (request) {
	case D_SIOCSIFFLAGS:	return "SIOCSIFFLAGS";
	case D_SIOCGIFFLAGS:	return "SIOCGIFFLAGS";
	case D_SIOCGIFMTU:	return "SIOCGIFMTU";
	case D_SIOCSIFMTU:	return "SIOCSIFMTU";
	case D_SIOCIFCREATE:	return "SIOCIFCREATE";
	case D_SIOCIFDESTROY:	return "SIOCIFDESTROY";
	case D_SIOCSDRVSPEC:	return "SIOCSDRVSPEC";
	case D_SIOCGDRVSPEC:	return "SIOCGDRVSPEC";
	}
	return NULL;
}

bool
feth_is_request(uint32_t request)
{
	return feth_request_name(request) != NULL;
}

/*
 * feth_get_drvspec(): the length is only a lower bound, and iffr_reserved is
 * not looked at.
 */
static int
get_drvspec(int ifindex, const struct d_ifdrv *ifd)
{
	struct d_if_fake_request iffr = { 0 };
	char peer[D_IFNAMSIZ];
	int r;

	if ((uint32_t)ifd->ifd_cmd != D_IF_FAKE_G_CMD_GET_PEER)
		return -EOPNOTSUPP;
	if ((uint32_t)ifd->ifd_len < sizeof(iffr))
		return -EINVAL;
	if ((r = link_peer(ifindex, peer)) != 0)
		return r;
	/* the peer of a feth is a feth */
	if (strncmp(peer, "feth", 4) == 0)
		memcpy(iffr.iffr_peer_name, peer, sizeof(peer));
	if (ifd->ifd_data == NULL)
		return -EFAULT;
	memcpy(ifd->ifd_data, &iffr, sizeof(iffr));
	return 0;
}

/*
 * Darwin's flags of a feth. RUNNING follows UP (feth_ioctl, SIOCSIFFLAGS);
 * Linux's means carrier.
 */
static int16_t
darwin_flags(int flags)
{
	int d = D_IFF_BROADCAST | D_IFF_SIMPLEX | D_IFF_MULTICAST;

	if (flags & IFF_UP)
		d |= D_IFF_UP | D_IFF_RUNNING;
	return (int16_t)d;
}

int
d_feth_ioctl(int fd, uint32_t request, void *arg)
{
	struct d_ifreq ifr;
	struct d_ifdrv ifd;
	char name[D_IFNAMSIZ];
	int ifindex, flags, mtu, r;

	if (arg == NULL)
		return -EFAULT;
	switch (request) {
	case D_SIOCSIFFLAGS:
	case D_SIOCGIFFLAGS:
	case D_SIOCGIFMTU:
		memcpy(&ifr, arg, sizeof(ifr));
		memcpy(name, ifr.name, sizeof(name));
		break;
	case D_SIOCGDRVSPEC:
		memcpy(&ifd, arg, sizeof(ifd));
		memcpy(name, ifd.ifd_name, sizeof(name));
		break;
	default:
		/* macOS has these, the model has not yet */
		return -EOPNOTSUPP;
	}
	name[D_IFNAMSIZ - 1] = '\0';
	if ((ifindex = feth_lookup(fd, name)) == 0)
		return -ENXIO;

	switch (request) {
	case D_SIOCGDRVSPEC:
		return get_drvspec(ifindex, &ifd);
	case D_SIOCSIFFLAGS:
		if (geteuid() != 0)
			return -EPERM;
		return link_set_up(fd, name,
		    (ifr.flags & D_IFF_UP) != 0);
	case D_SIOCGIFFLAGS:
		if ((r = link_flags(fd, name, &flags)) != 0)
			return r;
		ifr.flags = darwin_flags(flags);
		break;
	case D_SIOCGIFMTU:
		if ((r = link_mtu(fd, name, &mtu)) != 0)
			return r;
		ifr.mtu = mtu;
		break;
	}
	memcpy(arg, &ifr, sizeof(ifr));
	return 0;
}
