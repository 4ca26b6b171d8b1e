// SPDX-License-Identifier: ISC

//! Compiles sshbuf from the tree that OpenSSH is built from, and the C infilter
//! that the bench measures against.

use std::env;
use std::fs;
use std::path::PathBuf;

/// The tree's own files, and what they need from openbsd-compat.
const SOURCES: [&str; 5] = [
    "sshbuf.c",
    "sshbuf-getput-basic.c",
    "openbsd-compat/explicit_bzero.c",
    "openbsd-compat/freezero.c",
    "openbsd-compat/recallocarray.c",
];

fn main() -> Result<(), openssh_source::Error> {
    let tree = openssh_source::patched_tree()?;
    openssh_source::rerun_if_changed();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let header = tree.join("sshbuf.h");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=c");
    println!("cargo::rerun-if-changed={}", header.display());

    // The tree's includes.h wants a configured tree. Compiled from a copy
    // elsewhere, the files find ours in its place.
    let mut build = cc::Build::new();
    build.include("c").include(&tree).opt_level(2);
    for source in SOURCES {
        let from = tree.join(source);
        let to = out.join(from.file_name().expect("SOURCES are files"));
        fs::copy(&from, &to).unwrap_or_else(|e| panic!("copy {}: {e}", from.display()));
        println!("cargo::rerun-if-changed={}", from.display());
        build.file(to);
    }
    build
        .file("c/infilter.c")
        .file("c/ssh_signal.c")
        .compile("rust_tun_testing");

    bindgen::Builder::default()
        .header(header.display().to_string())
        .header("c/infilter.h")
        .allowlist_function(
            "sshbuf_(new|free|len|ptr|put|consume|set_max_size|get_string_direct)|c_infilter",
        )
        .formatter(bindgen::Formatter::None)
        .generate()
        .unwrap_or_else(|e| panic!("bindings of {}: {e}", header.display()))
        .write_to_file(out.join("bindings.rs"))
        .unwrap_or_else(|e| panic!("write bindings.rs to {}: {e}", out.display()));
    Ok(())
}
