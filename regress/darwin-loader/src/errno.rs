// SPDX-License-Identifier: ISC

//! errno as the two systems number and name it. Darwin's numbers are those of
//! bsd/sys/errno.h of XNU, its texts those of strerror(3) there. What only one
//! of the systems has is not in the table.

use std::ffi::c_int;

/// An errno that both systems have.
pub struct Errno {
    /// Its name in C, the same on both.
    pub name: &'static str,
    /// Its number on Darwin.
    pub darwin: c_int,
    /// Its number on Linux.
    pub linux: c_int,
    /// What strerror(3) says of it on Darwin.
    pub text: &'static str,
}

macro_rules! table {
    ($($name:ident $darwin:literal $text:literal,)*) => {
        &[$(Errno {
            name: stringify!($name),
            darwin: $darwin,
            linux: libc::$name,
            text: $text,
        }),*]
    };
}

// On Linux ENOTSUP is another name of EOPNOTSUPP, on Darwin it is not; the
// kernel's drivers return EOPNOTSUPP.
const TABLE: &[Errno] = table! {
    EPERM 1 "Operation not permitted",
    ENOENT 2 "No such file or directory",
    ESRCH 3 "No such process",
    EINTR 4 "Interrupted system call",
    EIO 5 "Input/output error",
    ENXIO 6 "Device not configured",
    E2BIG 7 "Argument list too long",
    ENOEXEC 8 "Exec format error",
    EBADF 9 "Bad file descriptor",
    ECHILD 10 "No child processes",
    EDEADLK 11 "Resource deadlock avoided",
    ENOMEM 12 "Cannot allocate memory",
    EACCES 13 "Permission denied",
    EFAULT 14 "Bad address",
    ENOTBLK 15 "Block device required",
    EBUSY 16 "Resource busy",
    EEXIST 17 "File exists",
    EXDEV 18 "Cross-device link",
    ENODEV 19 "Operation not supported by device",
    ENOTDIR 20 "Not a directory",
    EISDIR 21 "Is a directory",
    EINVAL 22 "Invalid argument",
    ENFILE 23 "Too many open files in system",
    EMFILE 24 "Too many open files",
    ENOTTY 25 "Inappropriate ioctl for device",
    ETXTBSY 26 "Text file busy",
    EFBIG 27 "File too large",
    ENOSPC 28 "No space left on device",
    ESPIPE 29 "Illegal seek",
    EROFS 30 "Read-only file system",
    EMLINK 31 "Too many links",
    EPIPE 32 "Broken pipe",
    EDOM 33 "Numerical argument out of domain",
    ERANGE 34 "Result too large",
    EAGAIN 35 "Resource temporarily unavailable",
    EINPROGRESS 36 "Operation now in progress",
    EALREADY 37 "Operation already in progress",
    ENOTSOCK 38 "Socket operation on non-socket",
    EDESTADDRREQ 39 "Destination address required",
    EMSGSIZE 40 "Message too long",
    EPROTOTYPE 41 "Protocol wrong type for socket",
    ENOPROTOOPT 42 "Protocol not available",
    EPROTONOSUPPORT 43 "Protocol not supported",
    ESOCKTNOSUPPORT 44 "Socket type not supported",
    EPFNOSUPPORT 46 "Protocol family not supported",
    EAFNOSUPPORT 47 "Address family not supported by protocol family",
    EADDRINUSE 48 "Address already in use",
    EADDRNOTAVAIL 49 "Can't assign requested address",
    ENETDOWN 50 "Network is down",
    ENETUNREACH 51 "Network is unreachable",
    ENETRESET 52 "Network dropped connection on reset",
    ECONNABORTED 53 "Software caused connection abort",
    ECONNRESET 54 "Connection reset by peer",
    ENOBUFS 55 "No buffer space available",
    EISCONN 56 "Socket is already connected",
    ENOTCONN 57 "Socket is not connected",
    ESHUTDOWN 58 "Can't send after socket shutdown",
    ETIMEDOUT 60 "Operation timed out",
    ECONNREFUSED 61 "Connection refused",
    ELOOP 62 "Too many levels of symbolic links",
    ENAMETOOLONG 63 "File name too long",
    EHOSTDOWN 64 "Host is down",
    EHOSTUNREACH 65 "No route to host",
    EOPNOTSUPP 102 "Operation not supported on socket",
};

/// The errno with this number on Darwin.
pub fn of_darwin(number: c_int) -> Option<&'static Errno> {
    TABLE.iter().find(|errno| errno.darwin == number)
}

/// The errno with this number on Linux.
pub fn of_linux(number: c_int) -> Option<&'static Errno> {
    TABLE.iter().find(|errno| errno.linux == number)
}

/// C that a compiler for macOS accepts if Darwin's numbers above are those of
/// its header.
pub fn check_in_c() -> String {
    let mut c = String::from("#include <sys/errno.h>\n");
    for Errno { name, darwin, .. } in TABLE {
        c += &format!("_Static_assert({name} == {darwin}, \"{name}\");\n");
    }
    c
}
