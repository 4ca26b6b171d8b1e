/* SPDX-License-Identifier: ISC */

/*
 * What the platform's own headers say of everything in the abi module that they
 * have. The macros become variables, which bindgen can read whatever they are
 * made of.
 */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <net/bpf.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/ndrv.h>

#define VALUE(name)	static const unsigned long VALUE_##name = (name)

/* sys/ioccom.h */
VALUE(IOCPARM_MASK);
VALUE(IOC_VOID);
VALUE(IOC_OUT);
VALUE(IOC_IN);

/* net/bpf.h */
VALUE(BIOCSBLEN);
VALUE(BIOCPROMISC);
VALUE(BIOCGDLT);
VALUE(BIOCSETIF);
VALUE(BIOCIMMEDIATE);
VALUE(BIOCSSEESENT);
VALUE(DLT_EN10MB);
VALUE(BPF_ALIGNMENT);
static const unsigned long VALUE_BPF_WORDALIGN_0 = BPF_WORDALIGN(0);
static const unsigned long VALUE_BPF_WORDALIGN_1 = BPF_WORDALIGN(1);
static const unsigned long VALUE_BPF_WORDALIGN_4 = BPF_WORDALIGN(4);
static const unsigned long VALUE_BPF_WORDALIGN_5 = BPF_WORDALIGN(5);

/* net/ethernet.h, sys/socket.h */
VALUE(ETHER_HDR_LEN);
VALUE(AF_NDRV);

/* net/if.h, sys/sockio.h */
VALUE(IFNAMSIZ);
VALUE(IFF_UP);
VALUE(SIOCSIFFLAGS);
VALUE(SIOCGIFFLAGS);
VALUE(SIOCGIFMTU);
VALUE(SIOCGDRVSPEC);
