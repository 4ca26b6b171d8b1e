// SPDX-License-Identifier: ISC

//! AF_NDRV: the socket that writes frames to the peer. Follows bsd/net/ndrv.c
//! of XNU.

use core::ffi::c_int;
use core::mem::size_of;

use crate::abi::{AF_NDRV, FETH_MAX_FRAME, sockaddr_ndrv};
use crate::error::{Error, remedy};
use crate::feth::Name;
use crate::sys::{self, Fd};

/// Room in the send buffer for the largest frame that a feth can have, in
/// bytes: the kernel's 8192 would refuse larger ones with EMSGSIZE.
const SNDBUF_MIN: c_int = FETH_MAX_FRAME as c_int;

/// What is asked for first, in bytes: room for a burst.
const SNDBUF: c_int = 262_144;

/// Open a socket that writes raw frames to the interface `name`.
pub(crate) fn open(name: Name) -> Result<Fd, Error> {
    let socket = sys::socket(AF_NDRV, libc::SOCK_RAW).map_err(|e| {
        let remedy = match e {
            libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT => {
                "this system has no AF_NDRV: it is macOS's"
            }
            _ => remedy(e),
        };
        Error::new(e, format_args!("socket AF_NDRV, for {name}"), remedy)
    })?;
    sys::setsockopt_int(&socket, libc::SO_SNDBUF, SNDBUF)
        .or_else(|_| sys::setsockopt_int(&socket, libc::SO_SNDBUF, SNDBUF_MIN))
        .map_err(|e| {
            let remedy = match e {
                libc::ENOBUFS => "raise sysctl kern.ipc.maxsockbuf",
                _ => remedy(e),
            };
            Error::new(
                e,
                format_args!("setsockopt SO_SNDBUF {SNDBUF_MIN}, AF_NDRV for {name}"),
                remedy,
            )
        })?;
    let address = sockaddr_ndrv {
        snd_len: size_of::<sockaddr_ndrv>() as u8,
        snd_family: AF_NDRV as u8,
        snd_name: name.bytes(),
    };
    sys::bind(&socket, &address)
        .map_err(|e| Error::from_errno(e, format_args!("bind AF_NDRV, {name}")))?;
    sys::connect(&socket, &address)
        .map_err(|e| Error::from_errno(e, format_args!("connect AF_NDRV, {name}")))?;
    Ok(socket)
}
