// SPDX-License-Identifier: ISC

//! A shared library of Linux's own kind, through dlopen(3).

use std::ffi::{CStr, CString, c_void};

/// A loaded library. It is never unloaded.
pub struct Elf(*mut c_void);

impl Elf {
    pub fn load(path: &str) -> Result<Elf, String> {
        let c_path = CString::new(path).map_err(|_| format!("{path:?}: no name of a file"))?;
        // SAFETY: the path is NUL-terminated; what the library runs when it is
        // loaded is Rust's and C's, which run nothing.
        let handle = unsafe { libc::dlopen(c_path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(format!("{}; build it anew", error()));
        }
        Ok(Elf(handle))
    }

    pub fn symbol(&self, name: &str) -> Option<*const c_void> {
        find(self.0, name)
    }
}

/// A function of this process: the model's before libc's, when it is loaded.
pub fn process_symbol(name: &str) -> Option<*const c_void> {
    find(libc::RTLD_DEFAULT, name)
}

fn find(handle: *mut c_void, name: &str) -> Option<*const c_void> {
    let c_name = CString::new(name).ok()?;
    // SAFETY: the handle is dlopen's or RTLD_DEFAULT, the name NUL-terminated.
    let found = unsafe { libc::dlsym(handle, c_name.as_ptr()) };
    (!found.is_null()).then_some(found.cast_const())
}

fn error() -> String {
    // SAFETY: no precondition.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "dlopen failed".to_string();
    }
    // SAFETY: dlerror's text is NUL-terminated and stays until the next dl*
    // call of this thread.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
