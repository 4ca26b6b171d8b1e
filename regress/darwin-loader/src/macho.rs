// SPDX-License-Identifier: ISC

//! A Mach-O dylib in a Linux process: what dyld(1) does, as far as a static
//! library's code that was linked into a dylib needs it. What it does not do is
//! refused: thread-locals, initialisers, other libraries than libSystem, weak
//! symbols, chained fixups.

use crate::libsystem;
use object::LittleEndian as LE;
use object::macho::{self, MachHeader64};
use object::read::macho::{LoadCommandVariant, MachHeader, Segment};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::fs;
use std::ptr::NonNull;

const PAGE: u64 = 4096;

/// The one library that an image may import from.
const LIBSYSTEM: &[u8] = b"/usr/lib/libSystem.B.dylib";

/// A mapped image, and the addresses of what it exports, without the
/// underscores. It is never unmapped.
pub struct MachO {
    exports: HashMap<String, *const c_void>,
}

impl MachO {
    pub fn load(path: &str) -> Result<MachO, String> {
        let file = fs::read(path).map_err(|e| format!("cannot read {path}: {e}; build it anew"))?;
        let plan = Plan::read(&file).map_err(|e| format!("cannot load {path}: {e}"))?;
        let memory = plan
            .map(&file)
            .map_err(|e| format!("cannot map {path}: {e}"))?;
        let exports = plan
            .exports
            .iter()
            .map(|(name, offset)| (name.clone(), memory.address(*offset)))
            .collect();
        Ok(MachO { exports })
    }

    pub fn symbol(&self, name: &str) -> Option<*const c_void> {
        self.exports.get(name).copied()
    }
}

/// Does the file begin as a 64-bit Mach-O of a little-endian machine?
pub fn is_macho(file: &[u8]) -> bool {
    file.starts_with(&macho::MH_MAGIC_64.to_le_bytes())
}

/// Part of the image, in offsets from its lowest address and in the file.
struct Part {
    name: String,
    offset: u64,
    size: u64,
    file_offset: u64,
    file_size: u64,
    protection: c_int,
}

/// What is to be done, read from the file and checked.
struct Plan {
    /// The lowest address that the image was linked for.
    base: u64,
    /// From there to the end of the last page.
    size: u64,
    parts: Vec<Part>,
    /// Where an address of the image stands.
    rebases: Vec<u64>,
    /// Where an address of libSystem is to stand, and which.
    binds: Vec<(u64, *const c_void)>,
    exports: Vec<(String, u64)>,
}

fn unreadable(e: object::Error) -> String {
    format!("{e}; build it anew")
}

impl Plan {
    fn read(file: &[u8]) -> Result<Plan, String> {
        if !is_macho(file) {
            return Err("it is no 64-bit Mach-O".to_string());
        }
        let header = MachHeader64::<LE>::parse(file, 0).map_err(unreadable)?;
        if header.cputype(LE) != macho::CPU_TYPE_X86_64 {
            return Err("it is not for x86_64, and nothing else runs here".to_string());
        }
        if header.filetype(LE) != macho::MH_DYLIB {
            return Err("it is no dylib; link it with -shared".to_string());
        }

        let mut plan = Plan {
            base: 0,
            size: 0,
            parts: Vec::new(),
            rebases: Vec::new(),
            binds: Vec::new(),
            exports: Vec::new(),
        };
        let mut libraries = Vec::new();
        let mut dyld_info = None;
        let mut commands = header.load_commands(LE, file, 0).map_err(unreadable)?;
        while let Some(command) = commands.next().map_err(unreadable)? {
            match command.variant().map_err(unreadable)? {
                LoadCommandVariant::Segment64(segment, sections) => {
                    refuse_sections(segment, sections)?;
                    plan.parts.push(part(segment)?);
                }
                LoadCommandVariant::DyldInfo(info) => dyld_info = Some(info),
                LoadCommandVariant::Dylib(library) if command.cmd() != macho::LC_ID_DYLIB => {
                    libraries.push(command.string(LE, library.dylib.name).map_err(unreadable)?);
                }
                _ if command.cmd() == macho::LC_DYLD_CHAINED_FIXUPS => {
                    return Err(
                        "it has chained fixups, which this loader does not apply; link \
                                it for a macOS before 12"
                            .to_string(),
                    );
                }
                _ => {}
            }
        }
        if let Some(other) = libraries.iter().find(|&&name| name != LIBSYSTEM) {
            return Err(format!(
                "it needs {}, and there is only libSystem here",
                other.escape_ascii()
            ));
        }
        plan.place()?;
        let info = dyld_info.ok_or("it has no dyld info; link it with dyld's opcodes")?;
        plan.read_fixups(info, file)?;
        plan.read_exports(info, file)?;
        Ok(plan)
    }

    /// Make the parts' addresses offsets from the lowest of them.
    fn place(&mut self) -> Result<(), String> {
        self.base = self.parts.iter().map(|part| part.offset).min().unwrap_or(0);
        for part in &mut self.parts {
            part.offset -= self.base;
            let end = part.offset.checked_add(part.size);
            let end = end.and_then(|end| end.checked_next_multiple_of(PAGE));
            self.size = self
                .size
                .max(end.ok_or("a segment ends beyond all addresses")?);
        }
        if self.size == 0 {
            return Err("it has no segment".to_string());
        }
        Ok(())
    }

    /// A pointer's place, as an offset from the image's base.
    fn pointer_at(&self, segment: u8, offset: u64) -> Result<u64, String> {
        let part = self.parts.get(usize::from(segment));
        let end = offset.checked_add(size_of::<u64>() as u64);
        match (part, end) {
            (Some(part), Some(end)) if end <= part.size => Ok(part.offset + offset),
            _ => Err(format!(
                "a fixup at {offset:#x} of segment {segment} is outside of it"
            )),
        }
    }

    fn read_fixups(
        &mut self,
        info: &macho::DyldInfoCommand<LE>,
        file: &[u8],
    ) -> Result<(), String> {
        let pointer = size_of::<u64>() as u8;
        for rebase in info.rebases(LE, file, pointer).map_err(unreadable)? {
            let rebase = rebase.map_err(unreadable)?;
            if rebase.kind != macho::REBASE_TYPE_POINTER {
                return Err(format!("it has a rebase of the type {:?}", rebase.kind));
            }
            let at = self.pointer_at(rebase.segment_index, rebase.segment_offset)?;
            self.rebases.push(at);
        }
        let binds = info.binds(LE, file, pointer).map_err(unreadable)?;
        // Bound now, so that dyld_stub_binder is never called.
        let lazy = info.lazy_binds(LE, file, pointer).map_err(unreadable)?;
        for bind in binds.chain(lazy) {
            let bind = bind.map_err(unreadable)?;
            let name = String::from_utf8_lossy(bind.symbol);
            if bind.kind != macho::BIND_TYPE_POINTER || bind.addend != 0 {
                return Err(format!("its import {name} is no plain pointer"));
            }
            if bind.dylib != macho::BindDylib(1) {
                return Err(format!("its import {name} is not libSystem's"));
            }
            let at = self.pointer_at(bind.segment_index, bind.segment_offset)?;
            self.binds.push((at, libsystem::find(&name)?));
        }
        let mut weak = info.weak_binds(LE, file, pointer).map_err(unreadable)?;
        if weak.next().map_err(unreadable)?.is_some() {
            return Err("it has weak symbols, which this loader does not bind".to_string());
        }
        Ok(())
    }

    fn read_exports(
        &mut self,
        info: &macho::DyldInfoCommand<LE>,
        file: &[u8],
    ) -> Result<(), String> {
        for export in info.exports_trie(LE, file).map_err(unreadable)? {
            let export = export.map_err(unreadable)?;
            let name = String::from_utf8_lossy(export.name()).into_owned();
            let object::read::macho::ExportData::Regular { address } = export.data() else {
                return Err(format!("its export {name} is no plain symbol"));
            };
            // The offset is from the Mach-O header, which is at the base.
            if *address < self.size {
                let name = name.strip_prefix('_').unwrap_or(&name).to_string();
                self.exports.push((name, *address));
            }
        }
        Ok(())
    }

    /// Bring the image into memory and make it ready to be called.
    fn map(&self, file: &[u8]) -> Result<Memory, String> {
        let mut memory = Memory::new(self.size)?;
        let bytes = memory.bytes();
        for part in &self.parts {
            let from = part.file_offset as usize;
            let from = file
                .get(from..from.saturating_add(part.file_size as usize))
                .ok_or_else(|| format!("the file ends before its segment {}", part.name))?;
            bytes[part.offset as usize..][..from.len()].copy_from_slice(from);
        }
        let slide = bytes.as_ptr() as u64 - self.base;
        let mut add = |at: u64, change: &dyn Fn(u64) -> u64| {
            let place = &mut bytes[at as usize..][..size_of::<u64>()];
            let old = u64::from_le_bytes(place.try_into().expect("eight bytes"));
            place.copy_from_slice(&change(old).to_le_bytes());
        };
        for &at in &self.rebases {
            add(at, &|old| old.wrapping_add(slide));
        }
        for &(at, address) in &self.binds {
            add(at, &|_| address as u64);
        }
        for part in &self.parts {
            memory.protect(part.offset, part.size, part.protection)?;
        }
        Ok(memory)
    }
}

/// What only dyld or the kernel could see to.
fn refuse_sections(segment: &macho::SegmentCommand64<LE>, sections: &[u8]) -> Result<(), String> {
    use object::read::macho::Section;

    for section in segment.sections(LE, sections).map_err(unreadable)? {
        let what = match section.section_type(LE) {
            macho::S_THREAD_LOCAL_REGULAR
            | macho::S_THREAD_LOCAL_ZEROFILL
            | macho::S_THREAD_LOCAL_VARIABLES
            | macho::S_THREAD_LOCAL_VARIABLE_POINTERS
            | macho::S_THREAD_LOCAL_INIT_FUNCTION_POINTERS => "thread-local variables",
            macho::S_MOD_INIT_FUNC_POINTERS | macho::S_INIT_FUNC_OFFSETS => "initialisers",
            _ => continue,
        };
        return Err(format!(
            "its section {} has {what}, which code without Rust's std does not need; take them \
             out",
            section.name().escape_ascii()
        ));
    }
    Ok(())
}

fn part(segment: &macho::SegmentCommand64<LE>) -> Result<Part, String> {
    let name = segment.name().escape_ascii().to_string();
    let (file_offset, file_size) = segment.file_range(LE);
    let offset = segment.vmaddr(LE);
    let size = segment.vmsize(LE);
    if offset % PAGE != 0 || file_size > size {
        return Err(format!("its segment {name} is not laid out in pages"));
    }
    let mut protection = 0;
    for (theirs, ours) in [
        (macho::VM_PROT_READ, libc::PROT_READ),
        (macho::VM_PROT_WRITE, libc::PROT_WRITE),
        (macho::VM_PROT_EXECUTE, libc::PROT_EXEC),
    ] {
        if segment.initprot(LE).contains(theirs) {
            protection |= ours;
        }
    }
    // Written to by fixups only.
    if segment.flags(LE).contains(macho::SG_READ_ONLY) {
        protection &= !libc::PROT_WRITE;
    }
    if protection & libc::PROT_WRITE != 0 && protection & libc::PROT_EXEC != 0 {
        return Err(format!(
            "its segment {name} is to be written to and executed"
        ));
    }
    Ok(Part {
        name,
        offset,
        size,
        file_offset,
        file_size,
        protection,
    })
}

/// The image's memory.
struct Memory {
    start: NonNull<u8>,
    size: usize,
}

impl Memory {
    fn new(size: u64) -> Result<Memory, String> {
        let size = usize::try_from(size).map_err(|e| e.to_string())?;
        // SAFETY: anonymous memory at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error().to_string());
        }
        let start = NonNull::new(start.cast()).ok_or("the kernel gave address 0")?;
        Ok(Memory { start, size })
    }

    /// All of it, before it is protected.
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: that much is mapped, zeroed and ours alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }

    fn address(&self, offset: u64) -> *const c_void {
        self.start.as_ptr().wrapping_add(offset as usize).cast()
    }

    fn protect(&mut self, offset: u64, size: u64, protection: c_int) -> Result<(), String> {
        let start = self.address(offset).cast_mut();
        // SAFETY: pages of the image, to which there is no reference any more.
        if unsafe { libc::mprotect(start, size as usize, protection) } == -1 {
            return Err(std::io::Error::last_os_error().to_string());
        }
        Ok(())
    }
}
