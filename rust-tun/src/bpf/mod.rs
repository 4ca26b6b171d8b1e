// SPDX-License-Identifier: ISC

//! bpf(4): the device that captures the frames which reach the peer. The walk
//! over what a read returns, and the search for a free device and its set-up.
//! Follows bsd/net/bpf.c of XNU.

#[cfg(any(target_os = "macos", feature = "model"))]
mod device;
mod walk;

#[cfg(any(target_os = "macos", feature = "model"))]
pub(crate) use device::Device;
pub use walk::{Record, Walk};
