// SPDX-License-Identifier: ISC

//! The filters through their C surface, on OpenSSH's own sshbuf.

use std::ptr::{null, null_mut};

use proptest::prelude::*;
use rust_tun::ffi::{rust_tun_bpf_infilter, rust_tun_bpf_outfilter, rust_tun_counts};
use rust_tun_testing::{BpfRead, Sshbuf};

fn infilter(counts: &mut rust_tun_counts, input: &mut Sshbuf, read: &[u8]) {
    // SAFETY: the pointers are valid, and read is not in input.
    unsafe { rust_tun_bpf_infilter(counts, input.as_ptr(), read.as_ptr().cast(), read.len()) };
}

#[test]
fn all_frames_of_a_read_are_appended_as_strings() {
    let mut input = Sshbuf::new();
    input.put(b"\0\0\0\x05first");
    let mut read = BpfRead::default();
    read.packet(&[1; 1514]).packet(&[2; 5]).packet(&[3; 61]);
    let mut counts = rust_tun_counts::default();
    infilter(&mut counts, &mut input, read.bytes());
    assert_eq!(
        input.take_strings(),
        [b"first".to_vec(), vec![1; 1514], vec![3; 61]]
    );
    assert_eq!(input.len(), 0);
    assert_eq!((counts.reads, counts.in_frames, counts.in_runts), (1, 2, 1));
}

#[test]
fn a_read_without_a_frame_leaves_the_input_as_it_was() {
    let mut input = Sshbuf::new();
    input.put(b"\0\0\0\x05first");
    let mut counts = rust_tun_counts::default();
    for read in [&[][..], &[0; 1], &[0xff; 17], &[0xff; 600]] {
        infilter(&mut counts, &mut input, read);
        assert_eq!(input.bytes(), b"\0\0\0\x05first");
    }
    assert_eq!(
        (counts.reads, counts.in_malformed, counts.in_frames),
        (4, 3, 0)
    );
}

#[test]
fn a_read_that_has_no_room_in_the_input_is_dropped_and_counted() {
    let mut input = Sshbuf::new();
    input.set_max_size(1000);
    let mut counts = rust_tun_counts::default();
    let mut read = BpfRead::default();
    read.packet(&[1; 600]);
    for _ in 0..3 {
        infilter(&mut counts, &mut input, read.bytes());
    }
    assert_eq!(
        (counts.reads, counts.in_frames, counts.in_nobufs),
        (3, 1, 2)
    );
    assert_eq!(input.take_strings(), [vec![1; 600]]);
    infilter(&mut counts, &mut input, read.bytes());
    assert_eq!(input.take_strings(), [vec![1; 600]]);
}

#[test]
fn null_pointers_do_no_harm() {
    let mut input = Sshbuf::new();
    let mut counts = rust_tun_counts::default();
    let mut read = BpfRead::default();
    read.packet(&[1; 60]);
    let (buf, len) = (read.bytes().as_ptr().cast(), read.bytes().len());
    // SAFETY: null is allowed, and what is not null is valid.
    unsafe { rust_tun_bpf_infilter(null_mut(), input.as_ptr(), buf, len) };
    // SAFETY: as above.
    unsafe { rust_tun_bpf_infilter(&mut counts, null_mut(), buf, len) };
    // SAFETY: as above.
    unsafe { rust_tun_bpf_infilter(&mut counts, input.as_ptr(), null(), len) };
    // SAFETY: as above.
    unsafe { rust_tun_bpf_infilter(&mut counts, input.as_ptr(), null(), 0) };
    assert_eq!(input.len(), 0);
    assert_eq!(
        (counts.in_nobufs, counts.in_malformed, counts.in_frames),
        (1, 1, 0)
    );
    // SAFETY: as above.
    let verdict = unsafe { rust_tun_bpf_outfilter(null_mut(), buf, len) };
    assert_eq!(verdict, 0);
    // SAFETY: as above.
    let verdict = unsafe { rust_tun_bpf_outfilter(&mut counts, null(), len) };
    assert_eq!(verdict, 0);
    assert_eq!((counts.out_frames, counts.out_runts), (0, 1));
}

#[test]
fn the_outfilter_says_what_to_write() {
    let mut counts = rust_tun_counts::default();
    for (len, verdict) in [(0, 0), (13, 0), (14, 1), (16384, 1), (16385, 0)] {
        let frame = vec![0; len];
        // SAFETY: the pointers are valid, and frame is len bytes long.
        let r = unsafe { rust_tun_bpf_outfilter(&mut counts, frame.as_ptr().cast(), len) };
        assert_eq!(r, verdict, "{len}");
    }
    assert_eq!(
        (counts.out_frames, counts.out_runts, counts.out_toobig),
        (2, 2, 1)
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_reads_come_out_as_the_strings_that_the_c_infilter_makes(
        reads in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..20),
            0..10,
        ),
        garbage in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (mut ours, mut theirs) = (Sshbuf::new(), Sshbuf::new());
        let mut counts = rust_tun_counts::default();
        for packets in &reads {
            let mut read = BpfRead::default();
            for packet in packets {
                read.packet(packet);
            }
            for bytes in [read.bytes(), &garbage] {
                infilter(&mut counts, &mut ours, bytes);
                theirs.c_infilter(bytes);
            }
            prop_assert_eq!(ours.bytes(), theirs.bytes());
        }
        let expected: Vec<_> = reads.concat().into_iter().filter(|p| p.len() >= 14).collect();
        prop_assert!(garbage.len() >= 18 || ours.take_strings() == expected);
    }
}
