// SPDX-License-Identifier: ISC

//! Runs rust-tun as compiled for macOS on Linux: maps a Mach-O dylib of it
//! into this process, as dyld(1) would, and calls it. Below it are libc and,
//! with LD_PRELOAD, the Darwin model, as they are below the Linux build of the
//! same code, which this program loads and calls in the same way. What the two
//! print, and what the model logs about them, is then to be compared.
//!
//! Only x86_64: there, macOS and Linux call functions alike, variadic ones
//! included.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod cases;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod elf;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod errno;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod image;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod libsystem;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod macho;

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match cases::run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("darwin-loader: {sentence}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> ExitCode {
    eprintln!("darwin-loader: this is no Linux on x86_64; run it on one");
    ExitCode::FAILURE
}
