// SPDX-License-Identifier: ISC

//! feth(4): the pair of interfaces that a tunnel runs on. feth<unit>, the
//! primary, is what the user configures and what logs name; feth<5000 + unit>,
//! the peer, is for I/O only. Follows bsd/net/if_fake.c of XNU.

use core::ffi::c_int;
use core::fmt;

use crate::abi::{
    IF_FAKE_G_CMD_GET_PEER, IFF_UP, IFNAMSIZ, SIOCGIFFLAGS, SIOCGIFMTU, SIOCSIFFLAGS,
    if_fake_request, ifreq,
};
use crate::error::Error;
use crate::sys::{self, Fd};
use crate::text::Text;

/// Added to the primary's unit it gives the peer's.
const PEER_OFFSET: c_int = 5000;

/// An interface's name, NUL-terminated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name([u8; IFNAMSIZ]);

impl Name {
    fn feth(unit: c_int) -> Self {
        Name(*Text::new(format_args!("feth{unit}")).bytes())
    }

    /// As the kernel takes it.
    pub fn bytes(&self) -> [u8; IFNAMSIZ] {
        self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(IFNAMSIZ);
        write!(f, "{}", self.0[..end].escape_ascii())
    }
}

/// The step of an ioctl on an interface.
struct Ioctl(&'static str, Name);

impl fmt::Display for Ioctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ioctl {}, {}", self.0, self.1)
    }
}

/// What to type to make a pair.
struct Recipe<'a>(&'a Pair);

impl fmt::Display for Recipe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { primary, peer, .. } = self.0;
        write!(
            f,
            "make the pair: ifconfig {primary} create; ifconfig {peer} create; \
             ifconfig {peer} peer {primary}"
        )
    }
}

/// A primary and its peer, which exist and belong together.
pub(crate) struct Pair {
    /// The one the user configures.
    pub primary: Name,
    /// The one for I/O.
    pub peer: Name,
    /// The larger MTU of the two, in bytes.
    pub mtu: u32,
    /// For the interface ioctls.
    control: Fd,
}

impl Pair {
    /// Find the pair of `unit`. Changes nothing.
    pub fn find(unit: c_int) -> Result<Self, Error> {
        if !(0..PEER_OFFSET).contains(&unit) {
            return Err(Error::new(
                libc::EINVAL,
                format_args!("tunnel unit {unit}"),
                "the units of feth(4) pairs are 0 to 4999: choose one with -w",
            ));
        }
        let control = sys::socket(libc::AF_INET, libc::SOCK_DGRAM)
            .map_err(|e| Error::from_errno(e, "socket AF_INET, for interface ioctls"))?;
        let mut pair = Pair {
            primary: Name::feth(unit),
            peer: Name::feth(PEER_OFFSET + unit),
            mtu: 0,
            control,
        };
        for name in [pair.primary, pair.peer] {
            pair.flags(name)?;
        }
        pair.check_peer()?;
        pair.mtu = pair.mtu_of(pair.primary)?.max(pair.mtu_of(pair.peer)?);
        Ok(pair)
    }

    /// Bring both interfaces up, or leave both as they are.
    pub fn up(&self) -> Result<(), Error> {
        let was = self.flags(self.peer)?;
        self.set_up(self.peer, was)?;
        self.flags(self.primary)
            .and_then(|flags| self.set_up(self.primary, flags))
            .inspect_err(|_| {
                if was & IFF_UP == 0 {
                    // What failed first is what the user hears of.
                    let _ = self.set_flags(self.peer, was);
                }
            })
    }

    /// What to type to make this pair.
    fn recipe(&self) -> Recipe<'_> {
        Recipe(self)
    }

    /// Has the primary the peer that it should have? Then the peer has the
    /// primary, for the kernel makes and ends a pairing on both at once.
    fn check_peer(&self) -> Result<(), Error> {
        let &Pair { primary, peer, .. } = self;
        let mut answer = if_fake_request::ZERO;
        sys::get_drvspec(
            &self.control,
            primary.bytes(),
            IF_FAKE_G_CMD_GET_PEER,
            &mut answer,
        )
        .map_err(|e| {
            let step = Ioctl("SIOCGDRVSPEC", primary);
            match e {
                libc::EOPNOTSUPP | libc::EINVAL => Error::new(
                    e,
                    step,
                    format_args!("{primary} is no feth(4) interface: {}", self.recipe()),
                ),
                _ => Error::from_errno(e, step),
            }
        })?;
        let found = Name(answer.peer_name());
        if found.bytes()[0] == 0 {
            Err(Error::new(
                libc::ENOTCONN,
                format_args!("{primary} has no peer"),
                format_args!("pair the two: ifconfig {peer} peer {primary}"),
            ))
        } else if found != peer {
            Err(Error::new(
                libc::EBUSY,
                format_args!("{primary} is the peer of {found}, not of {peer}"),
                "choose another unit with -w, or destroy that pair with ifconfig",
            ))
        } else {
            Ok(())
        }
    }

    fn mtu_of(&self, name: Name) -> Result<u32, Error> {
        let mut request = ifreq::new(name.bytes());
        sys::ioctl(&self.control, &SIOCGIFMTU, &mut request)
            .map_err(|e| Error::from_errno(e, Ioctl("SIOCGIFMTU", name)))?;
        // The kernel has no negative MTU.
        Ok(request.mtu().unsigned_abs())
    }

    fn flags(&self, name: Name) -> Result<i16, Error> {
        let mut request = ifreq::new(name.bytes());
        sys::ioctl(&self.control, &SIOCGIFFLAGS, &mut request).map_err(|e| {
            let step = Ioctl("SIOCGIFFLAGS", name);
            match e {
                libc::ENXIO => Error::new(
                    e,
                    step,
                    format_args!("there is no {name}: {}", self.recipe()),
                ),
                _ => Error::from_errno(e, step),
            }
        })?;
        Ok(request.flags())
    }

    fn set_up(&self, name: Name, flags: i16) -> Result<(), Error> {
        if flags & IFF_UP != 0 {
            return Ok(());
        }
        self.set_flags(name, flags | IFF_UP)
    }

    fn set_flags(&self, name: Name, flags: i16) -> Result<(), Error> {
        let mut request = ifreq::new(name.bytes());
        request.set_flags(flags);
        sys::ioctl(&self.control, &SIOCSIFFLAGS, &mut request)
            .map_err(|e| Error::from_errno(e, Ioctl("SIOCSIFFLAGS", name)))
    }
}
