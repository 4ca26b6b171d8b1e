// SPDX-License-Identifier: ISC

//! What rust-tun's tests and bench stand on: OpenSSH's own sshbuf, compiled
//! from the patched tree, a C infilter, and a writer of bpf reads.

use std::ptr::NonNull;
use std::slice;

#[allow(non_camel_case_types)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

/// An sshbuf of OpenSSH's.
pub struct Sshbuf(NonNull<bindings::sshbuf>);

impl Sshbuf {
    /// sshbuf_new().
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        // SAFETY: no precondition.
        let buf = unsafe { bindings::sshbuf_new() };
        Sshbuf(NonNull::new(buf).expect("sshbuf_new: out of memory"))
    }

    /// The buffer, for functions that have a binding of struct sshbuf of their
    /// own.
    pub fn as_ptr<T>(&mut self) -> *mut T {
        self.0.as_ptr().cast()
    }

    /// sshbuf_len().
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        // SAFETY: the buffer is valid.
        unsafe { bindings::sshbuf_len(self.0.as_ptr()) }
    }

    /// sshbuf_ptr() and sshbuf_len().
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is valid.
        let ptr = unsafe { bindings::sshbuf_ptr(self.0.as_ptr()) };
        let len = self.len();
        // SAFETY: that many bytes are there until the buffer is next changed.
        unsafe { slice::from_raw_parts(ptr, len) }
    }

    /// sshbuf_put().
    pub fn put(&mut self, bytes: &[u8]) {
        // SAFETY: the buffer is valid, and the slice is that long.
        let r =
            unsafe { bindings::sshbuf_put(self.0.as_ptr(), bytes.as_ptr().cast(), bytes.len()) };
        assert_eq!(r, 0, "sshbuf_put");
    }

    /// sshbuf_consume() of all there is.
    pub fn consume(&mut self) {
        // SAFETY: the buffer is valid.
        let r = unsafe { bindings::sshbuf_consume(self.0.as_ptr(), self.len()) };
        assert_eq!(r, 0, "sshbuf_consume");
    }

    /// sshbuf_set_max_size().
    pub fn set_max_size(&mut self, size: usize) {
        // SAFETY: the buffer is valid.
        let r = unsafe { bindings::sshbuf_set_max_size(self.0.as_ptr(), size) };
        assert_eq!(r, 0, "sshbuf_set_max_size");
    }

    /// Take all SSH strings out, as OpenSSH does, until there are none or what
    /// follows is no string.
    pub fn take_strings(&mut self) -> Vec<Vec<u8>> {
        let mut strings = Vec::new();
        loop {
            let mut ptr = std::ptr::null();
            let mut len = 0;
            // SAFETY: the buffer is valid, and the call writes to ptr and len.
            let r =
                unsafe { bindings::sshbuf_get_string_direct(self.0.as_ptr(), &mut ptr, &mut len) };
            if r != 0 {
                return strings;
            }
            // SAFETY: len bytes are at ptr until the buffer is next changed.
            strings.push(unsafe { slice::from_raw_parts(ptr, len) }.to_vec());
        }
    }

    /// The C infilter: what a read has, appended by sshbuf_put_string().
    pub fn c_infilter(&mut self, read: &[u8]) {
        // SAFETY: the buffer is valid, and the slice is that long.
        unsafe { bindings::c_infilter(self.0.as_ptr(), read.as_ptr().cast(), read.len()) };
    }
}

impl Drop for Sshbuf {
    fn drop(&mut self) {
        // SAFETY: the buffer is valid and nobody uses it after this.
        unsafe { bindings::sshbuf_free(self.0.as_ptr()) };
    }
}

/// Writes what a read(2) from bpf(4) would return. Its numbers are its own, and
/// not rust-tun's: 16 bytes of times and lengths, a u16, padding to 4.
#[derive(Default)]
pub struct BpfRead {
    bytes: Vec<u8>,
}

impl BpfRead {
    /// Add a packet as the kernel would: hdrlen 18 and all of it captured.
    pub fn packet(&mut self, packet: &[u8]) -> &mut Self {
        self.packet_at(18, packet, 0)
    }

    /// Add a packet that begins `hdrlen` bytes behind its header's start, and
    /// of which the last `lost` bytes were not captured.
    pub fn packet_at(&mut self, hdrlen: u16, packet: &[u8], lost: u32) -> &mut Self {
        let caplen = packet.len() as u32;
        let mut rest = vec![0xcc; usize::from(hdrlen) - 18];
        rest.extend_from_slice(packet);
        self.record(hdrlen, caplen, caplen + lost, &rest)
    }

    /// Add a header that says this, and behind it these bytes. What is there
    /// already is padded.
    pub fn record(&mut self, hdrlen: u16, caplen: u32, datalen: u32, rest: &[u8]) -> &mut Self {
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0xdd);
        self.bytes.extend_from_slice(&[0xee; 8]);
        self.bytes.extend_from_slice(&caplen.to_ne_bytes());
        self.bytes.extend_from_slice(&datalen.to_ne_bytes());
        self.bytes.extend_from_slice(&hdrlen.to_ne_bytes());
        self.bytes.extend_from_slice(rest);
        self
    }

    /// The read. Its last packet is not padded, as the kernel leaves it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
