// SPDX-License-Identifier: ISC

//! Makes the bindings of what C and Rust share: rust_tun.h, and OpenSSH's
//! sshbuf.h from the very tree that the library will be linked into. For macOS
//! also those of its own headers, which the abi module is compared with.

use std::env;
use std::path::{Path, PathBuf};

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
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("macos") {
        platform(&out);
    }
    Ok(())
}

/// Gives the variables of platform.h the names of the macros that they are for.
#[derive(Debug)]
struct Values;

impl bindgen::callbacks::ParseCallbacks for Values {
    fn item_name(&self, item: bindgen::callbacks::ItemInfo<'_>) -> Option<String> {
        item.name.strip_prefix("VALUE_").map(str::to_string)
    }
}

/// Reads the platform's headers, for src/abi/platform.rs to compare with.
fn platform(out: &Path) {
    let header = "src/abi/platform.h";
    println!("cargo::rerun-if-changed={header}");
    bindgen::Builder::default()
        .header(header)
        .allowlist_file(header)
        .allowlist_type("bpf_hdr|sockaddr_ndrv|ifreq|ifdrv")
        .parse_callbacks(Box::new(Values))
        .layout_tests(false)
        .use_core()
        .formatter(bindgen::Formatter::None)
        .generate()
        .unwrap_or_else(|e| {
            panic!(
                "bindings of {header} for {}: {e}; the compiler must find macOS's headers: on a \
                 Mac xcode-select --install brings them, elsewhere make darwin",
                env::var("TARGET").unwrap_or_default()
            )
        })
        .write_to_file(out.join("platform.rs"))
        .unwrap_or_else(|e| panic!("write platform.rs to {}: {e}", out.display()));
}
