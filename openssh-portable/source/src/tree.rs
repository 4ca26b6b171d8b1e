// SPDX-License-Identifier: ISC

//! The unpacked trees: made under a temporary name and renamed when complete,
//! so that what carries its final name can be trusted, whatever was
//! interrupted before.

use crate::fetch::digest;
use crate::step::{self, progress};
use crate::{Error, Source};
use flate2::read::GzDecoder;
use rustix::fs::{FlockOperation, flock};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// In each tree: what it was made from.
pub const STAMP: &str = ".made-from";

impl Source {
    pub(crate) fn patched_tree(&self) -> Result<PathBuf, Error> {
        let name = format!("openssh-{}", self.pin.version);
        self.tree(&name, &self.patch_files()?)
    }

    pub(crate) fn upstream_tree(&self) -> Result<PathBuf, Error> {
        let name = format!("upstream-{}", self.pin.version);
        self.tree(&name, &[])
    }

    /// What a tree depends on, for cargo.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.patches.clone()];
        paths.extend(self.tarball.clone());
        paths.extend(self.src.clone());
        paths
    }

    /// The series, in order. The cover letter is no patch.
    fn patch_files(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match fs::read_dir(&self.patches) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::file("read", &self.patches, e)),
        };
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.ends_with(".patch") && !name.starts_with("0000-")
            })
            .collect();
        files.sort();
        Ok(files)
    }

    fn tree(&self, name: &str, patches: &[PathBuf]) -> Result<PathBuf, Error> {
        // Several build scripts may ask at once.
        let _lock = lock(&self.trees)?;

        // The user's own tarball is looked at even if its tree is there: a
        // wrong name should not pass unnoticed.
        let named = self.tarball.is_some() && self.src.is_none();
        let tarball = if named { Some(self.tarball()?) } else { None };
        let stamp = self.stamp(patches)?;
        let tree = self.trees.join(name);
        if fs::read_to_string(tree.join(STAMP)).is_ok_and(|made_from| made_from == stamp) {
            return Ok(tree);
        }

        self.remove_leftovers()?;
        let new = self.trees.join(format!(".new-{name}"));
        match &self.src {
            Some(src) => self.copy(src, &new)?,
            None => {
                let tarball = tarball.map_or_else(|| self.tarball(), Ok)?;
                unpack(&tarball, &new)?;
            }
        }
        self.apply(patches, &new)?;
        // The series may change configure.ac; a checkout has no configure.
        if !patches.is_empty() || !new.join("configure").exists() {
            let mut autoreconf = self.tool("autoreconf");
            autoreconf.arg("-f").current_dir(&new);
            step::run(
                &format!("{name}: autoreconf"),
                &mut autoreconf,
                &self.logs.join(format!("autoreconf-{name}.log")),
                "autoconf and automake must be installed (`make` sees to that), and patches/ must \
                 leave a valid configure.ac",
            )?;
        }
        write_stamp(&new.join(STAMP), &stamp)?;
        let old = self.trees.join(format!(".old-{name}"));
        if tree.exists() {
            fs::rename(&tree, &old).map_err(|e| Error::file("replace", &tree, e))?;
        }
        fs::rename(&new, &tree).map_err(|e| Error::file("create", &tree, e))?;
        self.remove_leftovers()?;
        Ok(tree)
    }

    /// Everything that a tree is made from, as text.
    fn stamp(&self, patches: &[PathBuf]) -> Result<String, Error> {
        let mut stamp = String::new();
        match &self.src {
            Some(src) => {
                let _ = writeln!(stamp, "tree {}", src.display());
                list(src, &mut stamp).map_err(|e| Error::file("read", src, e))?;
            }
            None => {
                let _ = writeln!(stamp, "tarball {}", self.pin.sha256);
            }
        }
        for patch in patches {
            let (sha256, _) = digest(patch).map_err(|e| Error::file("read", patch, e))?;
            let name = patch.file_name().unwrap_or_default().to_string_lossy();
            let _ = writeln!(stamp, "patch {name} {sha256}");
        }
        Ok(stamp)
    }

    /// What an interrupted run left: unfinished trees, never trusted.
    fn remove_leftovers(&self) -> Result<(), Error> {
        let entries = fs::read_dir(&self.trees).map_err(|e| Error::file("read", &self.trees, e))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(".new-") || name.starts_with(".old-") {
                fs::remove_dir_all(&path).map_err(|e| Error::file("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// Copies the user's own tree, times included, which make goes by.
    fn copy(&self, src: &Path, to: &Path) -> Result<(), Error> {
        if !src.join("configure.ac").is_file() || !src.join("sshbuf.h").is_file() {
            return Err(Error::new(format!(
                "OPENSSH_SRC: {} is not an openssh-portable tree (no configure.ac, no sshbuf.h); \
                 name the folder that holds them",
                src.display()
            )));
        }
        if src.join("config.status").exists() {
            return Err(Error::new(format!(
                "OPENSSH_SRC: {} has been built in, and its objects would be taken for ours; run \
                 `make distclean` there, or name a clean copy",
                src.display()
            )));
        }
        let copied = self.tool("cp").arg("-pR").arg(src).arg(to).output();
        let copied = copied.map_err(|e| Error::new(format!("cannot run cp: {e}")))?;
        if !copied.status.success() {
            return Err(Error::new(format!(
                "cannot copy OPENSSH_SRC: {}",
                crate::fetch::complaint(&copied.stderr, "cp failed")
            )));
        }
        progress(&format!(
            "OpenSSH from {}, whose content is not checked",
            src.display()
        ));
        Ok(())
    }

    /// Applies the series, each patch exactly where it says or not at all.
    fn apply(&self, patches: &[PathBuf], tree: &Path) -> Result<(), Error> {
        let begun = Instant::now();
        for file in patches {
            let mut patch = self.tool("patch");
            patch
                .args(["-p1", "-f", "-F", "0", "-i"])
                .arg(file)
                .current_dir(tree);
            let run = patch.output().map_err(|e| {
                Error::new(format!(
                    "cannot run patch: {e}; install patch (`make` sees to that)"
                ))
            })?;
            if !run.status.success() {
                let mut rejects = String::new();
                rejected(tree, &mut rejects);
                return Err(Error::new(format!(
                    "{}{}{rejects}{} does not apply to {}; mend it there, or build the release that \
                     it was made for",
                    String::from_utf8_lossy(&run.stdout),
                    String::from_utf8_lossy(&run.stderr),
                    file.display(),
                    self.src.as_ref().map_or_else(
                        || format!("OpenSSH {} with the patches before it", self.pin.version),
                        |src| format!("{} with the patches before it", src.display())
                    ),
                )));
            }
        }
        if !patches.is_empty() {
            let took = begun.elapsed().as_secs_f64();
            progress(&format!("{} patches applied: {took:.0} s", patches.len()));
        }
        Ok(())
    }
}

/// Makes `folder` if need be and locks it for as long as the result lives; a
/// process that dies lets go.
pub fn lock(folder: &Path) -> Result<File, Error> {
    fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(|e| Error::file("create", &path, e))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|e| Error::file("lock", &path, e.into()))?;
    Ok(file)
}

/// Unpacks a tarball without its leading folder.
fn unpack(tarball: &Path, to: &Path) -> Result<(), Error> {
    let failed = |e| Error::file("unpack", tarball, e);
    let file = File::open(tarball).map_err(failed)?;
    fs::create_dir_all(to).map_err(|e| Error::file("create", to, e))?;
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        let inside: PathBuf = path.components().skip(1).collect();
        if inside.as_os_str().is_empty() {
            continue;
        }
        // Pinned content has no such names; a wrong pin should do no harm.
        if !inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(failed(io::Error::other(format!(
                "it has a name {}",
                path.display()
            ))));
        }
        entry.unpack(to.join(&inside)).map_err(failed)?;
    }
    Ok(())
}

/// Writes what something was made from, with a time long past: build scripts
/// name such files to cargo, which would take one written during a run for a
/// change after it.
pub fn write_stamp(path: &Path, text: &str) -> Result<(), Error> {
    let write = || {
        fs::write(path, text)?;
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::options().write(true).open(path)?.set_modified(past)
    };
    write().map_err(|e| Error::file("write", path, e))
}

/// Name, size and time of every file of a folder, in order.
fn list(folder: &Path, into: &mut String) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name() == ".git" {
            continue;
        }
        let meta = entry.metadata()?;
        if meta.is_dir() {
            list(&entry.path(), into)?;
        } else {
            let time = meta
                .modified()?
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            let _ = writeln!(
                into,
                "{} {} {}",
                entry.path().display(),
                meta.len(),
                time.as_nanos()
            );
        }
    }
    Ok(())
}

/// The rejects that patch left below a folder.
fn rejected(folder: &Path, into: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            rejected(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rej") {
            into.push_str(&String::from_utf8_lossy(
                &fs::read(&path).unwrap_or_default(),
            ));
        }
    }
}
