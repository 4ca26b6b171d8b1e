// SPDX-License-Identifier: ISC

//! The C surface that include/rust_tun.h declares, for port-net.c. Pointers
//! from C are checked and turned into references here.

use core::ffi::{c_int, c_void};
use core::slice;

use crate::filter;

pub use bindings::{RUST_TUN_ERRMSG_LEN, RUST_TUN_IFNAME_LEN, rust_tun, rust_tun_counts};

/// What bindgen reads in rust_tun.h and sshbuf.h.
#[allow(dead_code, non_camel_case_types)] // rust_tun_open_feth has no Rust everywhere
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

use bindings::{sshbuf, sshbuf_consume_end, sshbuf_reserve};

// The compiler takes two functions into one array only when their types are
// the same: what rust_tun.h declares and what is defined here.
const _: () = {
    let _ = [bindings::rust_tun_bpf_infilter, rust_tun_bpf_infilter];
    let _ = [bindings::rust_tun_bpf_outfilter, rust_tun_bpf_outfilter];
};

/// The `len` bytes at `buf`; None when C gives none or more than there can be.
///
/// # Safety
/// Unless null, `buf` must point to `len` bytes that stay as they are for `'a`.
unsafe fn bytes<'a>(buf: *const c_void, len: usize) -> Option<&'a [u8]> {
    if buf.is_null() || isize::try_from(len).is_err() {
        return None;
    }
    // SAFETY: the caller vouches for len bytes at buf, which is not null, and
    // len is not beyond isize::MAX.
    Some(unsafe { slice::from_raw_parts(buf.cast(), len) })
}

/// rust_tun.h: append every whole frame of one bpf read to `input`.
///
/// # Safety
/// `counts` must be null or valid, `input` null or a valid sshbuf, and `buf`
/// null or `len` bytes outside of `input`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rust_tun_bpf_infilter(
    counts: *mut rust_tun_counts,
    input: *mut sshbuf,
    buf: *const c_void,
    len: usize,
) {
    // SAFETY: C gives a valid struct or null.
    let Some(counts) = (unsafe { counts.as_mut() }) else {
        return;
    };
    counts.reads += 1;
    if len == 0 {
        return;
    }
    // SAFETY: C gives len bytes at buf, or null.
    let Some(read) = (unsafe { bytes(buf, len) }) else {
        counts.in_malformed += 1;
        return;
    };
    let len = filter::infilter_max(read.len());
    let mut room = core::ptr::null_mut();
    // SAFETY: C gives a valid sshbuf or null; the call writes to room only.
    if input.is_null() || unsafe { sshbuf_reserve(input, len, &mut room) } != 0 {
        counts.in_nobufs += 1;
        return;
    }
    // SAFETY: sshbuf_reserve() returned len bytes inside its own allocation,
    // which it zeroed when it made it, and nobody uses input meanwhile.
    let out = unsafe { slice::from_raw_parts_mut(room, len) };
    let written = filter::infilter(counts, read, out);
    if written < len {
        // SAFETY: input is the valid sshbuf that ends with the len bytes above.
        unsafe { sshbuf_consume_end(input, len - written) };
    }
}

/// rust_tun.h: decide about one frame from the peer.
///
/// # Safety
/// `counts` must be null or valid, and `frame` null or `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rust_tun_bpf_outfilter(
    counts: *mut rust_tun_counts,
    frame: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: C gives a valid struct or null.
    let Some(counts) = (unsafe { counts.as_mut() }) else {
        return 0;
    };
    // SAFETY: C gives len bytes at frame, or null.
    let frame = unsafe { bytes(frame, len) }.unwrap_or_default();
    filter::outfilter(counts, frame).into()
}

#[cfg(any(target_os = "macos", feature = "model"))]
pub use open::rust_tun_open_feth;

/// What opens a tunnel: it needs Darwin's kernel, or the model of it.
#[cfg(any(target_os = "macos", feature = "model"))]
mod open {
    use core::ffi::{CStr, c_char, c_int};
    use core::mem::MaybeUninit;
    use core::slice;

    use super::{RUST_TUN_ERRMSG_LEN, RUST_TUN_IFNAME_LEN, bindings, rust_tun};
    use crate::abi::IFNAMSIZ;
    use crate::error::Error;
    use crate::feth::{Name, Pair};
    use crate::sys::{self, Fd};
    use crate::{bpf, ndrv};

    const _: () = {
        let _ = [bindings::rust_tun_open_feth, rust_tun_open_feth];
        assert!(RUST_TUN_IFNAME_LEN as usize == IFNAMSIZ);
    };

    /// rust_tun.h: open an Ethernet tunnel on the feth pair of `unit`.
    ///
    /// # Safety
    /// `tun` must be null or valid, `errmsg` null or `errmsg_len` bytes.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn rust_tun_open_feth(
        unit: c_int,
        tun: *mut rust_tun,
        errmsg: *mut c_char,
        errmsg_len: usize,
    ) -> c_int {
        // SAFETY: C gives a valid struct or null.
        let opened = match unsafe { tun.as_mut() } {
            Some(tun) => open_feth(unit).map(|(rfd, rbuf_len, wfd, name)| {
                *tun = rust_tun {
                    rfd: rfd.into_raw(),
                    wfd: wfd.into_raw(),
                    rbuf_len,
                    ifname: name.bytes().map(|b| b as c_char),
                };
            }),
            None => Err(Error::new(
                libc::EFAULT,
                format_args!("open of tunnel unit {unit}"),
                "the caller must pass a struct rust_tun",
            )),
        };
        let Err(error) = opened else {
            return 0;
        };
        if !errmsg.is_null() && errmsg_len > 0 {
            let room = errmsg_len.min(RUST_TUN_ERRMSG_LEN as usize);
            // SAFETY: C gives errmsg_len bytes at errmsg, and room is no more;
            // they need not have a value.
            let errmsg = unsafe { slice::from_raw_parts_mut(errmsg.cast(), room) };
            put_message(errmsg, error.sentence.as_cstr());
        }
        // Last: closing descriptors sets errno, too.
        sys::set_errno(error.errno);
        -1
    }

    /// The errors that the user can do something about come first, and what
    /// changes the system comes last: a failure leaves all as it was.
    fn open_feth(unit: c_int) -> Result<(Fd, u32, Fd, Name), Error> {
        let pair = Pair::find(unit)?;
        let socket = ndrv::open(pair.peer)?;
        let (device, buffer_len) = bpf::Device::open()?.attach(&pair)?;
        pair.up()?;
        Ok((device, buffer_len, socket, pair.primary))
    }

    /// As much of `sentence` as there is room for, in whole characters, and a
    /// NUL.
    fn put_message(room: &mut [MaybeUninit<u8>], sentence: &CStr) {
        let text = sentence.to_str().unwrap_or_default();
        let mut end = text.len().min(room.len().saturating_sub(1));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for (to, from) in room.iter_mut().zip(text[..end].bytes().chain([0])) {
            to.write(from);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use core::ptr::null_mut;
        use std::format;
        use std::string::{String, ToString};

        /// What a failing open writes to `len` bytes of message.
        fn message(unit: c_int, len: usize) -> String {
            let mut errmsg = [b'x'; 600];
            let mut tun = rust_tun::default();
            // SAFETY: tun is valid, and errmsg longer than any len in the tests.
            let r = unsafe { rust_tun_open_feth(unit, &mut tun, errmsg.as_mut_ptr().cast(), len) };
            assert_eq!(r, -1);
            assert!(errmsg[len..].iter().all(|&b| b == b'x'), "wrote past {len}");
            let text = CStr::from_bytes_until_nul(&errmsg[..len]).expect("no NUL");
            text.to_str().expect("no UTF-8").to_string()
        }

        fn errno() -> Option<c_int> {
            std::io::Error::last_os_error().raw_os_error()
        }

        #[test]
        fn a_unit_out_of_range_is_refused() {
            for unit in [-1, 5000, c_int::MIN, c_int::MAX] {
                let text = message(unit, 512);
                assert_eq!(errno(), Some(libc::EINVAL));
                assert!(text.starts_with(&format!("tunnel unit {unit}: ")), "{text}");
                assert!(text.contains("0 to 4999"), "{text}");
            }
        }

        #[test]
        fn a_message_is_cut_to_its_room_and_ends_in_nul() {
            let whole = message(-1, 512);
            for len in 1..=whole.len() + 2 {
                let cut = whole.len().min(len - 1);
                assert_eq!(message(-1, len), whole[..cut]);
            }
        }

        #[test]
        fn a_message_is_cut_between_characters() {
            let mut room = [MaybeUninit::new(b'x'); 4];
            put_message(&mut room, c"a\u{20ac}b");
            // SAFETY: all four bytes had a value from the start.
            let room = room.map(|byte| unsafe { byte.assume_init() });
            assert_eq!(&room, b"a\0xx");
        }

        #[test]
        fn null_pointers_are_refused() {
            let mut tun = rust_tun::default();
            // SAFETY: null is allowed.
            let r = unsafe { rust_tun_open_feth(-1, &mut tun, null_mut(), 512) };
            assert_eq!((r, errno()), (-1, Some(libc::EINVAL)));
            // SAFETY: null is allowed.
            let r = unsafe { rust_tun_open_feth(0, null_mut(), null_mut(), 0) };
            assert_eq!((r, errno()), (-1, Some(libc::EFAULT)));
        }
    }
}
