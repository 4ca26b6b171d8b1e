// SPDX-License-Identifier: ISC

//! Says what `make darwin` has built, and checks as much of it as can be checked
//! without a Mac: that every file is Mach-O of the right processor, that what the
//! core exports is in every program, byte by byte, and that libSystem has every
//! symbol that a program wants from it.

mod stub;

use object::macho::{CPU_TYPE_ARM64, CPU_TYPE_X86_64, LC_CODE_SIGNATURE, MH_EXECUTE, MH_OBJECT};
use object::read::archive::ArchiveFile;
use object::read::macho::{MachHeader, MachOFile64};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolSection};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What port-net.c calls, under the names that a symbol table has.
const TUNNEL: [&str; 3] = [
    "_rust_tun_open_feth",
    "_rust_tun_bpf_infilter",
    "_rust_tun_bpf_outfilter",
];
const PROGRAMS: [&str; 5] = ["ssh", "sshd", "sshd-session", "sshd-auth", "ssh-keygen"];
const CORE: &str = "librust_tun.a";

/// Where every symbol has to come from that a program does not define.
const LIBSYSTEM: &str = "/usr/lib/libSystem.B.dylib";

/// What the core calls in the program that links it.
const SSHBUF: [&str; 2] = ["_sshbuf_reserve", "_sshbuf_consume_end"];

type Result<T> = std::result::Result<T, String>;
type MachO<'a> = MachOFile64<'a, Endianness>;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [stub, folders @ ..] = arguments.as_slice() else {
        eprintln!("usage: darwin-binaries libSystem.tbd FOLDER ...");
        return ExitCode::from(2);
    };
    let mut whole = true;
    for folder in folders {
        match report(folder, stub) {
            Ok(complaints) if complaints.is_empty() => {}
            Ok(complaints) => {
                whole = false;
                for complaint in complaints {
                    println!("{}: {complaint}", folder.display());
                }
            }
            Err(e) => {
                whole = false;
                println!("{}: {e}", folder.display());
            }
        }
    }
    if whole {
        println!("all of it is Mach-O, has the core's code, and wants nothing but libSystem");
        ExitCode::SUCCESS
    } else {
        println!("not as it should be: see above; run make darwin, or mend what is named");
        ExitCode::FAILURE
    }
}

/// A processor, as three of them call it.
struct Machine {
    /// Rust, and so the folder.
    folder: &'static str,
    /// Apple.
    name: &'static str,
    cpu: object::macho::CpuType,
}

const MACHINES: [Machine; 2] = [
    Machine {
        folder: "aarch64-apple-darwin",
        name: "arm64",
        cpu: CPU_TYPE_ARM64,
    },
    Machine {
        folder: "x86_64-apple-darwin",
        name: "x86_64",
        cpu: CPU_TYPE_X86_64,
    },
];

/// Prints a line for every file of a folder; what is wrong with them.
fn report(folder: &Path, stub: &Path) -> Result<Vec<String>> {
    let name = folder.file_name().unwrap_or_default();
    let machine = MACHINES
        .iter()
        .find(|machine| name == machine.folder)
        .ok_or("not the name of a target that make darwin builds for")?;
    let stub = String::from_utf8_lossy(&read(stub)?).into_owned();
    let system = stub::symbols(&stub, machine.name);
    println!("{}:", folder.display());

    let archive = read(&folder.join(CORE))?;
    let core = Core::read(&archive, machine, &system).map_err(|e| format!("{CORE}: {e}"))?;
    line(
        CORE,
        archive.len(),
        machine,
        &format!(
            "static library with {}; it wants {} symbols of libSystem and {} of OpenSSH",
            TUNNEL.map(|name| &name[1..]).join(", "),
            core.wants_system,
            core.wants_sshbuf
        ),
    );
    let mut complaints = Vec::new();
    for name in PROGRAMS {
        let checked = read(&folder.join(name)).and_then(|data| {
            let what = program(&data, machine, &core, &system)?;
            line(name, data.len(), machine, &what);
            Ok(())
        });
        if let Err(e) = checked {
            complaints.push(format!("{name}: {e}"));
        }
    }
    Ok(complaints)
}

fn line(name: &str, size: usize, machine: &Machine, what: &str) {
    println!(
        "  {name:14} {size:>9} bytes, Mach-O {}, {what}",
        machine.name
    );
}

/// Checks one program; what there is to say of it.
fn program(
    data: &[u8],
    machine: &Machine,
    core: &Core,
    system: &HashSet<String>,
) -> Result<String> {
    let file = parse(data, machine, MH_EXECUTE)?;
    let mut system_symbols = 0;
    for symbol in file.symbols().filter(ObjectSymbol::is_undefined) {
        let name = symbol.name().map_err(broken)?;
        if !system.contains(name) {
            return Err(format!(
                "{name} is unresolved: libSystem has no such symbol"
            ));
        }
        system_symbols += 1;
    }
    // What dyld will look for, and where.
    for import in file.imports().map_err(broken)? {
        let import = import.map_err(broken)?;
        let name = import.name();
        let name = String::from_utf8_lossy(name.name().unwrap_or_default());
        let library = String::from_utf8_lossy(import.library());
        if library != LIBSYSTEM || !system.contains(name.as_ref()) {
            return Err(format!(
                "{name} is unresolved: it is wanted from \"{library}\", and only {LIBSYSTEM} is \
                 known to be there"
            ));
        }
    }
    for function in &core.functions {
        let symbol = file
            .symbols()
            .find(|symbol| symbol.is_definition() && symbol.name() == Ok(function.name))
            .ok_or_else(|| format!("{} is not in it", function.name))?;
        if !function.is_at(&file, symbol.address()) {
            return Err(format!("{} is not the core's code", function.name));
        }
    }
    if machine.cpu == CPU_TYPE_ARM64 && !is_signed(&file)? {
        return Err("it has no signature, and this processor's kernel wants one".to_string());
    }
    Ok(format!(
        "program with the core's {} functions; it wants {system_symbols} symbols of libSystem",
        core.functions.len()
    ))
}

fn parse<'a>(
    data: &'a [u8],
    machine: &Machine,
    kind: object::macho::FileType,
) -> Result<MachO<'a>> {
    let file = MachO::parse(data).map_err(|e| format!("it is not 64-bit Mach-O: {e}"))?;
    let header = file.macho_header();
    if header.cputype(file.endian()) != machine.cpu {
        return Err(format!("it is not for {}", machine.name));
    }
    if header.filetype(file.endian()) != kind {
        return Err("it is Mach-O of the wrong type".to_string());
    }
    Ok(file)
}

fn is_signed(file: &MachO) -> Result<bool> {
    let mut commands = file.macho_load_commands().map_err(broken)?;
    while let Some(command) = commands.next().map_err(broken)? {
        if command.cmd() == LC_CODE_SIGNATURE {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The static library, as far as the programs are compared with it.
struct Core {
    functions: Vec<Function>,
    wants_system: usize,
    wants_sshbuf: usize,
}

impl Core {
    fn read(data: &[u8], machine: &Machine, system: &HashSet<String>) -> Result<Core> {
        let archive = ArchiveFile::parse(data).map_err(broken)?;
        let mut members = Vec::new();
        for member in archive.members() {
            let member = member.map_err(broken)?;
            members.push(parse(
                member.data(data).map_err(broken)?,
                machine,
                MH_OBJECT,
            )?);
        }
        let defined: HashSet<&str> = members
            .iter()
            .flat_map(|file| file.symbols())
            .filter(|symbol| symbol.is_definition())
            .filter_map(|symbol| symbol.name().ok())
            .collect();
        // Only one member is linked: the one with the core's functions.
        let file = members
            .iter()
            .find(|file| {
                file.symbol_by_name(TUNNEL[0])
                    .is_some_and(|s| s.is_definition())
            })
            .ok_or_else(|| format!("{} is not in it", TUNNEL[0]))?;
        let mut core = Core {
            functions: Vec::new(),
            wants_system: 0,
            wants_sshbuf: 0,
        };
        for symbol in file.symbols().filter(ObjectSymbol::is_undefined) {
            let name = symbol.name().map_err(broken)?;
            if SSHBUF.contains(&name) {
                core.wants_sshbuf += 1;
            } else if system.contains(name) {
                core.wants_system += 1;
            } else if !defined.contains(name) {
                return Err(format!(
                    "{name} is unresolved: libSystem has no such symbol"
                ));
            }
        }
        for name in TUNNEL {
            core.functions.push(Function::read(file, name)?);
        }
        Ok(core)
    }
}

/// The code of a function in the static library.
struct Function {
    name: &'static str,
    /// None where the linker puts an address.
    bytes: Vec<Option<u8>>,
}

impl Function {
    fn read(file: &MachO, name: &'static str) -> Result<Function> {
        let missing = || format!("{name} is not in it");
        let symbol = file.symbol_by_name(name).ok_or_else(missing)?;
        let SymbolSection::Section(index) = symbol.section() else {
            return Err(missing());
        };
        let section = file.section_by_index(index).map_err(broken)?;
        let start = symbol.address();
        let end = file
            .symbols()
            .filter(|other| other.section_index() == Some(index))
            .map(|other| other.address())
            .filter(|&address| address > start)
            .min()
            .unwrap_or(section.address() + section.size());
        let code = section
            .data_range(start, end - start)
            .map_err(broken)?
            .ok_or_else(missing)?;
        let mut bytes: Vec<Option<u8>> = code.iter().copied().map(Some).collect();
        for (offset, relocation) in section.relocations() {
            if matches!(relocation.target(), RelocationTarget::Absolute) {
                continue;
            }
            // An address takes four bytes on both processors; when the linker
            // need not load it from a table it also changes the two before.
            let at = (section.address() + offset).wrapping_sub(start);
            for place in at.saturating_sub(2)..at.saturating_add(4) {
                if let Some(byte) = bytes.get_mut(place as usize) {
                    *byte = None;
                }
            }
        }
        if bytes.iter().flatten().count() < bytes.len() / 2 {
            return Err(format!("{name} has too little code to tell it by"));
        }
        Ok(Function { name, bytes })
    }

    /// Is this the code at `address` of a program?
    fn is_at(&self, file: &MachO, address: u64) -> bool {
        let found = file.sections().find_map(|section| {
            section
                .data_range(address, self.bytes.len() as u64)
                .ok()
                .flatten()
        });
        found.is_some_and(|found| {
            let mut pairs = self.bytes.iter().zip(found);
            pairs.all(|(byte, found)| byte.is_none_or(|byte| byte == *found))
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn broken(e: object::Error) -> String {
    format!("it is broken Mach-O: {e}")
}
