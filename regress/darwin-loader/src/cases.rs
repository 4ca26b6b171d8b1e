// SPDX-License-Identifier: ISC

//! What is run, and printed: each line must be the same for the code compiled
//! for macOS and for Linux. errno is printed by its name, and in the sentences
//! strerror's text is replaced by that name: number and text differ between
//! the systems, and nothing else may.

use crate::errno;
use crate::image::Image;
use ::rust_tun::ffi::{RUST_TUN_ERRMSG_LEN, rust_tun, rust_tun_counts};
use rust_tun_testing::BpfRead;
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, RawFd};
use std::ptr::{null, null_mut};

const USAGE: &str = "usage: darwin-loader IMAGE open UNIT | IMAGE carry UNIT | \
                     IMAGE arguments | IMAGE filters SEED READS | errno";

pub fn run(words: &[&str]) -> Result<(), String> {
    let number = |word: &str| word.parse().map_err(|_| USAGE.to_string());
    let out = io::stdout().lock();
    let printed = match *words {
        ["errno"] => write_all(out, &errno::check_in_c()),
        [image, "open", unit] => open(&Image::load(image)?, out, number(unit)? as c_int),
        [image, "carry", unit] => carry(&Image::load(image)?, out, number(unit)? as c_int),
        [image, "arguments"] => arguments(&Image::load(image)?, out),
        [image, "filters", seed, reads] => {
            filters(&Image::load(image)?, out, number(seed)?, number(reads)?)
        }
        _ => return Err(USAGE.to_string()),
    };
    printed.map_err(|e| format!("cannot print: {e}"))
}

fn write_all(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())
}

// ---- the opening of a tunnel ------------------------------------------------

/// Calls rust_tun_open_feth() and prints what came of it, in all that a caller
/// can see. Descriptors of the tunnel are open until the process ends.
fn open(image: &Image, mut out: impl Write, unit: c_int) -> io::Result<()> {
    let before = descriptors()?;
    let mut tun = rust_tun {
        rfd: -7,
        wfd: -7,
        ..Default::default()
    };
    let len = RUST_TUN_ERRMSG_LEN as usize;
    let (result, said) = open_feth(image, unit, &mut tun, len);
    writeln!(out, "rust_tun_open_feth({unit}) = {result}{said}")?;
    writeln!(out, "rfd {}", descriptor(tun.rfd))?;
    writeln!(out, "wfd {}", descriptor(tun.wfd))?;
    writeln!(out, "rbuf_len {}", tun.rbuf_len)?;
    writeln!(out, "ifname {}", hex(&tun.ifname.map(|c| c as u8)))?;
    for (fd, what) in descriptors()? {
        if !before.contains_key(&fd) {
            writeln!(out, "now open: {fd} {what}")?;
        }
    }
    out.flush()
}

/// What cannot depend on the kernel: units and pointers that are refused, and
/// messages for which there is little room.
fn arguments(image: &Image, mut out: impl Write) -> io::Result<()> {
    let len = RUST_TUN_ERRMSG_LEN as usize;
    for unit in [-1, 5000, c_int::MIN, c_int::MAX] {
        let mut tun = rust_tun::default();
        let (result, said) = open_feth(image, unit, &mut tun, len);
        writeln!(out, "unit {unit}: {result}{said}")?;
    }
    let (result, said) = open_feth(image, 0, null_mut(), len);
    writeln!(out, "no struct: {result}{said}")?;
    // Cut within what is the same on both systems.
    for len in 0..=12 {
        let mut tun = rust_tun::default();
        let (result, said) = open_feth(image, -1, &mut tun, len);
        writeln!(out, "a message of {len}: {result}{said}")?;
    }
    out.flush()
}

/// Returns what rust_tun_open_feth() does and, if that is no success, its errno
/// and message; of the message also whether it kept to `len` bytes.
fn open_feth(image: &Image, unit: c_int, tun: *mut rust_tun, len: usize) -> (c_int, String) {
    const UNTOUCHED: u8 = 0xbb;
    let mut message = [UNTOUCHED; RUST_TUN_ERRMSG_LEN as usize + 16];
    let errmsg = message.as_mut_ptr().cast::<c_char>();
    // SAFETY: tun is null or valid, and message at least as long as any len.
    let result = unsafe { (image.open_feth)(unit, tun, errmsg, len) };
    let errno = image.errno();
    if message[len..].iter().any(|&byte| byte != UNTOUCHED) {
        return (result, " and wrote behind the message's room".to_string());
    }
    if result == 0 {
        return (result, String::new());
    }
    let Some(errno) = errno else {
        return (result, " with an unknown errno".to_string());
    };
    let end = message[..len].iter().position(|&byte| byte == 0);
    let text = String::from_utf8_lossy(&message[..end.unwrap_or(0)]).into_owned();
    let text = text.replacen(
        &format!(": {}; ", image.strerror(errno)),
        &format!(": <{}>; ", errno.name),
        1,
    );
    (result, format!(" {} \"{text}\"", errno.name))
}

/// A descriptor's number and its flags.
fn descriptor(fd: RawFd) -> String {
    // SAFETY: F_GETFD touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    // SAFETY: F_GETFL touches no memory.
    let status = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    format!("{fd}, FD {flags}, FL {status:#x}")
}

/// The open descriptors, and what they are, without the numbers of sockets.
fn descriptors() -> io::Result<BTreeMap<RawFd, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // The folder's own descriptor is gone by now.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let target = target.to_string_lossy().into_owned();
        let kind = target.split(":[").next().unwrap_or_default().to_string();
        if let Ok(fd) = entry.file_name().to_string_lossy().parse() {
            found.insert(fd, kind);
        }
    }
    found.retain(|_, kind| !kind.ends_with("/fd"));
    Ok(found)
}

/// Opens a tunnel and carries a frame after the other both ways, as port-net.c
/// would: read, infilter; outfilter, write. What the primary's side sees is
/// printed, too.
fn carry(image: &Image, mut out: impl Write, unit: c_int) -> io::Result<()> {
    let mut tun = rust_tun::default();
    let (result, said) = open_feth(image, unit, &mut tun, RUST_TUN_ERRMSG_LEN as usize);
    writeln!(out, "rust_tun_open_feth({unit}) = {result}{said}")?;
    if result != 0 {
        return out.flush();
    }
    // SAFETY: after success the descriptor is the caller's.
    let mut device = unsafe { File::from_raw_fd(tun.rfd) };
    // SAFETY: as above.
    let mut socket = unsafe { File::from_raw_fd(tun.wfd) };
    let mut primary = packet_socket(&format!("feth{unit}"))?;
    let mut buffer = vec![0; tun.rbuf_len as usize];
    let mut counts = rust_tun_counts::default();
    let mut random = Random(1);
    for len in [14, 15, 60, 61, 999, 1513, 1514] {
        let mut frame = random.bytes(len);
        frame[..6].copy_from_slice(&[0xff; 6]);
        frame[12..14].copy_from_slice(&ETHERTYPE);
        primary.write_all(&frame)?;
        let read = device.read(&mut buffer)?;
        let mut input = image.buffer();
        let bytes = buffer.as_ptr().cast();
        // SAFETY: counts and input are valid, and buffer has read bytes.
        unsafe { (image.infilter)(&mut counts, input.as_ptr(), bytes, read) };
        writeln!(out, "in {}: {}", counted(&counts), hex(input.bytes()))?;

        // Back, from another address, so that it is not what came in.
        frame[6] ^= 0xff;
        for len in [13, len] {
            // SAFETY: counts is valid, and frame longer than that.
            let pass = unsafe { (image.outfilter)(&mut counts, frame.as_ptr().cast(), len) };
            writeln!(out, "out {len}: {pass} {}", counted(&counts))?;
            if pass == 1 {
                socket.write_all(&frame[..len])?;
                let got = primary.read(&mut buffer)?;
                writeln!(out, "arrived {}", hex(&buffer[..got]))?;
            }
        }
    }
    out.flush()
}

/// For local experiments (IEEE 802): no protocol of the kernel's takes it up.
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

/// A packet(7) socket on an interface of Linux, that does not see its own
/// frames.
fn packet_socket(interface: &str) -> io::Result<File> {
    let cerr = |result: c_int| match result {
        -1 => Err(io::Error::last_os_error()),
        other => Ok(other),
    };
    let protocol = u16::from_be_bytes(ETHERTYPE).to_be();
    let name = CString::new(interface)?;
    // SAFETY: the name is NUL-terminated.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    // SAFETY: no memory is touched.
    let fd = cerr(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) })?;
    // SAFETY: the descriptor has just been made, and is ours alone.
    let socket = unsafe { File::from_raw_fd(fd) };
    let on: c_int = 1;
    let len = size_of::<c_int>() as libc::socklen_t;
    let value = (&raw const on).cast();
    // SAFETY: the kernel reads one int.
    cerr(unsafe { libc::setsockopt(fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, value, len) })?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol,
        sll_ifindex: index as c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads an address of that length.
    cerr(unsafe { libc::bind(fd, (&raw const address).cast(), len) })?;
    Ok(socket)
}

/// linux/if_packet.h
const PACKET_IGNORE_OUTGOING: c_int = 23;

// ---- the filters ------------------------------------------------------------

fn filters(image: &Image, mut out: impl Write, seed: u64, reads: u64) -> io::Result<()> {
    for (name, read) in made_by_hand() {
        infilter(image, &mut out, &name, &read)?;
    }
    let mut random = Random(seed | 1);
    for n in 0..reads {
        infilter(image, &mut out, &format!("random {n}"), &random.read())?;
    }
    without_room(image, &mut out)?;
    without_pointers(image, &mut out)?;
    outfilter(image, &mut out, &mut random)?;
    out.flush()
}

/// One read through rust_tun_bpf_infilter(), behind what was there already.
fn infilter(image: &Image, out: &mut impl Write, name: &str, read: &[u8]) -> io::Result<()> {
    // In memory as long as the read, so that nothing behind it is ours to read,
    // and at an odd address half of the times.
    let mut memory = vec![0; read.len() % 2];
    memory.extend_from_slice(read);
    let read = &memory[read.len() % 2..];
    let mut counts = rust_tun_counts::default();
    let mut input = image.buffer();
    input.put(b"before");
    // SAFETY: counts and input are valid, and the slice is that long.
    unsafe {
        (image.infilter)(
            &mut counts,
            input.as_ptr(),
            read.as_ptr().cast(),
            read.len(),
        )
    };
    writeln!(out, "infilter {name}: {}", counted(&counts))?;
    writeln!(out, "    of {} made {}", read.len(), hex(input.bytes()))
}

/// Reads for which the input has no room, or just enough.
fn without_room(image: &Image, out: &mut impl Write) -> io::Result<()> {
    let mut read = BpfRead::default();
    read.packet(&[0x5a; 1000]).packet(&[0xa5; 1000]);
    for max in [64, 1000, 2000, 2022, 2023, 2024, 4096] {
        let mut counts = rust_tun_counts::default();
        let mut input = image.buffer();
        input.set_max_size(max);
        let (ptr, len) = (read.bytes().as_ptr().cast(), read.bytes().len());
        // SAFETY: counts and input are valid, and the slice is that long.
        unsafe { (image.infilter)(&mut counts, input.as_ptr(), ptr, len) };
        writeln!(out, "infilter, room for {max}: {}", counted(&counts))?;
        writeln!(out, "    made {}", hex(input.bytes()))?;
    }
    Ok(())
}

/// Null pointers, and lengths that there are not.
fn without_pointers(image: &Image, out: &mut impl Write) -> io::Result<()> {
    let mut read = BpfRead::default();
    read.packet(&[1; 60]);
    let (ptr, len) = (read.bytes().as_ptr().cast::<c_void>(), read.bytes().len());
    let mut input = image.buffer();
    let buffer = input.as_ptr();
    for (name, buffer, ptr, len) in [
        ("no input", null_mut(), ptr, len),
        ("no bytes", buffer, null(), len),
        ("nothing", buffer, null(), 0),
        ("too many bytes", buffer, ptr, usize::MAX),
    ] {
        let mut counts = rust_tun_counts::default();
        // SAFETY: null is allowed, and a length beyond isize::MAX is not
        // believed.
        unsafe { (image.infilter)(&mut counts, buffer, ptr, len) };
        writeln!(out, "infilter, {name}: {}", counted(&counts))?;
        // SAFETY: as above.
        let passed = unsafe { (image.outfilter)(&mut counts, ptr, len) };
        writeln!(out, "outfilter, {name}: {passed} {}", counted(&counts))?;
    }
    // SAFETY: null is allowed.
    unsafe { (image.infilter)(null_mut(), buffer, ptr, len) };
    // SAFETY: null is allowed.
    let passed = unsafe { (image.outfilter)(null_mut(), ptr, len) };
    let made = hex(input.bytes());
    writeln!(out, "without counts: {passed}, made {made}")
}

/// Frames of every length up to a few headers, and some of any.
fn outfilter(image: &Image, out: &mut impl Write, random: &mut Random) -> io::Result<()> {
    let mut counts = rust_tun_counts::default();
    let short = 0..=64;
    let long = (0..64).map(|_| random.below(65536));
    for len in short.chain(long.collect::<Vec<_>>()) {
        let frame = random.bytes(len);
        // SAFETY: counts is valid, and the slice is that long.
        let passed = unsafe { (image.outfilter)(&mut counts, frame.as_ptr().cast(), len) };
        writeln!(out, "outfilter {len}: {passed} {}", counted(&counts))?;
    }
    Ok(())
}

/// Reads that the kernel makes, and reads that it does not.
fn made_by_hand() -> Vec<(String, Vec<u8>)> {
    let mut reads = Vec::new();
    let mut add = |name: String, make: &dyn Fn(&mut BpfRead)| {
        let mut read = BpfRead::default();
        make(&mut read);
        reads.push((name, read.bytes().to_vec()));
    };
    let frame = |len: usize| (0..len).map(|n| n as u8).collect::<Vec<_>>();

    add("nothing".to_string(), &|_| {});
    for len in [13, 14, 15, 16, 17, 60, 1513, 1514, 9014, 16384] {
        add(format!("one of {len}"), &|read| {
            read.packet(&frame(len));
        });
        add(format!("three of {len}"), &|read| {
            for _ in 0..3 {
                read.packet(&frame(len));
            }
        });
    }
    for hdrlen in [18, 19, 20, 21, 22, 32, 33, 256, 65535] {
        add(format!("a header of {hdrlen}"), &|read| {
            read.packet_at(hdrlen, &frame(61), 0)
                .packet(&frame(62))
                .packet_at(hdrlen, &frame(63), 0);
        });
    }
    for (len, lost) in [(0, 60), (13, 1), (14, 1), (59, 1), (60, u32::MAX - 60)] {
        add(format!("{len} of {lost} more"), &|read| {
            read.packet(&frame(60))
                .packet_at(18, &frame(len), lost)
                .packet(&frame(61));
        });
    }
    for (hdrlen, caplen, datalen) in [
        (17, 60, 60),
        (0, 60, 60),
        (18, 61, 60),
        (18, 60, 0),
        (18, 61, 61),
        (18, u32::MAX, u32::MAX),
        (18, u32::MAX - 18, u32::MAX),
        (79, 0, 0),
        (78, 0, 0),
        (u16::MAX, 60, 60),
        (18, 0, 0),
    ] {
        add(format!("lengths {hdrlen}, {caplen}, {datalen}"), &|read| {
            read.packet(&frame(60))
                .record(hdrlen, caplen, datalen, &frame(60))
                .packet(&frame(61));
        });
        add(
            format!("lengths {hdrlen}, {caplen}, {datalen} at the end"),
            &|read| {
                read.packet(&frame(60))
                    .record(hdrlen, caplen, datalen, &frame(60));
            },
        );
    }
    // And one read that ends everywhere.
    let mut read = BpfRead::default();
    read.packet(&frame(14)).packet(&frame(61));
    for len in 0..read.bytes().len() {
        let cut = read.bytes()[..len].to_vec();
        reads.push((format!("cut to {len}"), cut));
    }
    reads
}

/// The counts in the order of rust_tun.h.
fn counted(counts: &rust_tun_counts) -> String {
    let c = counts;
    format!(
        "reads {} in {} max {} truncated {} runts {} malformed {} nobufs {} out {} runts {} \
         too big {}",
        c.reads,
        c.in_frames,
        c.in_max,
        c.in_truncated,
        c.in_runts,
        c.in_malformed,
        c.in_nobufs,
        c.out_frames,
        c.out_runts,
        c.out_toobig
    )
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    text
}

/// Numbers that are the same for the same seed, by xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }

    /// A read: as the kernel makes it, or with some of its bytes changed and
    /// its end cut off, or of any bytes at all.
    fn read(&mut self) -> Vec<u8> {
        let kind = self.below(8);
        if kind == 0 {
            let len = self.below(256);
            return self.bytes(len);
        }
        let mut read = BpfRead::default();
        for _ in 0..self.below(12) {
            let len = match self.below(4) {
                0 => self.below(20),
                1 => 1400 + self.below(200),
                _ => self.below(200),
            };
            let frame = self.bytes(len);
            let hdrlen = 18
                + if self.below(8) == 0 {
                    self.below(20)
                } else {
                    0
                };
            let lost = if self.below(8) == 0 {
                self.below(100)
            } else {
                0
            };
            read.packet_at(hdrlen as u16, &frame, lost as u32);
        }
        let mut bytes = read.bytes().to_vec();
        if kind < 4 && !bytes.is_empty() {
            for _ in 0..self.below(4) {
                let at = self.below(bytes.len());
                bytes[at] = self.next() as u8;
            }
            bytes.truncate(bytes.len() - self.below(bytes.len().min(40)));
        }
        bytes
    }
}
