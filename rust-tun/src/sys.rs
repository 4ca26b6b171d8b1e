// SPDX-License-Identifier: ISC

//! Checked system calls: -1 becomes the errno, a descriptor becomes an Fd,
//! and an ioctl's argument has the type that its number was made from.

use core::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use core::fmt;
use core::mem::size_of;

use crate::abi::{IFNAMSIZ, Plain, Request, SIOCGDRVSPEC, ifdrv, sockaddr_ndrv};

/// What a system call fails with.
pub(crate) type Errno = c_int;

/// The result of a system call whose failure is -1.
fn check(result: c_int) -> Result<c_int, Errno> {
    if result == -1 {
        Err(errno())
    } else {
        Ok(result)
    }
}

/// Where the calling thread's errno is.
fn errno_location() -> *mut Errno {
    #[cfg(target_os = "macos")]
    // SAFETY: __error() takes nothing and has no precondition.
    return unsafe { libc::__error() };
    #[cfg(not(target_os = "macos"))]
    // SAFETY: __errno_location() takes nothing and has no precondition.
    return unsafe { libc::__errno_location() };
}

fn errno() -> Errno {
    // SAFETY: this thread's errno, which lives as long as it does.
    unsafe { *errno_location() }
}

/// Set the calling thread's errno.
pub(crate) fn set_errno(errno: Errno) {
    // SAFETY: this thread's errno, which lives as long as it does.
    unsafe { *errno_location() = errno };
}

/// An open descriptor, closed when it is dropped.
pub(crate) struct Fd(c_int);

impl Fd {
    /// The descriptor, to be closed by the caller.
    pub fn into_raw(self) -> c_int {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: close() touches no memory, and the descriptor is ours.
        unsafe { libc::close(self.0) };
    }
}

/// An errno that is shown as what the system calls it.
pub(crate) struct Strerror(pub Errno);

impl fmt::Display for Strerror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 128];
        // SAFETY: text is that long and ours to write to.
        unsafe { libc::strerror_r(self.0, text.as_mut_ptr().cast::<c_char>(), text.len()) };
        // An unknown errno has a text too ("Unknown error 4711").
        match CStr::from_bytes_until_nul(&text).map(CStr::to_str) {
            Ok(Ok(text)) => f.write_str(text),
            _ => write!(f, "error {}", self.0),
        }
    }
}

/// Take over a descriptor that a system call has just returned, and close it
/// on exec.
fn own(fd: c_int) -> Result<Fd, Errno> {
    let fd = Fd(fd);
    // SAFETY: F_SETFD takes an int and touches no memory.
    check(unsafe { libc::fcntl(fd.0, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(fd)
}

/// open(2) for reading.
pub(crate) fn open(path: &CStr) -> Result<Fd, Errno> {
    // SAFETY: path is NUL-terminated.
    own(check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) })?)
}

/// socket(2).
pub(crate) fn socket(domain: c_int, kind: c_int) -> Result<Fd, Errno> {
    // SAFETY: socket() touches no memory.
    own(check(unsafe { libc::socket(domain, kind, 0) })?)
}

/// ioctl(2) with an argument.
pub(crate) fn ioctl<T: Plain>(
    fd: &Fd,
    request: &Request<T>,
    argument: &mut T,
) -> Result<(), Errno> {
    // SAFETY: the kernel reads and writes as many bytes as the number says,
    // which is the size of T, and any bytes are a valid T.
    unsafe { raw_ioctl(fd, request.number, (&raw mut *argument).cast()) }
}

/// ioctl(2) without an argument.
pub(crate) fn ioctl_void(fd: &Fd, request: &Request<()>) -> Result<(), Errno> {
    // SAFETY: the number says that there is no argument.
    unsafe { raw_ioctl(fd, request.number, core::ptr::null_mut()) }
}

/// SIOCGDRVSPEC: have the driver of the interface `name` fill `answer`.
pub(crate) fn get_drvspec<T: Plain>(
    fd: &Fd,
    name: [u8; IFNAMSIZ],
    command: c_ulong,
    answer: &mut T,
) -> Result<(), Errno> {
    let mut argument = ifdrv {
        ifd_name: name,
        ifd_cmd: command,
        ifd_len: size_of::<T>(),
        ifd_data: (&raw mut *answer).cast(),
    };
    // SAFETY: the kernel reads an ifdrv, as the number says; the driver writes
    // at most ifd_len bytes to ifd_data, and any bytes are a valid T.
    unsafe { raw_ioctl(fd, SIOCGDRVSPEC.number, (&raw mut argument).cast()) }
}

/// # Safety
/// `argument` must be what the kernel takes `number`'s argument for.
unsafe fn raw_ioctl(fd: &Fd, number: c_ulong, argument: *mut c_void) -> Result<(), Errno> {
    // SAFETY: the caller vouches for the argument.
    check(unsafe { libc::ioctl(fd.0, number as _, argument) })?;
    Ok(())
}

/// setsockopt(2) of an int at SOL_SOCKET.
pub(crate) fn setsockopt_int(fd: &Fd, option: c_int, value: c_int) -> Result<(), Errno> {
    // SAFETY: the kernel reads one int.
    check(unsafe {
        libc::setsockopt(
            fd.0,
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// bind(2).
pub(crate) fn bind(fd: &Fd, address: &sockaddr_ndrv) -> Result<(), Errno> {
    let length = size_of::<sockaddr_ndrv>() as libc::socklen_t;
    // SAFETY: the kernel reads length bytes, the size of the address.
    check(unsafe { libc::bind(fd.0, (&raw const *address).cast(), length) })?;
    Ok(())
}

/// connect(2).
pub(crate) fn connect(fd: &Fd, address: &sockaddr_ndrv) -> Result<(), Errno> {
    let length = size_of::<sockaddr_ndrv>() as libc::socklen_t;
    // SAFETY: the kernel reads length bytes, the size of the address.
    check(unsafe { libc::connect(fd.0, (&raw const *address).cast(), length) })?;
    Ok(())
}
