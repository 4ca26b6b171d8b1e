// SPDX-License-Identifier: ISC

//! The walk over a bpf read and the filters, on plain bytes: what the kernel
//! writes comes out as it went in, and nothing that anybody could write does
//! harm. Runs under Miri, too.

use proptest::prelude::*;
use rust_tun::bpf::{Record, Walk};
use rust_tun::ffi::rust_tun_counts;
use rust_tun::filter::{infilter, infilter_max, outfilter};
use rust_tun_testing::BpfRead;

use Record::{Frame, Malformed, Runt, Truncated};

/// All there is, or a few more than there can be of a walk that does not end.
fn walk(read: &[u8]) -> Vec<Record<'_>> {
    Walk::new(read).take(read.len() + 2).collect()
}

/// A frame of `len` bytes that differs from frames of other lengths.
fn frame(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + len) as u8).collect()
}

#[test]
fn one_frame_comes_out_whole() {
    let frame = frame(98);
    let mut read = BpfRead::default();
    read.packet(&frame);
    assert_eq!(walk(read.bytes()), [Frame(&frame)]);
}

#[test]
fn the_bytes_of_a_read_of_two_frames_are_the_kernels() {
    // Put together by hand: 14 and 15 bytes of packet behind 18 of header, so
    // that the first ends on a multiple of 4 and the second does not.
    #[rustfmt::skip]
    let parts: [&[u8]; 10] = [
        &[1, 2, 3, 4], &[5, 6, 7, 8], &14u32.to_ne_bytes(), &14u32.to_ne_bytes(), &18u16.to_ne_bytes(),
        b"fourteen bytes",
        &[1, 2, 3, 4, 5, 6, 7, 8], &[15u32.to_ne_bytes(), 15u32.to_ne_bytes()].concat(), &18u16.to_ne_bytes(),
        b"fifteen bytes--",
    ];
    assert_eq!(
        walk(&parts.concat()),
        [Frame(b"fourteen bytes"), Frame(b"fifteen bytes--")]
    );
}

#[test]
fn frames_of_every_alignment_come_out_in_order() {
    let frames: Vec<_> = (60..68).map(frame).collect();
    let mut read = BpfRead::default();
    for frame in &frames {
        read.packet(frame);
    }
    let expected: Vec<_> = frames.iter().map(|f| Frame(f)).collect();
    assert_eq!(walk(read.bytes()), expected);
}

#[test]
fn a_padded_last_frame_ends_the_read_like_an_unpadded_one() {
    let frame = frame(61);
    let mut read = BpfRead::default();
    read.packet(&frame);
    assert_eq!(read.bytes().len() % 4, 3);
    for padding in 0..=1 {
        let bytes = [read.bytes(), &[0][..padding]].concat();
        assert_eq!(walk(&bytes), [Frame(&frame)]);
    }
}

#[test]
fn the_packet_begins_where_hdrlen_says() {
    let frame = frame(60);
    let mut read = BpfRead::default();
    for hdrlen in [18, 20, 24, 600] {
        read.packet_at(hdrlen, &frame, 0);
    }
    assert_eq!(walk(read.bytes()), [Frame(&frame); 4]);
}

#[test]
fn a_truncated_packet_is_not_a_frame_and_the_next_one_is() {
    let frame = frame(60);
    let mut read = BpfRead::default();
    read.packet_at(18, &frame[..59], 1).packet(&frame);
    assert_eq!(walk(read.bytes()), [Truncated, Frame(&frame)]);
}

#[test]
fn a_runt_is_not_a_frame_and_the_next_one_is() {
    let frame = frame(14);
    let mut read = BpfRead::default();
    read.packet(&frame[..13]).packet(&[]).packet(&frame);
    assert_eq!(walk(read.bytes()), [Runt, Runt, Frame(&frame)]);
}

#[test]
fn an_empty_read_has_no_packet() {
    assert_eq!(walk(&[]), []);
}

#[test]
fn a_header_that_the_read_cuts_short_is_malformed() {
    let frame = frame(60);
    let mut read = BpfRead::default();
    read.packet(&frame).packet(&frame);
    for header in 1..18 {
        assert_eq!(
            walk(&read.bytes()[..80 + header]),
            [Frame(&frame), Malformed],
            "{header} bytes of header"
        );
    }
}

#[test]
fn a_packet_that_the_read_cuts_short_is_malformed() {
    let frame = frame(60);
    let mut read = BpfRead::default();
    read.packet(&frame);
    for len in 18..78 {
        assert_eq!(walk(&read.bytes()[..len]), [Malformed], "{len} bytes");
    }
}

#[test]
fn nothing_is_walked_over_behind_lengths_that_contradict_themselves() {
    let frame = frame(60);
    for (hdrlen, caplen, datalen) in [
        (17, 60, 60),             // less than a header
        (0, 60, 60),              // the walk would stand still
        (u16::MAX, 60, 60),       // the packet begins behind the read
        (18, 61, 60),             // more captured than there was
        (18, 1 << 20, 1 << 20),   // the packet ends behind the read
        (18, u32::MAX, u32::MAX), // 18 + caplen is 17 in 32 bits
        (18, u32::MAX - 17, u32::MAX),
        (u16::MAX, u32::MAX, u32::MAX),
        (18, i32::MAX as u32, i32::MAX as u32),
    ] {
        let mut read = BpfRead::default();
        read.packet(&frame)
            .record(hdrlen, caplen, datalen, &frame)
            .packet(&frame);
        assert_eq!(
            walk(read.bytes()),
            [Frame(&frame), Malformed],
            "{hdrlen} {caplen} {datalen}"
        );
    }
}

#[test]
fn the_infilter_writes_big_endian_strings_and_counts() {
    let mut read = BpfRead::default();
    read.packet(&frame(300))
        .packet_at(18, &frame(20), 280)
        .packet(&frame(5))
        .packet(&frame(14))
        .record(17, 0, 0, &[]);
    let mut counts = rust_tun_counts::default();
    let mut out = vec![0; infilter_max(read.bytes().len())];
    let written = infilter(&mut counts, read.bytes(), &mut out);
    let expected = [&[0, 0, 1, 44][..], &frame(300), &[0, 0, 0, 14], &frame(14)].concat();
    assert_eq!(out[..written], expected);
    assert_eq!(
        (counts.in_frames, counts.in_max, counts.in_truncated),
        (2, 2, 1)
    );
    assert_eq!((counts.in_runts, counts.in_malformed), (1, 1));
    infilter(
        &mut counts,
        BpfRead::default().packet(&frame(14)).bytes(),
        &mut out,
    );
    assert_eq!((counts.in_frames, counts.in_max), (3, 2));
}

#[test]
fn a_read_of_one_frame_takes_exactly_the_room_that_is_reserved() {
    let mut counts = rust_tun_counts::default();
    for len in [14, 60, 1514, 16384] {
        let mut read = BpfRead::default();
        read.packet(&frame(len));
        let mut out = vec![0; infilter_max(read.bytes().len())];
        assert_eq!(infilter(&mut counts, read.bytes(), &mut out), out.len());
    }
}

#[test]
fn the_outfilter_drops_and_counts_what_has_no_ethernet_header() {
    let mut counts = rust_tun_counts::default();
    for len in [0, 5, 13] {
        assert!(!outfilter(&mut counts, &frame(len)), "{len}");
    }
    for len in [14, 60, 16384] {
        assert!(outfilter(&mut counts, &frame(len)), "{len}");
    }
    assert_eq!((counts.out_frames, counts.out_runts), (3, 3));
}

/// Reads as somebody could make them up: headers that nearly fit, and then
/// some bytes changed.
fn hostile_read() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![0..80u32, Just(u32::MAX), any::<u32>()];
    let hdrlen = prop_oneof![4 => Just(18u16), 1 => 0..40u16, 1 => any::<u16>()];
    let record = (hdrlen, 0..80usize, any::<bool>(), length.clone(), length).prop_map(
        |(hdrlen, len, honest, caplen, datalen)| {
            let honest = honest.then_some(len as u32);
            (
                hdrlen,
                honest.unwrap_or(caplen),
                honest.unwrap_or(datalen),
                len,
            )
        },
    );
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let records = prop::collection::vec(record, 0..12);
    (records, changes, any::<prop::sample::Index>()).prop_map(|(records, changes, end)| {
        let mut read = BpfRead::default();
        for (hdrlen, caplen, datalen, len) in records {
            read.record(hdrlen, caplen, datalen, &frame(len));
        }
        let mut bytes = read.bytes().to_vec();
        for (at, value) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        // Half of the reads are cut short somewhere.
        let end = end.index(2 * bytes.len() + 1);
        bytes.truncate(end);
        bytes
    })
}

/// What must hold for any bytes at all.
fn check_any(read: &[u8]) -> Result<(), TestCaseError> {
    let records = walk(read);
    // Every step but the last gets past a header.
    prop_assert!(records.len() <= read.len() / 18 + 1);
    let mut end = read.as_ptr_range().start;
    for (n, record) in records.iter().enumerate() {
        match record {
            Frame(frame) => {
                let frame = frame.as_ptr_range();
                prop_assert!(frame.start >= end && frame.end <= read.as_ptr_range().end);
                end = frame.end;
            }
            Malformed => prop_assert_eq!(n, records.len() - 1),
            Truncated | Runt => (),
        }
    }

    let mut counts = rust_tun_counts::default();
    let mut out = vec![0xaa; infilter_max(read.len())];
    let written = infilter(&mut counts, read, &mut out);
    let frames: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Frame(frame) => Some(*frame),
            _ => None,
        })
        .collect();
    let strings: Vec<u8> = frames
        .iter()
        .flat_map(|frame| [&(frame.len() as u32).to_be_bytes(), *frame].concat())
        .collect();
    prop_assert_eq!(&out[..written], &strings[..]);
    prop_assert!(out[written..].iter().all(|&byte| byte == 0xaa));
    prop_assert_eq!(counts.in_frames, frames.len() as u64);
    let dropped = counts.in_truncated + counts.in_runts + counts.in_malformed;
    prop_assert_eq!(counts.in_frames + dropped, records.len() as u64);
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig {
        // Miri takes a thousand times as long.
        cases: if cfg!(miri) { 40 } else { 5_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_are_walked_over_unharmed(
        read in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        check_any(&read)?;
    }

    #[test]
    fn any_headers_are_walked_over_unharmed(read in hostile_read()) {
        check_any(&read)?;
    }

    #[test]
    fn any_packets_come_out_as_they_went_in(
        packets in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..200), 18..30u16, 0..3u32),
            0..20,
        ),
    ) {
        let mut read = BpfRead::default();
        for (packet, hdrlen, lost) in &packets {
            read.packet_at(*hdrlen, packet, *lost);
        }
        let expected: Vec<_> = packets
            .iter()
            .map(|(packet, _, lost)| match (packet.len(), lost) {
                (_, 1..) => Truncated,
                (0..14, _) => Runt,
                _ => Frame(packet),
            })
            .collect();
        prop_assert_eq!(walk(read.bytes()), expected);
    }
}
