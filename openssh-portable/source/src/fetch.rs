// SPDX-License-Identifier: ISC

//! The pinned tarball: the places it may come from, in order, and the check
//! that nothing else is ever built.

use crate::step::progress;
use crate::{Error, Source};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

impl Source {
    /// The tarball, verified: the user's own, one downloaded before, Debian's
    /// source package, or the release server's.
    pub(crate) fn tarball(&self) -> Result<PathBuf, Error> {
        if let Some(named) = &self.tarball {
            return self.named_tarball(named);
        }
        if let Some(kept) = self.in_folder(&self.download) {
            self.verify(
                &kept,
                &kept.display().to_string(),
                "delete that file and build again",
            )?;
            return Ok(kept);
        }
        self.downloaded()
    }

    fn named_tarball(&self, named: &Path) -> Result<PathBuf, Error> {
        let found = if named.is_dir() {
            self.in_folder(named).ok_or_else(|| {
                let [debian, upstream] = self.pin.names;
                Error::new(format!(
                    "OPENSSH_TARBALL: there is neither {debian} nor {upstream} in {}; name the \
                     file itself, or the folder that holds it",
                    named.display()
                ))
            })?
        } else {
            named.to_path_buf()
        };
        let version = self.pin.version;
        let remedy =
            format!("name the tarball of {version}, or an unpacked tree with OPENSSH_SRC=");
        self.verify(
            &found,
            &format!("OPENSSH_TARBALL ({})", found.display()),
            &remedy,
        )?;
        Ok(found)
    }

    fn in_folder(&self, folder: &Path) -> Option<PathBuf> {
        self.pin
            .names
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.exists())
    }

    fn downloaded(&self) -> Result<PathBuf, Error> {
        let scratch = self.download.join(format!(".new-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).map_err(|e| Error::file("create", &scratch, e))?;
        let result = self.download_into(&scratch);
        // Whatever else came along, or came wrong, is not kept.
        let _ = fs::remove_dir_all(&scratch);
        result
    }

    fn download_into(&self, scratch: &Path) -> Result<PathBuf, Error> {
        let mut tried = Vec::new();
        let places = [
            (
                "Debian's source package",
                Source::debian_tarball as fn(&Source, &Path) -> _,
            ),
            (self.pin.url, Source::server_tarball),
        ];
        for (place, get) in places {
            let begun = Instant::now();
            match get(self, scratch) {
                Err(why) => tried.push(format!("\n  {place}: {why}")),
                Ok(file) => {
                    self.verify(
                        &file,
                        place,
                        "it was not kept; try again, or name your own copy with OPENSSH_TARBALL=",
                    )?;
                    let kept = self.download.join(self.pin.names[0]);
                    fs::rename(&file, &kept).map_err(|e| Error::file("create", &kept, e))?;
                    let took = begun.elapsed().as_secs_f64();
                    progress(&format!(
                        "OpenSSH {} from {place}: {took:.0} s",
                        self.pin.version
                    ));
                    return Ok(kept);
                }
            }
        }
        Err(Error::new(format!(
            "cannot get {} from anywhere:{}\nmend one of these, or name your own copy with \
             OPENSSH_TARBALL=, or an unpacked tree with OPENSSH_SRC=",
            self.pin.names[1],
            tried.concat()
        )))
    }

    /// From the project's release server, with whichever client there is.
    fn server_tarball(&self, scratch: &Path) -> Result<PathBuf, String> {
        let file = scratch.join(self.pin.names[1]);
        let mut curl = self.tool("curl");
        curl.args([
            "-fsSL",
            "--connect-timeout",
            "20",
            "--speed-limit",
            "1000",
            "--speed-time",
            "30",
        ])
        .args(["-o".as_ref(), file.as_os_str(), self.pin.url.as_ref()]);
        let mut wget = self.tool("wget");
        wget.args(["-nv", "--tries=2", "--timeout=20"]).args([
            "-O".as_ref(),
            file.as_os_str(),
            self.pin.url.as_ref(),
        ]);
        for client in [&mut curl, &mut wget] {
            match client.output() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(format!("cannot run {client:?}: {e}")),
                Ok(run) if run.status.success() => return Ok(file),
                Ok(run) => return Err(complaint(&run.stderr, "download failed")),
            }
        }
        Err("neither curl nor wget is installed".to_string())
    }

    /// A command looked up in this source's PATH, which speaks English.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env("PATH", &self.path)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    /// Stops unless `file` is the pinned tarball.
    fn verify(&self, file: &Path, from: &str, remedy: &str) -> Result<(), Error> {
        let (sha256, size) = digest(file).map_err(|e| Error::file("read", file, e))?;
        if sha256 == self.pin.sha256 {
            return Ok(());
        }
        Err(Error::new(format!(
            "this is not OpenSSH {}: expected SHA-256 {} ({} bytes), got {sha256} ({size} bytes) \
             from {from}; {remedy}",
            self.pin.version, self.pin.sha256, self.pin.size
        )))
    }
}

/// SHA-256, in lower-case hexadecimal, and size of a file.
pub(crate) fn digest(file: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(file)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buf = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buf)? {
            0 => break,
            n => {
                hash.update(&buf[..n]);
                size += n as u64;
            }
        }
    }
    Ok((format!("{:x}", hash.finalize()), size))
}

/// The last line of what a failed command said, for a list of reasons.
pub(crate) fn complaint(output: &[u8], otherwise: &str) -> String {
    let text = String::from_utf8_lossy(output);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or(otherwise).trim().to_string()
}
