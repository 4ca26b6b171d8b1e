// SPDX-License-Identifier: ISC

//! Darwin's constants and layouts, as far as the core uses them, under the
//! kernel's own names. The facts are from XNU's bsd/net/bpf.h, bsd/net/ndrv.h,
//! bsd/net/if.h, bsd/net/if_fake_var.h, bsd/sys/ioccom.h, bsd/sys/sockio.h and
//! bsd/sys/socket.h.
//!
//! Where this is compiled for macOS, all of it that the platform's public headers
//! have is compared with them (platform.rs). These headers do not have, and so
//! nothing but the source named here vouches for:
//! - [`IF_FAKE_G_CMD_GET_PEER`] and [`if_fake_request`], which are in
//!   bsd/net/if_fake_var.h, private to the kernel;
//! - [`SIZEOF_BPF_HDR`], which is in the kernel's part of bsd/net/bpf.h;
//! - [`BPF_MAX_DEVICES`], which is in bsd/net/bpf.c;
//! - [`FETH_MAX_FRAME`], which is of bsd/net/if_fake.c.
//!
//! Generic things (SO_SNDBUF, AF_INET, errno values, open flags) are libc's:
//! they differ between systems, and the model sits below libc.

#![allow(non_camel_case_types, non_snake_case)] // the kernel's names

#[cfg(target_os = "macos")]
mod platform;

use core::ffi::{c_int, c_ulong, c_void};
use core::marker::PhantomData;
use core::mem::size_of;

/// Room for an interface's name, NUL included (bsd/net/if.h).
pub const IFNAMSIZ: usize = 16;

// ---- ioctl numbers (bsd/sys/ioccom.h) -------------------------------------

const IOCPARM_MASK: usize = 0x1fff;
const IOC_VOID: u32 = 0x2000_0000;
const IOC_OUT: u32 = 0x4000_0000;
const IOC_IN: u32 = 0x8000_0000;

/// Types that ioctl(2) may fill: any bytes are a valid value.
///
/// # Safety
/// The type must have no padding, no pointer and no invalid value.
pub unsafe trait Plain: Copy {}

// SAFETY: any four bytes are a u32.
unsafe impl Plain for u32 {}

/// An ioctl number together with the type of its argument: the number carries
/// the size that the kernel copies, and `T` is what it was computed from.
pub struct Request<T> {
    /// The number, as ioctl(2) takes it.
    pub number: c_ulong,
    argument: PhantomData<T>,
}

impl<T> Request<T> {
    const fn new(direction: u32, group: u8, num: u8) -> Self {
        assert!(size_of::<T>() <= IOCPARM_MASK);
        let number =
            direction | ((size_of::<T>() as u32) << 16) | ((group as u32) << 8) | num as u32;
        Request {
            number: number as c_ulong,
            argument: PhantomData,
        }
    }
}

const fn _IO(group: u8, num: u8) -> Request<()> {
    Request::new(IOC_VOID, group, num)
}

const fn _IOR<T>(group: u8, num: u8) -> Request<T> {
    Request::new(IOC_OUT, group, num)
}

const fn _IOW<T>(group: u8, num: u8) -> Request<T> {
    Request::new(IOC_IN, group, num)
}

const fn _IOWR<T>(group: u8, num: u8) -> Request<T> {
    Request::new(IOC_IN | IOC_OUT, group, num)
}

// ---- bpf(4) (bsd/net/bpf.h) -----------------------------------------------

/// Set the length of the read buffer in bytes; returns what was granted.
pub const BIOCSBLEN: Request<u32> = _IOWR(b'B', 102);
/// See every frame, whatever its destination. Needs an attached interface.
pub const BIOCPROMISC: Request<()> = _IO(b'B', 105);
/// Get the data link type.
pub const BIOCGDLT: Request<u32> = _IOR(b'B', 106);
/// Attach to an interface.
pub const BIOCSETIF: Request<ifreq> = _IOW(b'B', 108);
/// 1: a read returns as soon as there is a packet.
pub const BIOCIMMEDIATE: Request<u32> = _IOW(b'B', 112);
/// 0: packets that leave the interface are not captured.
pub const BIOCSSEESENT: Request<u32> = _IOW(b'B', 119);

/// The data link type of Ethernet.
pub const DLT_EN10MB: u32 = 1;

/// How many minors there are at most: bpf_maxdevices in bsd/net/bpf.c.
pub const BPF_MAX_DEVICES: u32 = 256;

/// What precedes each packet of a read, in host byte order. Its size in C is
/// 20, but bh_hdrlen says where the packet begins: 18 on Ethernet.
#[repr(C)]
pub struct bpf_hdr {
    /// struct timeval32: seconds, microseconds.
    pub bh_tstamp: [i32; 2],
    /// Length of what was captured, in bytes.
    pub bh_caplen: u32,
    /// Length of the packet, in bytes.
    pub bh_datalen: u32,
    /// From the start of this header to the packet, in bytes.
    pub bh_hdrlen: u16,
}

/// SIZEOF_BPF_HDR of the kernel: the header without C's padding at its end,
/// the least that bh_hdrlen can be.
pub const SIZEOF_BPF_HDR: usize = 18;

const BPF_ALIGNMENT: usize = size_of::<i32>();

/// From one packet's header to the next.
pub const fn BPF_WORDALIGN(x: usize) -> usize {
    (x + (BPF_ALIGNMENT - 1)) & !(BPF_ALIGNMENT - 1)
}

/// An Ethernet header: two addresses and a type (bsd/net/ethernet.h).
pub const ETHER_HDR_LEN: usize = 14;

// ---- AF_NDRV (bsd/sys/socket.h, bsd/net/ndrv.h) ---------------------------

/// Raw access to a network device.
pub const AF_NDRV: c_int = 27;

/// The address of an AF_NDRV socket: an interface's name.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockaddr_ndrv {
    /// The size of all of it.
    pub snd_len: u8,
    /// AF_NDRV.
    pub snd_family: u8,
    /// NUL-terminated.
    pub snd_name: [u8; IFNAMSIZ],
}

// ---- interfaces (bsd/net/if.h, bsd/sys/sockio.h) --------------------------

/// Argument of most interface ioctls: a name and 16 bytes of union, which
/// begin with ifr_flags or ifr_mtu here. Aligned for the pointer in the union.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct ifreq {
    /// NUL-terminated.
    pub ifr_name: [u8; IFNAMSIZ],
    /// The union.
    pub ifr_ifru: [u8; 16],
}

// SAFETY: bytes only, 32 of them, a multiple of the alignment: no padding.
unsafe impl Plain for ifreq {}

impl ifreq {
    /// A request about the interface called `name`.
    pub fn new(name: [u8; IFNAMSIZ]) -> Self {
        ifreq {
            ifr_name: name,
            ifr_ifru: [0; 16],
        }
    }

    /// ifr_flags: a short at the beginning of the union.
    pub fn flags(&self) -> i16 {
        i16::from_ne_bytes([self.ifr_ifru[0], self.ifr_ifru[1]])
    }

    /// Put `flags` into ifr_flags.
    pub fn set_flags(&mut self, flags: i16) {
        self.ifr_ifru[..2].copy_from_slice(&flags.to_ne_bytes());
    }

    /// ifr_mtu: an int at the beginning of the union.
    pub fn mtu(&self) -> i32 {
        let [a, b, c, d, ..] = self.ifr_ifru;
        i32::from_ne_bytes([a, b, c, d])
    }
}

/// Argument of the driver-specific ioctls, packed as in bsd/net/if.h.
#[repr(C, packed(4))]
pub struct ifdrv {
    /// NUL-terminated.
    pub ifd_name: [u8; IFNAMSIZ],
    /// The driver's command.
    pub ifd_cmd: c_ulong,
    /// Length of what ifd_data points to, in bytes.
    pub ifd_len: usize,
    /// Filled by the driver.
    pub ifd_data: *mut c_void,
}

/// Set ifr_flags.
pub const SIOCSIFFLAGS: Request<ifreq> = _IOW(b'i', 16);
/// Get ifr_flags.
pub const SIOCGIFFLAGS: Request<ifreq> = _IOWR(b'i', 17);
/// Get ifr_mtu.
pub const SIOCGIFMTU: Request<ifreq> = _IOWR(b'i', 51);
/// Get what the driver's command asks for.
pub const SIOCGDRVSPEC: Request<ifdrv> = _IOWR(b'i', 123);

/// The interface is up.
pub const IFF_UP: i16 = 0x1;

// ---- feth(4) (bsd/net/if_fake_var.h) --------------------------------------

/// The longest frame that a feth takes, in bytes: the largest MTU that sysctl
/// net.link.fake.max_mtu can be set to, 16370, and an Ethernet header.
pub const FETH_MAX_FRAME: usize = 16370 + ETHER_HDR_LEN;

/// Command of SIOCGDRVSPEC: the name of the peer, empty when there is none.
pub const IF_FAKE_G_CMD_GET_PEER: c_ulong = 1;

/// What feth's commands take and give. The union is 128 bytes by design;
/// iffr_peer_name is at its beginning.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct if_fake_request {
    /// Zero.
    pub iffr_reserved: [u64; 4],
    /// The union.
    pub iffr_u: [u8; 128],
}

// SAFETY: integers only, 160 bytes, a multiple of the alignment: no padding.
unsafe impl Plain for if_fake_request {}

impl if_fake_request {
    /// All zero.
    pub const ZERO: Self = if_fake_request {
        iffr_reserved: [0; 4],
        iffr_u: [0; 128],
    };

    /// iffr_peer_name.
    pub fn peer_name(&self) -> [u8; IFNAMSIZ] {
        let mut name = [0; IFNAMSIZ];
        name.copy_from_slice(&self.iffr_u[..IFNAMSIZ]);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::{align_of, offset_of};

    #[test]
    fn ioctl_numbers_are_the_kernels() {
        // As a compiler on macOS (64 bits) prints them.
        assert_eq!(BIOCSBLEN.number, 0xc004_4266);
        assert_eq!(BIOCPROMISC.number, 0x2000_4269);
        assert_eq!(BIOCGDLT.number, 0x4004_426a);
        assert_eq!(BIOCSETIF.number, 0x8020_426c);
        assert_eq!(BIOCIMMEDIATE.number, 0x8004_4270);
        assert_eq!(BIOCSSEESENT.number, 0x8004_4277);
        assert_eq!(SIOCSIFFLAGS.number, 0x8020_6910);
        assert_eq!(SIOCGIFFLAGS.number, 0xc020_6911);
        assert_eq!(SIOCGIFMTU.number, 0xc020_6933);
        assert_eq!(SIOCGDRVSPEC.number, 0xc028_697b);
    }

    #[test]
    fn layouts_are_the_kernels() {
        assert_eq!(size_of::<bpf_hdr>(), 20);
        assert_eq!(offset_of!(bpf_hdr, bh_caplen), 8);
        assert_eq!(offset_of!(bpf_hdr, bh_datalen), 12);
        assert_eq!(offset_of!(bpf_hdr, bh_hdrlen), 16);
        assert_eq!(size_of::<sockaddr_ndrv>(), 18);
        assert_eq!(offset_of!(sockaddr_ndrv, snd_name), 2);
        assert_eq!((size_of::<ifreq>(), align_of::<ifreq>()), (32, 8));
        assert_eq!(offset_of!(ifreq, ifr_ifru), 16);
        assert_eq!(size_of::<ifdrv>(), 40);
        assert_eq!(offset_of!(ifdrv, ifd_cmd), 16);
        assert_eq!(offset_of!(ifdrv, ifd_len), 24);
        assert_eq!(offset_of!(ifdrv, ifd_data), 32);
        assert_eq!(size_of::<if_fake_request>(), 160);
        assert_eq!(offset_of!(if_fake_request, iffr_u), 32);
    }
}
