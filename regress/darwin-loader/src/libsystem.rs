// SPDX-License-Identifier: ISC

//! libSystem's functions, for code that was compiled for macOS: libc's own
//! where the two agree, and where they part one of those below, which takes
//! Darwin's numbers, calls libc (or the model, which stands before it) with
//! Linux's, and leaves Darwin's errno where the code looks for it. Numbers
//! that the code is not known to use end the process: a test must not pass
//! because something was passed on untranslated.
//!
//! open(2), fcntl(2) and ioctl(2) are variadic. On x86_64 their arguments are
//! in the same registers as if they were not; on arm64 macOS passes them on
//! the stack, and none of this would do.

use crate::elf;
use crate::errno;
use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

/// Where libc does the same for both: no errno, no numbers, no structs that
/// differ. va_list is the same, too. malloc's kin do set errno, but no caller
/// looks: they have their null pointer.
const AGREED: &[&str] = &[
    "abort",
    "bzero",
    "calloc",
    "free",
    "getpagesize",
    "malloc",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "raise",
    "signal",
    "strlen",
    "vsnprintf",
];

/// The address of libSystem's function with this name, its underscore
/// included; a sentence for one that is unknown.
pub fn find(symbol: &str) -> Result<*const c_void, String> {
    let unknown = || {
        format!(
            "the image takes {symbol} from libSystem; say in libsystem.rs what that is on Linux"
        )
    };
    Ok(match symbol {
        "___error" => darwin_error as *const c_void,
        "___bzero" => return elf::process_symbol("bzero").ok_or_else(unknown),
        "_bind" => bind as *const c_void,
        // close(2) that is no cancellation point; what is one on Linux is
        // of no interest here.
        "_close$NOCANCEL" => close as *const c_void,
        "_connect" => connect as *const c_void,
        "_fcntl" => fcntl as *const c_void,
        "_ioctl" => ioctl as *const c_void,
        "_open" => open as *const c_void,
        "_setsockopt" => setsockopt as *const c_void,
        "_socket" => socket as *const c_void,
        "_strerror_r" => strerror_r as *const c_void,
        "dyld_stub_binder" => stub_binder as *const c_void,
        _ => {
            return symbol
                .strip_prefix('_')
                .filter(|name| AGREED.contains(name))
                .and_then(elf::process_symbol)
                .ok_or_else(unknown);
        }
    })
}

// Darwin's numbers, of bsd/sys/fcntl.h and bsd/sys/socket.h.
const D_O_ACCMODE: c_int = 3;
const D_F_SETFD: c_int = 2;
const D_FD_CLOEXEC: c_int = 1;
const D_AF_INET: c_int = 2;
const D_AF_NDRV: c_int = 27;
const D_SOCK_DGRAM: c_int = 2;
const D_SOCK_RAW: c_int = 3;
const D_SOL_SOCKET: c_int = 0xffff;
const D_SO_SNDBUF: c_int = 0x1001;
const D_EINVAL: c_int = 22;

/// Ends the process: the code asked for something that is not translated.
fn refuse(what: std::fmt::Arguments<'_>) -> ! {
    eprintln!("darwin-loader: {what}: not translated to Linux; add it to libsystem.rs");
    std::process::abort();
}

thread_local! {
    /// Darwin's errno.
    static ERRNO: UnsafeCell<c_int> = const { UnsafeCell::new(0) };
}

/// __error(): where errno is.
extern "C" fn darwin_error() -> *mut c_int {
    ERRNO.with(UnsafeCell::get)
}

/// This thread's errno as Darwin's code left it.
pub fn darwin_errno() -> c_int {
    // SAFETY: this thread's cell, to which nobody has a reference.
    unsafe { *darwin_error() }
}

/// Set what [`darwin_errno`] gets.
pub fn set_darwin_errno(number: c_int) {
    // SAFETY: this thread's cell, to which nobody has a reference.
    unsafe { *darwin_error() = number };
}

/// What a libc function returned; after a failure with Darwin's errno set.
fn result(value: c_int) -> c_int {
    if value == -1 {
        let number = std::io::Error::last_os_error().raw_os_error();
        match number.and_then(errno::of_linux) {
            Some(errno) => set_darwin_errno(errno.darwin),
            None => refuse(format_args!("errno {number:?} of Linux")),
        }
    }
    value
}

unsafe extern "C" fn open(path: *const c_char, flags: c_int) -> c_int {
    // The access modes are the same, and no other flag is.
    if flags & !D_O_ACCMODE != 0 {
        refuse(format_args!("open with flags {flags:#x}"));
    }
    // SAFETY: the caller's path, NUL-terminated.
    result(unsafe { libc::open(path, flags) })
}

unsafe extern "C" fn close(fd: c_int) -> c_int {
    // SAFETY: the caller's descriptor.
    result(unsafe { libc::close(fd) })
}

unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_int) -> c_int {
    if (command, argument) != (D_F_SETFD, D_FD_CLOEXEC) {
        refuse(format_args!("fcntl({fd}, {command}, {argument})"));
    }
    // SAFETY: the command takes an int and touches no memory.
    result(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })
}

unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    // The numbers are Darwin's on both sides: the model takes no others.
    // SAFETY: the caller's argument, as the number says.
    result(unsafe { libc::ioctl(fd, request, argument) })
}

unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    let domain = match (domain, kind, protocol) {
        (D_AF_INET, D_SOCK_DGRAM, 0) => libc::AF_INET,
        // The model's, by Darwin's number.
        (D_AF_NDRV, D_SOCK_RAW, 0) => D_AF_NDRV,
        _ => refuse(format_args!("socket({domain}, {kind}, {protocol})")),
    };
    // SAFETY: no memory is touched; the types are the same on both.
    result(unsafe { libc::socket(domain, kind, protocol) })
}

unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: c_uint,
) -> c_int {
    if (level, option) != (D_SOL_SOCKET, D_SO_SNDBUF) {
        refuse(format_args!("setsockopt({fd}, {level:#x}, {option:#x})"));
    }
    // SAFETY: the caller's value of that length.
    result(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, value, length) })
}

// A sockaddr of Darwin begins with its length, and of Linux it does not: only
// the model can take one.

unsafe extern "C" fn bind(fd: c_int, address: *const c_void, length: c_uint) -> c_int {
    // SAFETY: the caller's address of that length.
    result(unsafe { libc::bind(fd, address.cast(), length) })
}

unsafe extern "C" fn connect(fd: c_int, address: *const c_void, length: c_uint) -> c_int {
    // SAFETY: the caller's address of that length.
    result(unsafe { libc::connect(fd, address.cast(), length) })
}

unsafe extern "C" fn strerror_r(number: c_int, buffer: *mut c_char, length: usize) -> c_int {
    let (mut text, status) = match errno::of_darwin(number) {
        Some(errno) => (errno.text.to_string(), 0),
        None => (format!("Unknown error: {number}"), D_EINVAL),
    };
    text.push('\0');
    if text.len() > length {
        refuse(format_args!("strerror_r to {length} bytes"));
    }
    // SAFETY: the caller's buffer has room for length bytes, and for the text.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), text.len()) };
    status
}

/// What an import that is bound at its first call goes through. All are bound
/// before, so that nothing does.
extern "C" fn stub_binder() -> ! {
    refuse(format_args!("a call of dyld_stub_binder"));
}
