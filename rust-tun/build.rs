// SPDX-License-Identifier: ISC

//! Makes the bindings of what C and Rust share: rust_tun.h, and OpenSSH's
//! sshbuf.h from the very tree that the library will be linked into.

use std::env;
use std::path::PathBuf;

fn main() -> Result<(), openssh_source::Error> {
    let ours = PathBuf::from("include/rust_tun.h");
    let sshbuf = openssh_source::patched_tree()?.join("sshbuf.h");
    openssh_source::rerun_if_changed();
    println!("cargo::rerun-if-changed=build.rs");
    for header in [&ours, &sshbuf] {
        println!("cargo::rerun-if-changed={}", header.display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindgen::Builder::default()
        .header(ours.display().to_string())
        .header(sshbuf.display().to_string())
        .allowlist_function("rust_tun_.*")
        .allowlist_function("sshbuf_reserve|sshbuf_consume_end")
        .allowlist_type("rust_tun.*")
        .allowlist_var("RUST_TUN_.*")
        .derive_default(true)
        .use_core()
        .formatter(bindgen::Formatter::None) // rustfmt may not be there
        .generate()
        .unwrap_or_else(|e| {
            panic!(
                "bindings of {} and {}: {e}",
                ours.display(),
                sshbuf.display()
            )
        })
        .write_to_file(out.join("bindings.rs"))
        .unwrap_or_else(|e| panic!("write bindings.rs to {}: {e}", out.display()));
    Ok(())
}
