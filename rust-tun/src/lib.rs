// SPDX-License-Identifier: ISC

//! Ethernet tunnels over a pair of feth(4) interfaces, for OpenSSH on macOS:
//! bpf(4) on the peer reads frames, an AF_NDRV socket on the peer writes them.
//! openbsd-compat/port-net.c calls it through the `ffi` module, whose
//! declarations are in include/rust_tun.h.
//!
//! One module a kernel facility. The filters and the walk over a bpf read are
//! plain computations on bytes and are compiled everywhere; what talks to
//! Darwin's kernel is compiled on macOS, and with the feature `model` elsewhere,
//! where the tests bring Darwin's kernel surface in below libc.
//!
//! There is no std in here and nothing is allocated: what is linked into every
//! program of OpenSSH is this code, libc's system calls, and no more.

#![no_std]
#![allow(clippy::result_large_err)] // an error carries its sentence: no heap

#[cfg(test)]
extern crate std;

/// Rust code that panics ends here: a bug must not unwind into C.
#[cfg(feature = "panic-handler")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort() takes nothing and does not return.
    unsafe { libc::abort() }
}

pub mod abi;
pub mod bpf;
pub mod ffi;
pub mod filter;

#[cfg(any(target_os = "macos", feature = "model"))]
mod error;
#[cfg(any(target_os = "macos", feature = "model"))]
mod feth;
#[cfg(any(target_os = "macos", feature = "model"))]
mod ndrv;
#[cfg(any(target_os = "macos", feature = "model"))]
mod sys;
#[cfg(any(target_os = "macos", feature = "model"))]
mod text;

// The library only refers to sshbuf; its own tests need one to link with.
#[cfg(test)]
use rust_tun_testing as _;
