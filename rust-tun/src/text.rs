// SPDX-License-Identifier: ISC

//! Text of bounded length without a heap: sentences, paths and names.

use core::ffi::CStr;
use core::fmt::{self, Write};

/// UTF-8 of fewer than `N` bytes, and a NUL. What does not fit is left out,
/// whole characters at a time.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// What `text` formats to, up to a NUL in it.
    pub fn new(text: fmt::Arguments<'_>) -> Self {
        const { assert!(N > 0) };
        let mut new = Text {
            bytes: [0; N],
            len: 0,
        };
        // It fails when there is no room for all of it.
        let _ = new.write_fmt(text);
        new
    }

    /// The text with the NUL behind it, and more of them up to `N`.
    pub fn bytes(&self) -> &[u8; N] {
        &self.bytes
    }

    /// The text as C takes it.
    pub fn as_cstr(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let mut end = s.len().min(N - 1 - self.len);
        while !s.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes[self.len..][..end].copy_from_slice(&s.as_bytes()[..end]);
        self.len += end;
        if end < s.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        let text = Text::<6>::new(format_args!("{}{}", "ab", "cäö"));
        assert_eq!(text.bytes(), "abcä\0".as_bytes());
        assert_eq!(text.as_cstr().to_bytes(), "abcä".as_bytes());
        let text = Text::<5>::new(format_args!("abcä"));
        assert_eq!(text.bytes(), b"abc\0\0");
    }
}
