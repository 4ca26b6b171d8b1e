// SPDX-License-Identifier: ISC

//! The walk over one read(2) from bpf(4): struct bpf_hdr, packet, padding, and
//! again, as catchpacket() in bsd/net/bpf.c of XNU lays them out.
//!
//! The bytes are hostile: no length is believed before it was compared with
//! what was read, and every step either gets past a header or is the last.

use core::mem::offset_of;

use crate::abi::{BPF_WORDALIGN, ETHER_HDR_LEN, SIZEOF_BPF_HDR, bpf_hdr};

/// One packet of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A whole Ethernet frame, header included.
    Frame(&'a [u8]),
    /// The capture has only a part of the packet.
    Truncated,
    /// The packet is too short to have an Ethernet header.
    Runt,
    /// The lengths contradict themselves or the read. Where the next packet
    /// begins is unknown, so this record is the last one.
    Malformed,
}

/// Iterator over the packets of one read, in their order.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    /// What has not been walked over. Begins with a header, or is empty.
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Walk over what one read(2) returned, no more and no less.
    pub fn new(read: &'a [u8]) -> Self {
        Walk { rest: read }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        // Whatever ends the walk below leaves nothing to walk over.
        let rest = core::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let Some(header) = rest.first_chunk::<SIZEOF_BPF_HDR>() else {
            return Some(Record::Malformed);
        };
        let caplen = u32_at(header, offset_of!(bpf_hdr, bh_caplen)) as usize;
        let datalen = u32_at(header, offset_of!(bpf_hdr, bh_datalen)) as usize;
        let hdrlen = usize::from(u16_at(header, offset_of!(bpf_hdr, bh_hdrlen)));
        if hdrlen < SIZEOF_BPF_HDR || caplen > datalen {
            return Some(Record::Malformed);
        }
        let Some(captured) = rest.get(hdrlen..).and_then(|r| r.get(..caplen)) else {
            return Some(Record::Malformed);
        };
        // The last packet is not padded: then its end is the end of the read,
        // and the next header would begin beyond it.
        self.rest = rest
            .get(BPF_WORDALIGN(hdrlen + caplen)..)
            .unwrap_or_default();
        Some(if caplen < datalen {
            Record::Truncated
        } else if caplen < ETHER_HDR_LEN {
            Record::Runt
        } else {
            Record::Frame(captured)
        })
    }
}

// A header may stand at any address, so that its fields are put together from
// bytes.

#[inline]
fn u32_at(header: &[u8; SIZEOF_BPF_HDR], at: usize) -> u32 {
    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[inline]
fn u16_at(header: &[u8; SIZEOF_BPF_HDR], at: usize) -> u16 {
    u16::from_ne_bytes([header[at], header[at + 1]])
}
