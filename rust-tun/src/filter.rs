// SPDX-License-Identifier: ISC

//! The filters of a channel whose descriptors are a bpf(4) device and an
//! AF_NDRV socket: what comes from bpf becomes the SSH strings (RFC 4251) that
//! OpenSSH's datagram channels expect, and what goes to AF_NDRV is checked.

use core::mem;

use crate::abi::{ETHER_HDR_LEN, FETH_MAX_FRAME, SIZEOF_BPF_HDR};
use crate::bpf::{Record, Walk};
use crate::ffi::rust_tun_counts;

/// What a frame takes less as an SSH string than in a bpf read, at least: a
/// header of 18 bytes or more gives place to a length of 4.
const SHRINKS: usize = SIZEOF_BPF_HDR - 4;

/// The most bytes that [`infilter`] can make of a read of `len` bytes: exactly
/// what it makes of a read that is one frame.
#[inline]
pub fn infilter_max(len: usize) -> usize {
    len.saturating_sub(SHRINKS)
}

/// Write every whole frame of one bpf read to `out`, each as an SSH string,
/// and return how many bytes that took.
///
/// # Panics
/// When `out` is shorter than [`infilter_max`] says.
#[inline]
pub fn infilter(counts: &mut rust_tun_counts, read: &[u8], out: &mut [u8]) -> usize {
    let mut room = &mut out[..infilter_max(read.len())];
    let most = room.len();
    let mut frames = 0;
    for record in Walk::new(read) {
        let Record::Frame(frame) = record else {
            count_dropped(counts, record);
            continue;
        };
        let (string, rest) = mem::take(&mut room).split_at_mut(4 + frame.len());
        let (length, payload) = string.split_at_mut(4);
        // Lossless: it was a u32 in the header.
        length.copy_from_slice(&(frame.len() as u32).to_be_bytes());
        payload.copy_from_slice(frame);
        room = rest;
        frames += 1;
    }
    counts.in_frames += frames;
    counts.in_max = counts.in_max.max(frames);
    most - room.len()
}

/// Out of line, so that the loop above has the registers.
#[cold]
#[inline(never)]
fn count_dropped(counts: &mut rust_tun_counts, record: Record<'_>) {
    match record {
        Record::Frame(_) => (),
        Record::Truncated => counts.in_truncated += 1,
        Record::Runt => counts.in_runts += 1,
        Record::Malformed => counts.in_malformed += 1,
    }
}

/// Is `frame` one to be written to the AF_NDRV socket? Not when it has no
/// whole Ethernet header, or is longer than any feth takes, which would keep it
/// at the head of its queue and everything else behind it: then it is counted,
/// and lost as on a network.
#[inline]
pub fn outfilter(counts: &mut rust_tun_counts, frame: &[u8]) -> bool {
    let dropped = if frame.len() < ETHER_HDR_LEN {
        &mut counts.out_runts
    } else if frame.len() > FETH_MAX_FRAME {
        &mut counts.out_toobig
    } else {
        counts.out_frames += 1;
        return true;
    };
    *dropped += 1;
    false
}
