// SPDX-License-Identifier: ISC

//! The pinned openssh-portable tree: where its tarball comes from, how it is
//! verified, and how the project's patches get onto it.
//!
//! No upstream source is kept in this repository. Build scripts ask for a tree
//! with [`patched_tree`] or [`upstream_tree`]; the first to ask brings it in,
//! the others wait for it or find it ready.

mod apt;
mod fetch;
pub mod step;
#[cfg(test)]
mod tests;
mod tree;

pub use tree::{STAMP, lock, write_stamp};

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// One upstream release, known by its content.
struct Pin {
    version: &'static str,
    /// What the tarball is called: by Debian, and by the project itself.
    names: [&'static str; 2],
    sha256: &'static str,
    size: u64,
    url: &'static str,
}

const OPENSSH: Pin = Pin {
    version: "10.0p1",
    names: ["openssh_10.0p1.orig.tar.gz", "openssh-10.0p1.tar.gz"],
    sha256: "021a2e709a0edf4250b1256bd5a9e500411a90dddabea830ed59cef90eb9d85c",
    size: 1_972_675,
    url: "https://cdn.openbsd.org/pub/OpenBSD/OpenSSH/portable/openssh-10.0p1.tar.gz",
};

/// The Debian suite whose openssh source package holds the pinned tarball.
const DEBIAN_SUITE: &str = "trixie";

/// The patched tree, brought in if it is not there yet: unpacked, with every
/// patch of patches/ applied and its configure made anew.
pub fn patched_tree() -> Result<PathBuf, Error> {
    Source::of_workspace().patched_tree()
}

/// The release as upstream made it, brought in if it is not there yet.
pub fn upstream_tree() -> Result<PathBuf, Error> {
    Source::of_workspace().upstream_tree()
}

/// The top of the workspace, for a build script of one of its packages.
pub fn workspace() -> PathBuf {
    // Cargo says at run time where the package is; what it said when this was
    // compiled goes wrong when the checkout is moved.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let package = PathBuf::from(package);
    let top = package
        .ancestors()
        .find(|folder| folder.join("openssh-portable/source").is_dir());
    top.unwrap_or(&package).to_path_buf()
}

/// Tells cargo when a build script that asked for a tree must run again.
pub fn rerun_if_changed() {
    let source = Source::of_workspace();
    println!("cargo::rerun-if-env-changed=OPENSSH_TARBALL");
    println!("cargo::rerun-if-env-changed=OPENSSH_SRC");
    for path in source.inputs() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// Where everything is: in production the workspace and the environment, in
/// the tests a folder and small files of their own.
struct Source {
    pin: Pin,
    /// patches/, where the series is.
    patches: PathBuf,
    /// Where the trees go.
    trees: PathBuf,
    /// Where a downloaded tarball is kept.
    download: PathBuf,
    /// Where the output of long commands goes.
    logs: PathBuf,
    /// apt's configuration, read for the machine's own mirror.
    etc_apt: PathBuf,
    /// OPENSSH_TARBALL: the user's own tarball, or the folder that holds it.
    tarball: Option<PathBuf>,
    /// OPENSSH_SRC: the user's own unpacked tree.
    src: Option<PathBuf>,
    /// PATH, to look for tar's and apt's kin in.
    path: OsString,
}

impl Source {
    fn of_workspace() -> Source {
        let top = workspace();
        // An empty value is what `make OPENSSH_SRC=` leaves: not set.
        let named = |name| {
            let value = std::env::var_os(name).filter(|v| !v.is_empty())?;
            Some(top.join(value))
        };
        Source {
            pin: OPENSSH,
            patches: top.join("patches"),
            trees: top.join("openssh-portable/tree"),
            download: top.join("openssh-portable/download"),
            logs: top.join("target/openssh"),
            etc_apt: PathBuf::from("/etc/apt"),
            tarball: named("OPENSSH_TARBALL"),
            src: named("OPENSSH_SRC"),
            path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }
}

/// What went wrong, in words for the person who builds: what failed, on what,
/// and what to do next.
pub struct Error(String);

impl Error {
    pub fn new(sentence: impl Into<String>) -> Error {
        Error(sentence.into())
    }

    /// An operating-system error on a file: `Error::file("create", path, e)`.
    pub fn file(verb: &str, path: &Path, error: io::Error) -> Error {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "; if another user built here before, build as that user or remove it"
            }
            io::ErrorKind::StorageFull => "; make room and build again",
            _ => "",
        };
        Error(format!("cannot {verb} {}: {error}{hint}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// Build scripts end with `Err`, which prints this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
