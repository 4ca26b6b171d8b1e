// SPDX-License-Identifier: ISC

//! Checked system calls: -1 becomes the errno, a descriptor becomes an OwnedFd,
//! and an ioctl's argument has the type that its number was made from.

use std::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

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

fn errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Set the calling thread's errno.
pub(crate) fn set_errno(errno: Errno) {
    #[cfg(target_os = "macos")]
    // SAFETY: __error() takes nothing and has no precondition.
    let location = unsafe { libc::__error() };
    #[cfg(not(target_os = "macos"))]
    // SAFETY: __errno_location() takes nothing and has no precondition.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: location is this thread's errno, which lives as long as it does.
    unsafe { *location = errno };
}

/// What the system calls `errno`.
pub(crate) fn strerror(errno: Errno) -> String {
    let mut text = [0u8; 128];
    // SAFETY: text is that long and ours to write to.
    unsafe { libc::strerror_r(errno, text.as_mut_ptr().cast::<c_char>(), text.len()) };
    // An unknown errno has a text too ("Unknown error 4711").
    CStr::from_bytes_until_nul(&text)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_else(|_| format!("error {errno}"))
}

/// Take over a descriptor that a system call has just returned, and close it
/// on exec.
fn own(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: fd is open and nobody else knows of it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: F_SETFD takes an int and touches no memory.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(fd)
}

/// open(2) for reading.
pub(crate) fn open(path: &CStr) -> Result<OwnedFd, Errno> {
    // SAFETY: path is NUL-terminated.
    own(check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) })?)
}

/// socket(2).
pub(crate) fn socket(domain: c_int, kind: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: socket() touches no memory.
    own(check(unsafe { libc::socket(domain, kind, 0) })?)
}

/// ioctl(2) with an argument.
pub(crate) fn ioctl<T: Plain>(
    fd: &OwnedFd,
    request: &Request<T>,
    argument: &mut T,
) -> Result<(), Errno> {
    // SAFETY: the kernel reads and writes as many bytes as the number says,
    // which is the size of T, and any bytes are a valid T.
    unsafe { raw_ioctl(fd, request.number, (&raw mut *argument).cast()) }
}

/// ioctl(2) without an argument.
pub(crate) fn ioctl_void(fd: &OwnedFd, request: &Request<()>) -> Result<(), Errno> {
    // SAFETY: the number says that there is no argument.
    unsafe { raw_ioctl(fd, request.number, std::ptr::null_mut()) }
}

/// SIOCGDRVSPEC: have the driver of the interface `name` fill `answer`.
pub(crate) fn get_drvspec<T: Plain>(
    fd: &OwnedFd,
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
unsafe fn raw_ioctl(fd: &OwnedFd, number: c_ulong, argument: *mut c_void) -> Result<(), Errno> {
    // SAFETY: the caller vouches for the argument.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), number as _, argument) })?;
    Ok(())
}

/// setsockopt(2) of an int at SOL_SOCKET.
pub(crate) fn setsockopt_int(fd: &OwnedFd, option: c_int, value: c_int) -> Result<(), Errno> {
    // SAFETY: the kernel reads one int.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// bind(2).
pub(crate) fn bind(fd: &OwnedFd, address: &sockaddr_ndrv) -> Result<(), Errno> {
    let length = size_of::<sockaddr_ndrv>() as libc::socklen_t;
    // SAFETY: the kernel reads length bytes, the size of the address.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const *address).cast(), length) })?;
    Ok(())
}

/// connect(2).
pub(crate) fn connect(fd: &OwnedFd, address: &sockaddr_ndrv) -> Result<(), Errno> {
    let length = size_of::<sockaddr_ndrv>() as libc::socklen_t;
    // SAFETY: the kernel reads length bytes, the size of the address.
    check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const *address).cast(), length) })?;
    Ok(())
}
