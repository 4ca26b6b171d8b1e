#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# The Rust tests of the workspace: each as one result.

TOP=$(cd "$(dirname "$0")/../.." && pwd)
OUT=$TOP/target/regress/cargo
LOG=$OUT/test.log

cd "$TOP" || exit 1
mkdir -p "$OUT"

# The same features as make check builds, so that nothing is built again.
features=openssh-portable/patched,openssh-portable/upstream
if [ "$(uname -s)" != Darwin ]; then
	features=$features,openssh-portable/darwin-model,rust-tun/model
fi
CARGO_TERM_COLOR=never "${CARGO:-cargo}" test --workspace --no-fail-fast \
    --no-default-features --features "$features" >"$LOG" 2>&1 </dev/null
status=$?

# "Running unittests src/lib.rs (target/debug/deps/some_crate-0123)" comes before
# a program's tests, "test name ... result" after each.
results=$(awk '
	/^ *Running .*\(.*\)$/ {
		crate = $NF
		gsub(/.*\/|-[0-9a-f]+\)$/, "", crate)
	}
	/^ *Doc-tests / { crate = $2 }
	/^test .* \.\.\. / {
		at = match($0, / \.\.\. /)
		name = substr($0, 6, at - 6)
		result = substr($0, at + 5)
		if (result ~ /^ok/)
			print "PASS " crate " " name
		else if (result ~ /^ignored/)
			print "SKIP " crate " " name ": " result
		else
			print "FAIL " crate " " name ": see '"$LOG"'"
	}' "$LOG")
[ -z "$results" ] || printf '%s\n' "$results"

if [ "$status" = 0 ] && [ -z "$results" ]; then
	echo "FAIL cargo test: it ran no test; see $LOG"
	exit 1
elif [ "$status" != 0 ] && ! grep -q '^FAIL ' <<<"$results"; then
	why=$(grep -m 1 -E '^error' "$LOG")
	echo "FAIL cargo test: it ended with status $status; see $LOG; ${why:-no error is named}"
fi
exit "$status"
