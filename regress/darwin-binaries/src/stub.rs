// SPDX-License-Identifier: ISC

//! The compiler's list of libSystem's symbols: a text stub (.tbd, version 4),
//! of which only the lists of symbols are read, each after the list of the
//! targets that it is for.

use std::collections::HashSet;

/// The names that the stub has for `architecture`, as in a symbol table.
pub fn symbols(stub: &str, architecture: &str) -> HashSet<String> {
    let mut symbols = HashSet::new();
    let mut ours = false;
    let mut rest = stub;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((list, after)) = after.split_once(']') else {
            break;
        };
        rest = after;
        let key = before.split_whitespace().next_back().unwrap_or_default();
        let mut words = list
            .split([',', ' ', '\n', '\''])
            .filter(|word| !word.is_empty());
        match key {
            "targets:" => ours = words.any(|word| is_for(word, architecture)),
            "symbols:" | "weak-symbols:" | "thread-local-symbols:" if ours => {
                symbols.extend(words.map(str::to_string));
            }
            _ => {}
        }
    }
    symbols
}

/// Is a target, such as arm64e-macos, of this architecture? Apple's libraries
/// are arm64e (and arm64 programs run on them).
fn is_for(target: &str, architecture: &str) -> bool {
    target
        .strip_suffix("-macos")
        .is_some_and(|name| name == architecture || name.strip_suffix('e') == Some(architecture))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUB: &str = "\
--- !tapi-tbd
targets:         [ x86_64-macos, arm64e-macos ]
exports:
  - targets:         [ x86_64-macos,
                       x86_64-maccatalyst ]
    symbols:         [ '_old$INODE64', _other ]
    objc-classes:    [ No ]
  - targets:         [ arm64e-macos ]
    symbols:         [ _new ]
    weak-symbols:    [ __ZdlPv ]
  - targets:         [ arm64e-maccatalyst ]
    symbols:         [ _ipad ]
reexports:
  - targets:         [ x86_64-macos, arm64-macos ]
    symbols:         [ _both ]
";

    fn sorted(architecture: &str) -> Vec<String> {
        let mut names: Vec<_> = symbols(STUB, architecture).into_iter().collect();
        names.sort();
        names
    }

    #[test]
    fn the_symbols_are_those_of_the_architecture() {
        assert_eq!(sorted("x86_64"), ["_both", "_old$INODE64", "_other"]);
        assert_eq!(sorted("arm64"), ["__ZdlPv", "_both", "_new"]);
    }
}
