// SPDX-License-Identifier: ISC

//! Debian's source package of openssh, whose orig tarball is upstream's
//! release, through apt (apt-get(8), sources.list(5)) from the mirror that the
//! machine uses anyway. apt's own configuration is read, never written: lists
//! and caches of this run live in a folder that is thrown away.

use crate::fetch::complaint;
use crate::{DEBIAN_SUITE, Source};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

impl Source {
    /// Fetches the tarball into a folder below `scratch`.
    pub(crate) fn debian_tarball(&self, scratch: &Path) -> Result<PathBuf, String> {
        match self.tool("apt-get").arg("--version").output() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err("apt-get is not installed".to_string());
            }
            Err(e) => return Err(format!("apt-get: {e}")),
            Ok(_) => {}
        }
        let mirrors = mirrors(&self.etc_apt);
        let mut why = format!(
            "no Debian mirror is configured in {}",
            self.etc_apt.display()
        );
        for (n, mirror) in mirrors.iter().enumerate() {
            let root = scratch.join(format!("apt-{n}"));
            match self.mirror_tarball(mirror, &root) {
                Ok(file) => return Ok(file),
                Err(e) => why = format!("{mirror}: {e}"),
            }
        }
        Err(why)
    }

    fn mirror_tarball(&self, mirror: &str, root: &Path) -> Result<PathBuf, String> {
        for folder in ["lists/partial", "cache/archives/partial", "got"] {
            fs::create_dir_all(root.join(folder)).map_err(|e| e.to_string())?;
        }
        // The machine may not know this suite's key, nor need it: the tarball
        // is checked against the pinned hash.
        let list = root.join("sources.list");
        fs::write(
            &list,
            format!("deb-src [trusted=yes] {mirror} {DEBIAN_SUITE} main\n"),
        )
        .map_err(|e| e.to_string())?;
        let apt = || {
            let mut command = self.tool("apt-get");
            let paths = [
                ("Dir::Etc::sourcelist", list.as_path()),
                ("Dir::Etc::sourceparts", Path::new("/dev/null")),
                ("Dir::State", root),
                ("Dir::State::lists", &root.join("lists")),
                ("Dir::Cache", &root.join("cache")),
            ];
            for (option, path) in paths {
                command
                    .arg("-o")
                    .arg(format!("{option}={}", path.display()));
            }
            // apt's own user may not enter this folder.
            for option in [
                "APT::Sandbox::User=root",
                "APT::Update::Error-Mode=any",
                "Acquire::Languages=none",
                "Acquire::Check-Valid-Until=false",
                "Acquire::http::Timeout=20",
                "Acquire::https::Timeout=20",
            ] {
                command.args(["-o", option]);
            }
            command.arg("-q").current_dir(root.join("got"));
            command
        };
        let mut update = apt();
        update.arg("update");
        let mut source = apt();
        source.args(["source", "--download-only", "--tar-only", "openssh"]);
        for command in [&mut update, &mut source] {
            let run = command.output().map_err(|e| e.to_string())?;
            if !run.status.success() {
                return Err(reason(&run.stderr));
            }
        }
        let file = root.join("got").join(self.pin.names[0]);
        if !file.exists() {
            return Err(format!(
                "{DEBIAN_SUITE} no longer has {}",
                self.pin.names[0]
            ));
        }
        Ok(file)
    }
}

/// apt's first error, which names the cause; what follows is consequence.
fn reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    match text.lines().find(|line| line.starts_with("E: ")) {
        Some(line) => line[3..].to_string(),
        None => complaint(stderr, "apt-get failed"),
    }
}

/// The Debian mirrors that apt is set up with, most likely ones first.
pub(crate) fn mirrors(etc_apt: &Path) -> Vec<String> {
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc_apt.join("sources.list.d")) {
        let mut parts: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        parts.sort();
        files.append(&mut parts);
    }
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => one_line_mirrors(&text, &mut found),
            Some("sources") => deb822_mirrors(&text, &mut found),
            _ => {}
        }
    }
    let mut seen = Vec::new();
    for uri in found {
        let uri = uri.trim_end_matches('/').to_string();
        if is_debian(&uri) && !seen.contains(&uri) {
            seen.push(uri);
        }
    }
    // Others serve packages for Debian below a folder of that name.
    seen.sort_by_key(|uri| !uri.ends_with("/debian"));
    seen
}

/// Whether a URI looks like Debian's archive, not its security archive or
/// somebody else's.
fn is_debian(uri: &str) -> bool {
    uri.split('/')
        .any(|part| part == "debian" || part == "debian.list")
}

/// The one-line form: `deb [options] uri suite component…`.
fn one_line_mirrors(text: &str, found: &mut Vec<String>) {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        // Options stand in brackets, with spaces between them.
        let line = match (line.find('['), line.find(']')) {
            (Some(open), Some(close)) if open < close => {
                format!("{}{}", &line[..open], &line[close + 1..])
            }
            _ => line.to_string(),
        };
        let mut words = line.split_whitespace();
        if !matches!(words.next(), Some("deb" | "deb-src")) {
            continue;
        }
        if let (Some(uri), Some(_suite)) = (words.next(), words.next()) {
            if words.any(|component| component == "main") {
                found.push(uri.to_string());
            }
        }
    }
}

/// The deb822 form: stanzas of `Field: value`, a folded line beginning with a
/// blank.
fn deb822_mirrors(text: &str, found: &mut Vec<String>) {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let field = |name: &str| {
            let mut words = Vec::new();
            let mut inside = false;
            for line in stanza {
                let mut value = *line;
                if !line.starts_with([' ', '\t']) {
                    let (key, rest) = line.split_once(':').unwrap_or((line, ""));
                    inside = key.eq_ignore_ascii_case(name);
                    value = rest;
                }
                if inside {
                    words.extend(value.split_whitespace().map(str::to_string));
                }
            }
            words
        };
        let off = field("Enabled").iter().any(|value| value == "no");
        if !off
            && field("Components")
                .iter()
                .any(|component| component == "main")
        {
            found.append(&mut field("URIs"));
        }
    }
}
