// SPDX-License-Identifier: ISC

//! What an open reports when it fails: an errno and one sentence for a person,
//! "step and device: what the system says; what to do next".

use core::ffi::c_int;
use core::fmt::Display;

use crate::ffi::RUST_TUN_ERRMSG_LEN;
use crate::sys::Strerror;
use crate::text::Text;

/// A failed step.
pub(crate) struct Error {
    /// For errno.
    pub errno: c_int,
    /// For the log.
    pub sentence: Text<{ RUST_TUN_ERRMSG_LEN as usize }>,
}

impl Error {
    /// `step` failed with `errno`; `remedy` says what to do next.
    pub fn new(errno: c_int, step: impl Display, remedy: impl Display) -> Self {
        let sentence = Text::new(format_args!("{step}: {}; {remedy}", Strerror(errno)));
        Error { errno, sentence }
    }

    /// `step` failed with an errno that means the same wherever it comes from.
    pub fn from_errno(errno: c_int, step: impl Display) -> Self {
        Self::new(errno, step, remedy(errno))
    }
}

/// What to do about an errno that means the same wherever it comes from.
pub(crate) fn remedy(errno: c_int) -> &'static str {
    match errno {
        libc::EPERM | libc::EACCES => "run ssh or sshd as root",
        libc::EMFILE | libc::ENFILE => "raise the limit of open files (ulimit -n)",
        libc::ENOMEM | libc::ENOBUFS => "memory is short: close something and try again",
        libc::EINTR => "a signal came: try again",
        libc::ENXIO | libc::ENODEV | libc::EADDRNOTAVAIL => {
            "the interface has gone: make the pair again with ifconfig"
        }
        _ => "this is not expected here: report it with the output of uname -a",
    }
}
