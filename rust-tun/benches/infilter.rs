// SPDX-License-Identifier: ISC

//! How long the infilter takes over one bpf read, beside four baselines: a
//! memcpy of the same bytes, an sshbuf_put() of them, an infilter in C that
//! calls sshbuf_put_string() for each frame, and a walk that copies each frame
//! into an allocation of its own. The sshbuf is OpenSSH's; sshbuf_consume()
//! empties it after each read, as the channel code does, so that sshbuf_put()
//! is the least that any infilter can take.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rust_tun::bpf::{Record, Walk};
use rust_tun::ffi::{rust_tun_bpf_infilter, rust_tun_counts};
use rust_tun_testing::{BpfRead, Sshbuf};

/// Frames in a read, and bytes in each of them.
const READS: [(usize, usize); 4] = [(1, 1514), (4, 1514), (10, 1514), (200, 60)];

fn infilter(c: &mut Criterion) {
    for (frames, len) in READS {
        let mut read = BpfRead::default();
        for n in 0..frames {
            let frame: Vec<u8> = (0..len).map(|at| (n + at) as u8).collect();
            read.packet(&frame);
        }
        let read = read.bytes();
        let mut group = c.benchmark_group("infilter");
        group
            .throughput(Throughput::Bytes(read.len() as u64))
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(3));
        let id = |name| BenchmarkId::new(name, format!("{frames}x{len}"));

        group.bench_function(id("rust-tun"), |b| {
            let mut counts = rust_tun_counts::default();
            let mut input = Sshbuf::new();
            b.iter(|| {
                let read = black_box(read);
                // SAFETY: all three pointers are valid, and read is not in input.
                unsafe {
                    rust_tun_bpf_infilter(
                        &mut counts,
                        input.as_ptr(),
                        read.as_ptr().cast(),
                        read.len(),
                    );
                }
                input.consume();
            });
            assert_eq!(counts.in_frames, counts.reads * frames as u64);
        });
        group.bench_function(id("memcpy"), |b| {
            let mut out = vec![0; read.len()];
            b.iter(|| {
                out.copy_from_slice(black_box(read));
                black_box(&mut out);
            });
        });
        group.bench_function(id("sshbuf-put"), |b| {
            let mut input = Sshbuf::new();
            b.iter(|| {
                input.put(black_box(read));
                input.consume();
            });
        });
        group.bench_function(id("c-put-string"), |b| {
            let mut input = Sshbuf::new();
            b.iter(|| {
                input.c_infilter(black_box(read));
                input.consume();
            });
        });
        group.bench_function(id("vec-per-frame"), |b| {
            let mut input = Vec::with_capacity(frames);
            b.iter(|| {
                for record in Walk::new(black_box(read)) {
                    if let Record::Frame(frame) = record {
                        input.push(frame.to_vec());
                    }
                }
                black_box(&mut input);
                input.clear();
            });
        });
        group.finish();
    }
}

criterion_group!(benches, infilter);
criterion_main!(benches);
