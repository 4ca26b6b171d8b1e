#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# The gate for form: rustfmt and clippy for the Rust, shellcheck for every shell
# script of the repository.

TOP=$(cd "$(dirname "$0")/../.." && pwd)
OUT=$TOP/target/regress/lint
CARGO=${CARGO:-cargo}
failed=0

# check NAME LOG COMMAND...: passes if the command does.
check() {
	local name=$1 log=$OUT/$2

	shift 2
	if "$@" >"$log" 2>&1 </dev/null; then
		echo "PASS $name"
	else
		echo "FAIL $name: see $log; its first complaint: $(complaint "$log")"
		failed=1
	fi
}

complaint() {
	grep -m 1 -E '^(error|warning|Diff in|In )' "$1" || head -n 1 "$1"
}

# The shell scripts of the repository, by their names or first lines.
scripts() {
	git -c safe.directory="$TOP" ls-files -co --exclude-standard |
	    while IFS= read -r file; do
		case $file in
		*.sh) echo "$file" ;;
		*.patch) ;;
		*)
			[ ! -f "$file" ] || ! head -n 1 "$file" |
			    grep -aqE '^#!.*[/ ](ba|da)?sh( |$)' || echo "$file"
			;;
		esac
	done
}

cd "$TOP" || exit 1
mkdir -p "$OUT"

name="the Rust is formatted"
if "$CARGO" fmt --version >/dev/null 2>&1; then
	check "$name" fmt.log "$CARGO" fmt --all --check
else
	echo "SKIP $name: no rustfmt (with rustup: rustup component add rustfmt)"
fi

# The same features as make check builds, so that nothing is built again.
features=openssh-portable/patched,openssh-portable/upstream
clippy=(clippy --workspace --all-targets --no-default-features)
name="clippy finds nothing"
if ! "$CARGO" clippy --version >/dev/null 2>&1; then
	echo "SKIP $name: no clippy (with rustup: rustup component add clippy)"
else
	check "$name" clippy.log \
	    "$CARGO" "${clippy[@]}" --features "$features" -- -D warnings
	if [ "$(uname -s)" != Darwin ]; then
		features=$features,openssh-portable/darwin-model,rust-tun/model
		check "$name on the Darwin path" clippy-model.log \
		    "$CARGO" "${clippy[@]}" --features "$features" -- -D warnings
	fi
fi

name="shellcheck finds nothing"
if ! command -v shellcheck >/dev/null; then
	echo "SKIP $name: shellcheck is not installed"
else
	while IFS= read -r script; do
		check "$name in $script" "shellcheck-${script//\//-}.log" \
		    shellcheck -x "$script"
	done < <(scripts)
fi

exit "$failed"
