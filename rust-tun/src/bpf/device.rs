// SPDX-License-Identifier: ISC

//! The search for a free bpf(4) device, and its set-up in an order that the
//! kernel accepts. Follows bsd/net/bpf.c of XNU.

use core::fmt;

use crate::abi::{
    BIOCGDLT, BIOCIMMEDIATE, BIOCPROMISC, BIOCSBLEN, BIOCSETIF, BIOCSSEESENT, BPF_MAX_DEVICES,
    DLT_EN10MB, ETHER_HDR_LEN, Request, SIZEOF_BPF_HDR, ifreq,
};
use crate::error::{Error, remedy};
use crate::feth::Pair;
use crate::sys::{self, Fd};
use crate::text::Text;

/// Length to ask for, in bytes: many frames a read, or one of any size.
const BUFFER_LEN: u32 = 65536;

/// An open bpf device.
pub(crate) struct Device {
    fd: Fd,
    path: Path,
}

impl Device {
    /// Open the first device that nobody else has open.
    ///
    /// The kernel makes another device whenever the last one is opened, so
    /// that only EBUSY is a reason to try the next. bpf0 comes last: it is left
    /// to the simple tools that know no other.
    pub fn open() -> Result<Self, Error> {
        let mut busy = 0;
        for minor in 1..BPF_MAX_DEVICES {
            match open_minor(minor) {
                Ok(device) => return Ok(device),
                Err(libc::EBUSY) => busy += 1,
                // Beyond the last device.
                Err(libc::ENOENT | libc::ENXIO) => break,
                Err(e) => return Err(open_error(e, minor)),
            }
        }
        match open_minor(0) {
            Ok(device) => Ok(device),
            Err(e @ (libc::ENOENT | libc::ENXIO)) if busy == 0 => Err(Error::new(
                e,
                "open /dev/bpf0",
                "this system has no bpf devices: run ssh outside of any container or jail",
            )),
            Err(libc::EBUSY | libc::ENOENT | libc::ENXIO) => Err(Error::new(
                libc::EBUSY,
                format_args!("open /dev/bpf0 to /dev/bpf{busy}"),
                "all bpf devices are in use: stop a program that captures packets \
                 (lsof /dev/bpf* lists them)",
            )),
            Err(e) => Err(open_error(e, 0)),
        }
    }

    /// Attach the device to the peer of `pair`: it captures every frame that
    /// reaches it, at once, and none that is written to it. Returns the
    /// descriptor and the length that every read(2) must ask for, in bytes.
    pub fn attach(self, pair: &Pair) -> Result<(Fd, u32), Error> {
        // The length can only be set while no interface is attached, and
        // promiscuous mode only when one is.
        let mut granted = BUFFER_LEN;
        self.ioctl("BIOCSBLEN", &BIOCSBLEN, &mut granted)?;
        let frame = pair.mtu as usize + ETHER_HDR_LEN;
        let needed = SIZEOF_BPF_HDR + frame;
        if (granted as usize) < needed {
            return Err(Error::new(
                libc::ENOBUFS,
                format_args!(
                    "ioctl BIOCSBLEN, {}: {granted} bytes granted and {needed} needed for \
                     a frame of {}, MTU {}",
                    self.path, pair.primary, pair.mtu
                ),
                format_args!("raise sysctl debug.bpf_maxbufsize, to {BUFFER_LEN} or more"),
            ));
        }
        self.ioctl("BIOCIMMEDIATE", &BIOCIMMEDIATE, &mut 1)?;
        self.ioctl("BIOCSSEESENT", &BIOCSSEESENT, &mut 0)?;
        let mut interface = ifreq::new(pair.peer.bytes());
        self.ioctl(
            format_args!("BIOCSETIF {}", pair.peer),
            &BIOCSETIF,
            &mut interface,
        )?;
        let mut link_type = 0;
        self.ioctl("BIOCGDLT", &BIOCGDLT, &mut link_type)?;
        if link_type != DLT_EN10MB {
            return Err(Error::new(
                libc::EPROTOTYPE,
                format_args!(
                    "ioctl BIOCGDLT, {}: {} has the data link type {link_type}",
                    self.path, pair.peer
                ),
                "it is not Ethernet: make a feth(4) pair of that name with ifconfig",
            ));
        }
        sys::ioctl_void(&self.fd, &BIOCPROMISC)
            .map_err(|e| self.error(e, format_args!("BIOCPROMISC {}", pair.peer)))?;
        Ok((self.fd, granted))
    }

    fn ioctl<T: crate::abi::Plain>(
        &self,
        what: impl fmt::Display,
        request: &Request<T>,
        argument: &mut T,
    ) -> Result<(), Error> {
        sys::ioctl(&self.fd, request, argument).map_err(|e| self.error(e, what))
    }

    fn error(&self, e: sys::Errno, what: impl fmt::Display) -> Error {
        Error::from_errno(e, format_args!("ioctl {what}, {}", self.path))
    }
}

/// The path of a device, by its minor.
#[derive(Clone, Copy)]
struct Path(u32);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/dev/bpf{}", self.0)
    }
}

fn open_minor(minor: u32) -> Result<Device, sys::Errno> {
    let path = Path(minor);
    let text = Text::<32>::new(format_args!("{path}"));
    sys::open(text.as_cstr()).map(|fd| Device { fd, path })
}

fn open_error(e: sys::Errno, minor: u32) -> Error {
    let remedy = match e {
        libc::EACCES | libc::EPERM => {
            "run ssh or sshd as root (the access_bpf group opens bpf, but not AF_NDRV)"
        }
        _ => remedy(e),
    };
    Error::new(e, format_args!("open {}", Path(minor)), remedy)
}
