// SPDX-License-Identifier: ISC

//! An image of the core: a library that has the functions of rust_tun.h, and
//! OpenSSH's sshbuf, which they append to. It is either a Mach-O dylib, as
//! compiled for macOS, or a shared library of Linux's.

use crate::elf::Elf;
use crate::errno::{self, Errno};
use crate::libsystem;
use crate::macho::{self, MachO};
use ::rust_tun::ffi::{rust_tun, rust_tun_counts};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs;
use std::mem::transmute;
use std::slice;

enum Library {
    MachO(MachO),
    Elf(Elf),
}

/// struct sshbuf, whose inside is the image's own business.
pub enum Sshbuf {}

/// The functions of an image. Its structs are those of this process: where the
/// two systems laid them out differently, what comes out would differ.
pub struct Image {
    library: Library,
    pub open_feth: unsafe extern "C" fn(c_int, *mut rust_tun, *mut c_char, usize) -> c_int,
    pub infilter: unsafe extern "C" fn(*mut rust_tun_counts, *mut Sshbuf, *const c_void, usize),
    pub outfilter: unsafe extern "C" fn(*mut rust_tun_counts, *const c_void, usize) -> c_int,
    new: unsafe extern "C" fn() -> *mut Sshbuf,
    free: unsafe extern "C" fn(*mut Sshbuf),
    ptr: unsafe extern "C" fn(*const Sshbuf) -> *const u8,
    len: unsafe extern "C" fn(*const Sshbuf) -> usize,
    put: unsafe extern "C" fn(*mut Sshbuf, *const c_void, usize) -> c_int,
    set_max_size: unsafe extern "C" fn(*mut Sshbuf, usize) -> c_int,
}

/// The function of that name in an image, as the type that it is put into.
macro_rules! function {
    ($library:ident, $path:ident, $name:literal) => {{
        let address = match &$library {
            Library::MachO(library) => library.symbol($name),
            Library::Elf(library) => library.symbol($name),
        };
        let address =
            address.ok_or_else(|| format!("{} has no {}; build it anew", $path, $name))?;
        // SAFETY: rust_tun.h and sshbuf.h declare the function of that name
        // with the type of the field that this is for.
        unsafe { transmute::<*const c_void, _>(address) }
    }};
}

impl Image {
    #[allow(clippy::missing_transmute_annotations)] // the fields have the types
    pub fn load(path: &str) -> Result<Image, String> {
        let start =
            fs::read(path).map_err(|e| format!("cannot read {path}: {e}; build it anew"))?;
        let library = if macho::is_macho(&start) {
            Library::MachO(MachO::load(path)?)
        } else {
            Library::Elf(Elf::load(path)?)
        };
        Ok(Image {
            open_feth: function!(library, path, "rust_tun_open_feth"),
            infilter: function!(library, path, "rust_tun_bpf_infilter"),
            outfilter: function!(library, path, "rust_tun_bpf_outfilter"),
            new: function!(library, path, "sshbuf_new"),
            free: function!(library, path, "sshbuf_free"),
            ptr: function!(library, path, "sshbuf_ptr"),
            len: function!(library, path, "sshbuf_len"),
            put: function!(library, path, "sshbuf_put"),
            set_max_size: function!(library, path, "sshbuf_set_max_size"),
            library,
        })
    }

    /// The errno that the image's code has left.
    pub fn errno(&self) -> Option<&'static Errno> {
        match self.library {
            Library::MachO(_) => errno::of_darwin(libsystem::darwin_errno()),
            Library::Elf(_) => {
                let number = std::io::Error::last_os_error().raw_os_error();
                number.and_then(errno::of_linux)
            }
        }
    }

    /// What strerror(3) says of it to the image's code.
    pub fn strerror(&self, errno: &Errno) -> String {
        match self.library {
            Library::MachO(_) => errno.text.to_string(),
            Library::Elf(_) => {
                // SAFETY: any number will do.
                let text = unsafe { libc::strerror(errno.linux) };
                // SAFETY: a text, NUL-terminated; this is the only thread.
                unsafe { CStr::from_ptr(text) }
                    .to_string_lossy()
                    .into_owned()
            }
        }
    }

    /// A buffer of the image's.
    pub fn buffer(&self) -> Buffer<'_> {
        // SAFETY: no precondition.
        let raw = unsafe { (self.new)() };
        assert!(!raw.is_null(), "sshbuf_new: out of memory");
        Buffer { image: self, raw }
    }
}

/// An sshbuf.
pub struct Buffer<'a> {
    image: &'a Image,
    raw: *mut Sshbuf,
}

impl Buffer<'_> {
    pub fn as_ptr(&mut self) -> *mut Sshbuf {
        self.raw
    }

    /// sshbuf_ptr() and sshbuf_len().
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is valid.
        let len = unsafe { (self.image.len)(self.raw) };
        // SAFETY: the buffer is valid.
        let ptr = unsafe { (self.image.ptr)(self.raw) };
        // SAFETY: that many bytes are there until the buffer is next changed.
        unsafe { slice::from_raw_parts(ptr, len) }
    }

    pub fn put(&mut self, bytes: &[u8]) {
        // SAFETY: the buffer is valid, and the slice is that long.
        let r = unsafe { (self.image.put)(self.raw, bytes.as_ptr().cast(), bytes.len()) };
        assert_eq!(r, 0, "sshbuf_put");
    }

    pub fn set_max_size(&mut self, size: usize) {
        // SAFETY: the buffer is valid.
        let r = unsafe { (self.image.set_max_size)(self.raw, size) };
        assert_eq!(r, 0, "sshbuf_set_max_size");
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: the buffer is valid and nobody uses it after this.
        unsafe { (self.image.free)(self.raw) };
    }
}
