// SPDX-License-Identifier: ISC

//! The steps of a build as a person sees them: a line each with the time it
//! took, the whole output in a file, and the end of that file on failure.

use crate::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How much of a log is shown when its step fails.
const TAIL_LINES: usize = 25;

/// Runs one step of the build with all its output in `log`, and reports it.
/// On failure the error has the end of the log, and says which step it was,
/// where the log is and, in `remedy`, what to do.
pub fn run(what: &str, command: &mut Command, log: &Path, remedy: &str) -> Result<(), Error> {
    let begun = Instant::now();
    let (out, err) = create_log(log)?;
    let status = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .status()
        .map_err(|e| {
            let program = command.get_program().to_string_lossy();
            Error::new(format!(
                "{what} failed: cannot run {program}: {e}; {remedy}"
            ))
        })?;
    if !status.success() {
        return Err(Error::new(format!(
            "{}\n{what} failed ({status}); the whole output is in {}; {remedy}",
            tail(log),
            log.display()
        )));
    }
    progress(&format!("{what}: {:.0?} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

fn create_log(log: &Path) -> Result<(File, File), Error> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
    }
    let file = File::create(log).map_err(|e| Error::file("create", log, e))?;
    let twin = file.try_clone().map_err(|e| Error::file("write", log, e))?;
    Ok((file, twin))
}

/// The last lines of a log, without what is not text.
fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Shows a line to the person who waits. Cargo keeps what a build script
/// prints to itself, so the Makefile passes a descriptor of its own down and
/// names it in PROGRESS_FD; without one, as under a plain `cargo build`, there
/// is nobody to tell.
pub fn progress(line: &str) {
    let fd = std::env::var("PROGRESS_FD").unwrap_or_default();
    if fd.len() != 1 || !fd.chars().all(|c| c.is_ascii_digit()) {
        return;
    }
    // The shell can write to a descriptor by its number and complains, unheard,
    // if it is not open.
    let _ = Command::new("/bin/sh")
        .args(["-c", &format!("printf '%s\\n' \"$1\" >&{fd}"), "sh", line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
