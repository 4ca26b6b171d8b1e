// SPDX-License-Identifier: ISC

//! The ways a tree comes to be, and does not, with a release of three files.
//! Tools that go out to the network are scripts put in their place.

use crate::apt::mirrors;
use crate::fetch::digest;
use crate::{Error, Pin, STAMP, Source, step};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

const README: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n";

/// A folder with everything a [`Source`] needs, gone when the test ends.
struct Bench {
    root: PathBuf,
    source: Source,
}

impl Bench {
    fn new() -> Bench {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "openssh-source-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let root = std::env::temp_dir().join(name);
        for folder in ["bin", "patches", "etc-apt/sources.list.d", "own"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(
            root.join("etc-apt/sources.list"),
            "deb http://mirror.example/debian stable main\n",
        )
        .unwrap();
        let tarball = root.join("own/openssh-0.1.tar.gz");
        fs::write(&tarball, release()).unwrap();
        let (sha256, size) = digest(&tarball).unwrap();
        let mut bin_first = root.join("bin").into_os_string();
        bin_first.push(":/usr/bin:/bin");
        let bench = Bench {
            source: Source {
                pin: Pin {
                    version: "0.1",
                    names: ["openssh_0.1.orig.tar.gz", "openssh-0.1.tar.gz"],
                    sha256: sha256.leak(),
                    size,
                    url: "https://server.example/openssh-0.1.tar.gz",
                },
                patches: root.join("patches"),
                trees: root.join("tree"),
                download: root.join("download"),
                logs: root.join("logs"),
                etc_apt: root.join("etc-apt"),
                tarball: Some(tarball),
                src: None,
                path: bin_first,
            },
            root,
        };
        bench.tool("autoreconf", "echo made >configure");
        bench.tool("apt-get", "echo 'E: apt is broken' >&2; exit 100");
        bench.tool("curl", "echo 'curl: cannot connect' >&2; exit 7");
        bench.tool("wget", "echo 'wget is not asked' >&2; exit 4");
        bench
    }

    /// Puts a script in place of a command. Another process writes it: were it
    /// open for writing here, a process that another test starts meanwhile
    /// would have it open too, and the kernel would not run it.
    fn tool(&self, name: &str, script: &str) {
        let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"";
        let path = self.root.join("bin").join(name);
        let mut sh = Command::new("sh");
        sh.args(["-c", write, "sh"]).arg(path).arg(script);
        assert!(sh.status().unwrap().success());
    }

    /// apt-get that has the file to give.
    fn apt_that_gives(&self, file: &Path) {
        self.tool(
            "apt-get",
            &format!(
                "case \"$*\" in *' source '*) cp '{}' openssh_0.1.orig.tar.gz ;; esac",
                file.display()
            ),
        );
    }

    /// curl that has the file to give.
    fn curl_that_gives(&self, file: &Path) {
        self.tool(
            "curl",
            &format!(
                "while [ \"$1\" != -o ]; do shift; done; cp '{}' \"$2\"",
                file.display()
            ),
        );
    }

    fn own(&self) -> PathBuf {
        self.root.join("own/openssh-0.1.tar.gz")
    }

    /// A file that is not the release.
    fn other(&self) -> PathBuf {
        let path = self.root.join("other.tar.gz");
        fs::write(&path, "something else").unwrap();
        path
    }

    fn patch(&self, name: &str, from: &str, to: &str) {
        let text = format!(
            "Subject: {name}\n\n--- a/README\n+++ b/README\n@@ -1,5 +1,5 @@\n one\n two\n-{from}\n+{to}\n four\n five\n"
        );
        fs::write(self.source.patches.join(name), text).unwrap();
    }

    fn readme(&self) -> String {
        fs::read_to_string(self.source.trees.join("openssh-0.1/README")).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A release as a tarball.
fn release() -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, text) in [
        ("README", README),
        ("configure.ac", "x\n"),
        ("sshbuf.h", "y\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_234_567_890);
        header.set_cksum();
        tar.append_data(&mut header, format!("openssh-0.1/{name}"), text.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn says(result: Result<PathBuf, Error>, words: &[&str]) {
    let text = result.expect_err("it should fail").to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .map(|entries| {
            entries
                .flatten()
                .map(|e| e.file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn a_wrong_hash_of_a_named_file_says_what_was_expected_what_came_and_from_where() {
    let mut bench = Bench::new();
    let other = bench.other();
    let (got, _) = digest(&other).unwrap();
    bench.source.tarball = Some(other.clone());
    says(
        bench.source.patched_tree(),
        &[
            "OPENSSH_TARBALL",
            other.to_str().unwrap(),
            bench.source.pin.sha256,
            &got,
        ],
    );
    assert_eq!(names_in(&bench.source.trees), [".lock"]);
}

#[test]
fn a_wrong_hash_of_a_named_file_is_seen_though_the_tree_is_there() {
    let mut bench = Bench::new();
    bench.source.patched_tree().unwrap();
    bench.source.tarball = Some(bench.other());
    says(bench.source.patched_tree(), &["expected SHA-256"]);
}

#[test]
fn a_wrong_hash_of_a_kept_download_names_the_file_to_delete() {
    let mut bench = Bench::new();
    bench.source.tarball = None;
    let kept = bench.source.download.join("openssh_0.1.orig.tar.gz");
    fs::create_dir_all(&bench.source.download).unwrap();
    fs::write(&kept, "damaged").unwrap();
    says(
        bench.source.patched_tree(),
        &[kept.to_str().unwrap(), "expected SHA-256", "delete"],
    );
}

#[test]
fn a_wrong_hash_from_the_mirror_or_the_server_stops_and_is_not_kept() {
    let mut bench = Bench::new();
    bench.source.tarball = None;
    let other = bench.other();
    let (got, _) = digest(&other).unwrap();
    bench.apt_that_gives(&other);
    bench.curl_that_gives(&bench.own());
    says(
        bench.source.patched_tree(),
        &["Debian's source package", &got],
    );
    assert!(names_in(&bench.source.download).is_empty());

    bench.tool("apt-get", "exit 100");
    bench.curl_that_gives(&other);
    says(
        bench.source.patched_tree(),
        &["https://server.example/", &got],
    );
    assert!(names_in(&bench.source.download).is_empty());
}

#[test]
fn a_named_folder_without_the_tarball_says_which_names_it_looked_for() {
    let mut bench = Bench::new();
    bench.source.tarball = Some(bench.root.join("patches"));
    says(
        bench.source.patched_tree(),
        &[
            "openssh_0.1.orig.tar.gz",
            "openssh-0.1.tar.gz",
            "patches",
            "OPENSSH_TARBALL",
        ],
    );
}

#[test]
fn a_named_file_that_is_not_there_is_named() {
    let mut bench = Bench::new();
    bench.source.tarball = Some(bench.root.join("nowhere.tar.gz"));
    says(
        bench.source.patched_tree(),
        &["nowhere.tar.gz", "No such file"],
    );
}

#[test]
fn a_named_folder_with_the_tarball_serves() {
    let mut bench = Bench::new();
    bench.source.tarball = Some(bench.root.join("own"));
    bench.source.upstream_tree().unwrap();
}

#[test]
fn the_mirror_comes_before_the_server_and_the_download_is_kept() {
    let mut bench = Bench::new();
    bench.source.tarball = None;
    bench.apt_that_gives(&bench.own());
    bench.source.patched_tree().unwrap();
    assert_eq!(
        names_in(&bench.source.download),
        ["openssh_0.1.orig.tar.gz"]
    );

    // The next tree comes from the kept copy.
    bench.tool("apt-get", "exit 100");
    bench.source.upstream_tree().unwrap();
}

#[test]
fn the_server_is_asked_when_the_mirror_has_nothing() {
    let mut bench = Bench::new();
    bench.source.tarball = None;
    bench.curl_that_gives(&bench.own());
    bench.source.patched_tree().unwrap();
}

#[test]
fn with_no_source_at_all_each_and_its_reason_are_listed() {
    let mut bench = Bench::new();
    bench.source.tarball = None;
    says(
        bench.source.patched_tree(),
        &[
            "Debian's source package: http://mirror.example/debian: apt is broken",
            "https://server.example/openssh-0.1.tar.gz: curl: cannot connect",
            "OPENSSH_TARBALL=",
            "OPENSSH_SRC=",
        ],
    );

    bench.source.path = bench.root.join("nothing").into_os_string();
    says(
        bench.source.patched_tree(),
        &[
            "apt-get is not installed",
            "neither curl nor wget is installed",
        ],
    );

    let mut bench = Bench::new();
    bench.source.tarball = None;
    fs::remove_file(bench.root.join("etc-apt/sources.list")).unwrap();
    says(bench.source.patched_tree(), &["no Debian mirror"]);
}

#[test]
fn an_apt_that_gives_no_file_is_a_reason_not_a_tree() {
    let mut bench = Bench::new();
    bench.source.tarball = None;
    bench.tool("apt-get", "exit 0");
    says(
        bench.source.patched_tree(),
        &["no longer has openssh_0.1.orig.tar.gz"],
    );
}

#[test]
fn patches_apply_in_order_without_the_cover_letter() {
    let bench = Bench::new();
    bench.patch("0000-cover-letter.patch", "nonsense", "nonsense");
    bench.patch("0002-b.patch", "3", "iii");
    bench.patch("0001-a.patch", "three", "3");
    fs::write(bench.source.patches.join("README"), "not a patch").unwrap();
    let tree = bench.source.patched_tree().unwrap();
    assert!(bench.readme().contains("\niii\n"));
    assert!(tree.join("configure").exists(), "autoreconf did not run");
    let upstream = bench.source.upstream_tree().unwrap();
    assert_eq!(fs::read_to_string(upstream.join("README")).unwrap(), README);
}

#[test]
fn a_patch_that_does_not_apply_is_named_with_its_reject_and_leaves_no_tree() {
    let bench = Bench::new();
    bench.patch("0001-a.patch", "three", "3");
    bench.patch("0002-b.patch", "tree", "bush");
    says(
        bench.source.patched_tree(),
        &["0002-b.patch does not apply", "FAILED", "-tree", "+bush"],
    );
    assert!(!bench.source.trees.join("openssh-0.1").exists());

    bench.patch("0002-b.patch", "3", "iii");
    bench.source.patched_tree().unwrap();
    assert!(bench.readme().contains("\niii\n"));
}

#[test]
fn a_patch_whose_surroundings_differ_is_refused() {
    let bench = Bench::new();
    let fuzzy =
        "--- a/README\n+++ b/README\n@@ -1,5 +1,5 @@\n ONE\n two\n-three\n+3\n four\n FIVE\n";
    fs::write(bench.source.patches.join("0001-fuzzy.patch"), fuzzy).unwrap();
    says(
        bench.source.patched_tree(),
        &["0001-fuzzy.patch does not apply"],
    );
}

#[test]
fn a_failing_autoreconf_names_the_step_and_the_log_and_leaves_no_tree() {
    let bench = Bench::new();
    bench.patch("0001-a.patch", "three", "3");
    bench.tool("autoreconf", "echo 'configure.ac:1: what is x'; exit 1");
    says(
        bench.source.patched_tree(),
        &[
            "autoreconf failed",
            "what is x",
            "logs/autoreconf-openssh-0.1.log",
        ],
    );
    assert!(!bench.source.trees.join("openssh-0.1").exists());
}

#[test]
fn a_tree_is_made_again_when_a_patch_changed_and_only_then() {
    let bench = Bench::new();
    bench.patch("0001-a.patch", "three", "3");
    let tree = bench.source.patched_tree().unwrap();
    fs::write(tree.join("mark"), "").unwrap();
    bench.source.patched_tree().unwrap();
    assert!(tree.join("mark").exists(), "it was made again for nothing");

    bench.patch("0001-a.patch", "three", "III");
    bench.source.patched_tree().unwrap();
    assert!(bench.readme().contains("\nIII\n"));
    assert!(!tree.join("mark").exists());

    fs::remove_file(bench.source.patches.join("0001-a.patch")).unwrap();
    bench.source.patched_tree().unwrap();
    assert_eq!(bench.readme(), README);
}

#[test]
fn what_an_interrupted_run_left_is_not_taken_for_a_tree() {
    let bench = Bench::new();
    // One was killed while unpacking, one (of an older version, say) left a
    // tree under the final name without saying that it is complete.
    for name in [".new-openssh-0.1", "openssh-0.1"] {
        fs::create_dir_all(bench.source.trees.join(name)).unwrap();
        fs::write(bench.source.trees.join(name).join("README"), "half").unwrap();
        fs::write(bench.source.trees.join(name).join("stale.c"), "").unwrap();
    }
    bench.source.patched_tree().unwrap();
    assert_eq!(bench.readme(), README);
    let files = names_in(&bench.source.trees.join("openssh-0.1"));
    assert_eq!(
        files,
        [STAMP, "README", "configure", "configure.ac", "sshbuf.h"]
    );
    assert_eq!(names_in(&bench.source.trees), [".lock", "openssh-0.1"]);
}

#[test]
fn a_tarball_that_ends_early_leaves_no_tree() {
    let mut bench = Bench::new();
    let short = bench.root.join("short.tar.gz");
    let bytes = release();
    fs::write(&short, &bytes[..bytes.len() / 2]).unwrap();
    let (sha256, _) = digest(&short).unwrap();
    bench.source.pin.sha256 = sha256.leak();
    bench.source.tarball = Some(short);
    says(
        bench.source.patched_tree(),
        &["cannot unpack", "short.tar.gz"],
    );
    assert!(!bench.source.trees.join("openssh-0.1").exists());
}

#[test]
fn several_that_ask_at_once_get_one_tree() {
    let mut bench = Bench::new();
    bench.source.tarball = None;
    bench.apt_that_gives(&bench.own());
    bench.patch("0001-a.patch", "three", "3");
    bench.tool(
        "autoreconf",
        &format!("echo >>'{}'", bench.root.join("count").display()),
    );
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| bench.source.patched_tree().unwrap());
        }
    });
    assert_eq!(fs::read_to_string(bench.root.join("count")).unwrap(), "\n");
}

#[test]
fn unpacked_files_keep_their_times() {
    let bench = Bench::new();
    let tree = bench.source.upstream_tree().unwrap();
    let time = fs::metadata(tree.join("configure.ac"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(
        time,
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890)
    );
}

#[test]
fn ones_own_tree_is_copied_and_patched_and_left_as_it_was() {
    let mut bench = Bench::new();
    let own = bench.source.upstream_tree().unwrap();
    bench.source.src = Some(own.clone());
    bench.source.tarball = None;
    bench.source.trees = bench.root.join("tree2");
    bench.patch("0001-a.patch", "three", "3");
    let tree = bench.source.patched_tree().unwrap();
    assert!(bench.readme().contains("\n3\n"));
    assert_eq!(fs::read_to_string(own.join("README")).unwrap(), README);
    let time = |path: &Path| {
        fs::metadata(path.join("sshbuf.h"))
            .unwrap()
            .modified()
            .unwrap()
    };
    assert_eq!(time(&tree), time(&own));

    // A change in it is seen.
    fs::write(own.join("sshbuf.h"), "changed").unwrap();
    bench.source.patched_tree().unwrap();
    assert_eq!(
        fs::read_to_string(tree.join("sshbuf.h")).unwrap(),
        "changed"
    );
}

#[test]
fn a_folder_that_is_no_tree_or_one_built_in_is_refused() {
    let mut bench = Bench::new();
    let own = bench.source.upstream_tree().unwrap();
    bench.source.src = Some(bench.root.join("patches"));
    says(
        bench.source.patched_tree(),
        &["OPENSSH_SRC", "is not an openssh-portable tree"],
    );

    fs::write(own.join("config.status"), "").unwrap();
    bench.source.src = Some(own);
    says(
        bench.source.patched_tree(),
        &["OPENSSH_SRC", "has been built in", "make distclean"],
    );
}

#[test]
fn the_machines_mirror_is_read_from_both_forms_of_apts_configuration() {
    let bench = Bench::new();
    let apt = &bench.source.etc_apt;
    fs::write(
        apt.join("sources.list"),
        "# deb http://comment.example/debian stable main\n\
         deb http://security.example/debian-security stable-security main\n\
         deb [arch=amd64 signed-by=/x] http://a.example/debian/ stable main contrib # why\n\
         deb http://universe.example/debian stable universe\n",
    )
    .unwrap();
    fs::write(
        apt.join("sources.list.d/debian.sources"),
        "Types: deb\nURIs: http://b.example/debian\n  http://c.example/debian\nSuites: stable\n\
         # a remark\nComponents: main\n\n\
         Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: s\nComponents: main\n\n\
         Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: s\nComponents: main\n",
    )
    .unwrap();
    fs::write(
        apt.join("sources.list.d/a-vendor.list"),
        "deb https://vendor.example/debian/12/prod stable main\n",
    )
    .unwrap();
    fs::write(
        apt.join("sources.list.d/old.list.save"),
        "deb http://old.example/debian s main\n",
    )
    .unwrap();
    assert_eq!(
        mirrors(apt),
        [
            "http://a.example/debian",
            "http://b.example/debian",
            "http://c.example/debian",
            "https://vendor.example/debian/12/prod",
            "mirror+file:///etc/apt/mirrors/debian.list",
        ]
    );
}

#[test]
fn apt_is_asked_for_the_source_alone_and_with_lists_of_its_own() {
    let mut bench = Bench::new();
    bench.source.tarball = None;
    let said = bench.root.join("said");
    bench.tool(
        "apt-get",
        &format!(
            "for a; do case $a in Dir::Etc::sourcelist=*) cat \"${{a#*=}}\"; esac; done >>'{0}'\n\
             echo \"$*\" >>'{0}'",
            said.display()
        ),
    );
    bench.source.patched_tree().unwrap_err();
    let said = fs::read_to_string(said).unwrap();
    assert!(said.contains("deb-src [trusted=yes] http://mirror.example/debian trixie main\n"));
    let calls: Vec<_> = said.lines().filter(|line| line.contains("Dir::")).collect();
    assert_eq!(calls.len(), 2);
    for call in calls {
        for option in [
            "Dir::Etc::sourceparts=/dev/null",
            "Dir::State=",
            "Dir::Cache=",
        ] {
            assert!(call.contains(option), "no {option} in {call}");
        }
    }
}

#[test]
fn a_failing_step_shows_the_end_of_its_log_the_log_and_the_remedy() {
    let bench = Bench::new();
    let log = bench.root.join("logs/step.log");
    let mut command = Command::new("sh");
    command.args(["-c", "seq 1 100; echo bad >&2; exit 3"]);
    let text = step::run("the step", &mut command, &log, "do this")
        .unwrap_err()
        .to_string();
    for words in [
        "100\nbad\nthe step failed",
        "exit status: 3",
        log.to_str().unwrap(),
        "do this",
    ] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }
    assert!(!text.contains("\n50\n"), "the whole log: {text}");
    assert!(fs::read_to_string(&log).unwrap().starts_with("1\n2\n"));

    let text = step::run(
        "the step",
        &mut Command::new("no-such-command"),
        &log,
        "do this",
    );
    let text = text.unwrap_err().to_string();
    assert!(
        text.contains("cannot run no-such-command") && text.contains("do this"),
        "{text}"
    );
}
