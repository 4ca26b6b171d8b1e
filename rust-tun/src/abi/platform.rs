// SPDX-License-Identifier: ISC

//! On macOS, and in the cross-build for it, everything in the abi module that
//! the platform's public headers have is what they have, or this does not
//! compile: the message has the name of what differs.

use core::mem::{align_of, offset_of, size_of};

use crate::abi;

/// What bindgen reads in platform.h.
#[allow(
    dead_code,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals
)]
#[allow(clippy::all, clippy::undocumented_unsafe_blocks)]
mod headers {
    include!(concat!(env!("OUT_DIR"), "/platform.rs"));
}

/// Each constant, and each ioctl's number, is what the headers have.
macro_rules! values {
    ($($name:ident $(.$number:ident)?),* $(,)?) => {$(
        const _: () = assert!(
            abi::$name$(.$number)? as u64 == headers::$name as u64,
            concat!("abi::", stringify!($name), " is not the platform's")
        );
    )*};
}

values! {
    IOCPARM_MASK,
    IOC_VOID,
    IOC_OUT,
    IOC_IN,
    BIOCSBLEN.number,
    BIOCPROMISC.number,
    BIOCGDLT.number,
    BIOCSETIF.number,
    BIOCIMMEDIATE.number,
    BIOCSSEESENT.number,
    DLT_EN10MB,
    BPF_ALIGNMENT,
    ETHER_HDR_LEN,
    AF_NDRV,
    IFNAMSIZ,
    IFF_UP,
    SIOCSIFFLAGS.number,
    SIOCGIFFLAGS.number,
    SIOCGIFMTU.number,
    SIOCGDRVSPEC.number,
}

const _: () = assert!(
    abi::BPF_WORDALIGN(0) as u64 == headers::BPF_WORDALIGN_0
        && abi::BPF_WORDALIGN(1) as u64 == headers::BPF_WORDALIGN_1
        && abi::BPF_WORDALIGN(4) as u64 == headers::BPF_WORDALIGN_4
        && abi::BPF_WORDALIGN(5) as u64 == headers::BPF_WORDALIGN_5,
    "abi::BPF_WORDALIGN is not the platform's"
);

/// The size of what a function that gets one field out of a struct returns.
const fn field_size<T, F>(_: fn(T) -> F) -> usize {
    size_of::<F>()
}

/// Each struct has the size and the alignment that the headers have, and each
/// of its fields the place and the size.
macro_rules! layouts {
    ($($name:ident { $($field:ident),* })*) => {$(
        const _: () = assert!(
            size_of::<abi::$name>() == size_of::<headers::$name>(),
            concat!("the size of abi::", stringify!($name), " is not the platform's")
        );
        const _: () = assert!(
            align_of::<abi::$name>() == align_of::<headers::$name>(),
            concat!("the alignment of abi::", stringify!($name), " is not the platform's")
        );
        $(
            const _: () = assert!(
                offset_of!(abi::$name, $field) == offset_of!(headers::$name, $field)
                    && field_size(|of: abi::$name| of.$field)
                        == field_size(|of: headers::$name| of.$field),
                concat!("abi::", stringify!($name), "::", stringify!($field),
                    " is not where the platform has it")
            );
        )*
    )*};
}

layouts! {
    bpf_hdr { bh_tstamp, bh_caplen, bh_datalen, bh_hdrlen }
    sockaddr_ndrv { snd_len, snd_family, snd_name }
    ifreq { ifr_name, ifr_ifru }
    ifdrv { ifd_name, ifd_cmd, ifd_len, ifd_data }
}

// The accessors of ifreq take both to be at the beginning of the union.
const _: () = assert!(
    offset_of!(headers::ifreq, ifr_ifru.ifru_flags) == offset_of!(abi::ifreq, ifr_ifru)
        && field_size(|of: headers::ifreq| of.ifr_ifru) == 16,
    "abi::ifreq::flags is not where the platform has it"
);
