// SPDX-License-Identifier: ISC

//! Builds OpenSSH with its own autotools build, out of tree, once for every
//! variant that a feature asks for; and before that, where it is needed, the
//! Rust core that it links. How upstream's build works is in its INSTALL.

use openssh_source::step::run;
use openssh_source::{Error, STAMP, lock, patched_tree, rerun_if_changed, upstream_tree};
use openssh_source::{workspace, write_stamp};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::UNIX_EPOCH;

/// The environment that decides how upstream's configure sees the compiler.
const COMPILER_ENV: [&str; 7] = ["CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "LIBS", "LD", "AR"];

/// What configure.ac defines on Darwin, for a compiler that finds Linux.
const DARWIN_DEFINES: &str = "-DSSH_TUN_FREEBSD -DSSH_TUN_COMPAT_AF -DSSH_TUN_PREPEND_AF";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Error> {
    if env("HOST") != env("TARGET") {
        return Err(Error::new(format!(
            "openssh-portable cannot be built here for {}: its configure runs what it compiles; \
             build it on such a machine, or only the core (`cargo build -p rust-tun`)",
            env("TARGET")
        )));
    }
    let top = workspace();
    // Cargo's own lock is not enough: target/openssh is the same whatever
    // target directory cargo was given.
    let _lock = lock(&top.join("target/openssh"))?;

    let mut builds = Vec::new();
    for variant in Variant::wanted()? {
        builds.push(variant.prepare(&top)?);
    }
    // One configure keeps one processor busy at most.
    thread::scope(|scope| {
        let started: Vec<_> = builds
            .iter()
            .map(|b| scope.spawn(|| b.configure()))
            .collect();
        let mut ended = started.into_iter().map(|handle| handle.join());
        ended.try_for_each(|result| result.expect("configure() does not panic"))
    })?;
    for build in &builds {
        build.make()?;
    }

    rerun_if_changed();
    let own = ["PREFIX", "SYSCONFDIR", "CONFIGURE_FLAGS"];
    for name in own.iter().chain(&COMPILER_ENV) {
        println!("cargo::rerun-if-env-changed={name}");
    }
    Ok(())
}

/// One build of OpenSSH, in target/openssh/<name>/.
struct Variant {
    name: &'static str,
    /// The tree to build: patched, or as upstream made it.
    tree: fn() -> Result<PathBuf, Error>,
    /// Whether it links the Rust core, and which.
    core: Option<Core>,
    /// Arguments of configure.
    arguments: Vec<String>,
}

impl Variant {
    fn wanted() -> Result<Vec<Variant>, Error> {
        let wanted = |name: &str| {
            let feature = name.to_uppercase().replace('-', "_");
            std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some()
        };
        let darwin = env("CARGO_CFG_TARGET_OS") == "macos";
        if darwin && wanted("darwin-model") {
            return Err(Error::new(
                "the darwin-model variant is for other systems than macOS; build without that \
                 feature",
            ));
        }
        let native = darwin.then_some(Core::Native);
        let flags = configure_flags(darwin)?;

        let mut variants = Vec::new();
        if wanted("install") {
            let prefix = Some(env("PREFIX")).filter(|p| !p.is_empty());
            let mut arguments = vec![format!(
                "--prefix={}",
                prefix.as_deref().unwrap_or("/usr/local")
            )];
            if !env("SYSCONFDIR").is_empty() {
                arguments.push(format!("--sysconfdir={}", env("SYSCONFDIR")));
            }
            // Without an nroff to try them on, configure would install the
            // manuals as plain text where man(1) does not look.
            arguments.push("--with-mantype=doc".to_string());
            arguments.extend(flags.clone());
            let tree = patched_tree;
            variants.push(Variant {
                name: "install",
                tree,
                core: native,
                arguments,
            });
        }
        for (name, tree, core, arguments) in [
            ("patched", patched_tree as fn() -> _, native, flags),
            (
                "darwin-model",
                patched_tree,
                Some(Core::Model),
                darwin_answers(),
            ),
            ("upstream", upstream_tree, None, Vec::new()),
        ] {
            if wanted(name) {
                let mut variant = Variant {
                    name,
                    tree,
                    core,
                    arguments,
                };
                variant.arguments.extend(variant.test_paths());
                variants.push(variant);
            }
        }
        Ok(variants)
    }

    fn folder(&self) -> PathBuf {
        workspace().join("target/openssh").join(self.name)
    }

    /// Keeps everything that a test's ssh or sshd may touch inside the folder.
    /// `nobody` is the one unprivileged user that every system has.
    fn test_paths(&self) -> Vec<String> {
        let folder = self.folder();
        [
            ("prefix", "root"),
            ("sysconfdir", "etc"),
            ("with-pid-dir", "run"),
            ("with-privsep-path", "empty"),
        ]
        .map(|(option, name)| format!("--{option}={}", folder.join(name).display()))
        .into_iter()
        .chain(["--with-privsep-user=nobody".to_string()])
        .collect()
    }

    /// Brings in the tree and builds the core that the variant is made from.
    fn prepare(mut self, top: &Path) -> Result<Build, Error> {
        let tree = (self.tree)()?;
        let mut configured_from = format!("{}\n{}", tree.display(), read(&tree.join(STAMP))?);
        let mut built_from = String::new();
        if let Some(core) = self.core {
            let core = core.build(top)?;
            let option = "--with-rust-tun";
            if !read(&tree.join("configure"))?.contains("with-rust-tun") {
                return Err(Error::new(format!(
                    "{}: the tree's configure has no {option}; patches/ must have the patch that \
                     adds it",
                    self.name
                )));
            }
            self.arguments
                .push(format!("{option}={}", core.prefix.display()));
            configured_from += &core.header;
            built_from = core.library_id;
        }
        for argument in &self.arguments {
            configured_from += &format!("argument {argument}\n");
        }
        for name in COMPILER_ENV {
            configured_from += &format!("{name}={}\n", env(name));
        }
        Ok(Build {
            folder: self.folder(),
            variant: self,
            tree,
            configured_from,
            built_from,
        })
    }
}

/// A variant with all that it is made from.
struct Build {
    variant: Variant,
    folder: PathBuf,
    tree: PathBuf,
    configured_from: String,
    built_from: String,
}

impl Build {
    fn configure(&self) -> Result<(), Error> {
        let folder = &self.folder;
        let configured = folder.join(".configured-from");
        if is(&configured, &self.configured_from) {
            return Ok(());
        }
        // Objects of another configuration would be trusted by make.
        match fs::remove_dir_all(folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", folder, e));
            }
            _ => {}
        }
        for name in ["empty", "run"] {
            let inner = folder.join(name);
            fs::create_dir_all(&inner).map_err(|e| Error::file("create", &inner, e))?;
        }
        let mut configure = Command::new(self.tree.join("configure"));
        configure.args(&self.variant.arguments).current_dir(folder);
        outside_cargo(&mut configure);
        run(
            &format!("{}: configure", self.variant.name),
            &mut configure,
            &folder.join("configure.log"),
            "install what it misses or mend CONFIGURE_FLAGS, then build again",
        )?;
        write_stamp(&configured, &self.configured_from)
    }

    fn make(&self) -> Result<(), Error> {
        let folder = &self.folder;
        let built = folder.join(".built-from");
        if !is(&built, &self.built_from) {
            // Every program links this archive, and make does not know that it
            // links the core too; without the one, it makes all of them again.
            let archive = folder.join("openbsd-compat/libopenbsd-compat.a");
            match fs::remove_file(&archive) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", &archive, e));
                }
                _ => {}
            }
            let mut make = Command::new("make");
            make.arg(format!("-j{}", env("NUM_JOBS")))
                .current_dir(folder);
            outside_cargo(&mut make);
            run(
                &format!("{}: make", self.variant.name),
                &mut make,
                &folder.join("make.log"),
                "mend what the compiler names, then build again",
            )?;
            write_stamp(&built, &self.built_from)?;
        }
        if self.variant.name == "install" {
            self.note_settings()?;
        }
        // Both have a time long past; gone, they make cargo come back.
        for stamp in [self.tree.join(STAMP), built] {
            println!("cargo::rerun-if-changed={}", stamp.display());
        }
        Ok(())
    }

    /// Tells `make install` with which settings this was built, so that it
    /// need not build again as root.
    fn note_settings(&self) -> Result<(), Error> {
        let settings = ["PREFIX", "SYSCONFDIR", "CONFIGURE_FLAGS"].map(|name| env(name) + "\n");
        let path = self.folder.join("settings");
        fs::write(&path, settings.concat()).map_err(|e| Error::file("write", &path, e))
    }
}

/// CONFIGURE_FLAGS, and on macOS where Homebrew keeps OpenSSL, which upstream's
/// configure cannot know.
fn configure_flags(darwin: bool) -> Result<Vec<String>, Error> {
    let flags = env("CONFIGURE_FLAGS");
    let mut words = shlex::split(&flags).ok_or_else(|| {
        Error::new(format!(
            "CONFIGURE_FLAGS has a quote that is not closed: {flags}; close it"
        ))
    })?;
    let says_where = words
        .iter()
        .any(|w| w.contains("-ssl-dir") || w.contains("-openssl"));
    if darwin && !says_where {
        let brew = Command::new("brew")
            .args(["--prefix", "openssl@3"])
            .output();
        if let Some(found) = brew.ok().filter(|run| run.status.success()) {
            let prefix = String::from_utf8_lossy(&found.stdout);
            words.insert(0, format!("--with-ssl-dir={}", prefix.trim()));
        }
    }
    Ok(words)
}

/// What makes upstream's configure on Linux choose Darwin's tunnel code.
fn darwin_answers() -> Vec<String> {
    vec![
        "ac_cv_header_linux_if_tun_h=no".to_string(),
        "ac_cv_header_linux_if_h=no".to_string(),
        format!("CPPFLAGS={DARWIN_DEFINES} {}", env("CPPFLAGS")),
    ]
}

/// The Rust core: for the system that is built on, or for Darwin on another.
#[derive(Clone, Copy)]
enum Core {
    Native,
    Model,
}

/// Where a built core is, and what to tell one from another by.
struct BuiltCore {
    prefix: PathBuf,
    header: String,
    library_id: String,
}

impl Core {
    /// Builds the core as configure's --with-rust-tun expects it: lib/ and
    /// include/ below one folder.
    fn build(self, top: &Path) -> Result<BuiltCore, Error> {
        let name = match self {
            Core::Native => "native",
            Core::Model => "model",
        };
        let root = top.join("target/rust-tun");
        let prefix = root.join(name);
        // A target directory of its own: cargo holds the lock of the other.
        let target = root.join("cargo");
        let mut cargo = Command::new(env("CARGO"));
        // The crate is a library for Rust, too, and for that one its features
        // and its crate type would be wrong.
        let features = match self {
            Core::Native => "panic-handler",
            Core::Model => "panic-handler,model",
        };
        cargo
            .args(["rustc", "--package", "rust-tun", "--lib", "--release"])
            .args(["--crate-type", "staticlib", "--features", features])
            .args(["--jobs", &env("NUM_JOBS")])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(top);
        outside_cargo(&mut cargo);
        run(
            &format!("rust-tun ({name}): cargo rustc"),
            &mut cargo,
            &prefix.join("cargo.log"),
            "mend what the compiler names, then build again",
        )?;
        let library = prefix.join("lib/librust_tun.a");
        let header = prefix.join("include/rust_tun.h");
        copy_if_other(&target.join("release/librust_tun.a"), &library)?;
        copy_if_other(&top.join("rust-tun/include/rust_tun.h"), &header)?;
        for input in ["rust-tun", "Cargo.toml", "Cargo.lock"] {
            println!("cargo::rerun-if-changed={}", top.join(input).display());
        }
        let meta = fs::metadata(&library).map_err(|e| Error::file("read", &library, e))?;
        let time = meta
            .modified()
            .map_err(|e| Error::file("read", &library, e))?;
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let library_id = format!("core {} {}\n", meta.len(), time.as_nanos());
        let staged = prefix.join(".staged");
        write_stamp(&staged, &library_id)?;
        println!("cargo::rerun-if-changed={}", staged.display());
        Ok(BuiltCore {
            prefix,
            header: read(&header)?,
            library_id,
        })
    }
}

/// Copies a file, but leaves one that is the same already, and its time.
fn copy_if_other(from: &Path, to: &Path) -> Result<(), Error> {
    let new = fs::read(from).map_err(|e| Error::file("read", from, e))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
    }
    fs::write(to, new).map_err(|e| Error::file("write", to, e))
}

/// Takes away what cargo and make set for this script alone: a nested cargo
/// would take this package's for its own, and a make would obey the flags and
/// variables of the one outside.
fn outside_cargo(command: &mut Command) {
    const PREFIXES: [&str; 6] = [
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "DEP_",
        "CLIPPY_",
    ];
    const NAMES: [&str; 17] = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MAKEFLAGS",
        "DEBUG",
        "DESTDIR",
        "HOST",
        "MAKEFLAGS",
        "MAKELEVEL",
        "MAKEOVERRIDES",
        "MFLAGS",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTC",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "TARGET",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if PREFIXES.iter().any(|p| text.starts_with(p)) || NAMES.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
}

/// A variable of the environment; empty if it is not set.
fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|e| Error::file("read", path, e))
}

fn is(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == text)
}
