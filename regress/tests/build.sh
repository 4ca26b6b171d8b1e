#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# The build as a person meets it: make, its progress, its failures, and what
# make install leaves. The tests of what is rebuilt when, and of what a failure
# says, build a stand-in for OpenSSH whose configure and make take no time;
# those of the installed programs build the real one.

# Every test is called through run.
# shellcheck disable=SC2317

TOP=$(cd "$(dirname "$0")/../.." && pwd)
OUT=$TOP/target/regress/build
STANDIN=$OUT/standin	# a checkout with a stand-in for OpenSSH and the core
REAL=$OUT/real		# a checkout as it is
SRC=$OUT/openssh	# the stand-in for OpenSSH
LOG=$OUT/make.log
failed=0

# Whoever runs this may have built with settings of their own.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES PROGRESS_FD DESTDIR PREFIX \
    SYSCONFDIR CONFIGURE_FLAGS CARGO_TARGET_DIR CC CFLAGS CPPFLAGS LDFLAGS LIBS LD AR
given_tarball=${OPENSSH_TARBALL:-}
given_src=${OPENSSH_SRC:-}
unset OPENSSH_TARBALL OPENSSH_SRC
export CARGO=${CARGO:-cargo}

# --- the tests' own tools ----------------------------------------------------

# A test is a function that prints why it fails, if it does.
run() {
	local name=$1 why

	shift
	why=$("$@" 2>>"$OUT/errors.log" | awk '{ printf "%s%s", sep, $0; sep = "; " }')
	if [ -z "$why" ]; then
		echo "PASS $name"
	else
		echo "FAIL $name: $why"
		failed=1
	fi
}

# A copy of what git knows of the working tree, in place of an earlier one. What
# was built in that stays.
checkout() {
	local to=$1

	mkdir -p "$to"
	find "${to:?}" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
	(cd "$TOP" && git -c safe.directory="$TOP" ls-files -z -co --exclude-standard |
	    while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done | tar --null -T - -cf -) | tar -xf - -C "$to"
}

standin() {
	rm -rf "$STANDIN.moved" "$SRC"
	checkout "$STANDIN"
	rm -rf "$STANDIN/patches" "$STANDIN/rust-tun"
	mkdir "$STANDIN/patches"
	# The members' list may take several lines.
	awk '/^members = / { print "members = [\"openssh-portable\", \"openssh-portable/source\", \"rust-tun\"]"; skip = 1 }
	    !skip { print }
	    skip && /\]/ { skip = 0 }' "$TOP/Cargo.toml" >"$STANDIN/Cargo.toml"
	mkdir -p "$STANDIN/rust-tun/src" "$STANDIN/rust-tun/include"
	cat >"$STANDIN/rust-tun/Cargo.toml" <<-EOF
		[package]
		name = "rust-tun"
		version = "0.1.0"
		edition = "2024"

		[lib]
		crate-type = ["lib"]

		[features]
		model = []
		panic-handler = []
	EOF
	cat >"$STANDIN/rust-tun/src/lib.rs" <<-EOF
		#[unsafe(no_mangle)]
		pub extern "C" fn one() -> i32 { 1 }
	EOF
	echo "/* header */" >"$STANDIN/rust-tun/include/rust_tun.h"

	mkdir -p "$SRC"
	: >"$SRC/configure.ac"
	: >"$SRC/sshbuf.h"
	cat >"$SRC/configure" <<-"EOF"
		#!/bin/sh
		# Takes --with-rust-tun=PATH, and anything else.
		src=$(dirname "$0")
		echo configured >>@out@/configured
		printf '%s\n' "$@" >arguments
		for a; do
			case $a in
			--with-broken) echo "configure: error: broken is missing"; exit 1 ;;
			--with-interrupt) kill -9 "$PPID"; exit 1 ;;
			--prefix=*) prefix=${a#*=} ;;
			esac
		done
		{ echo "prefix=$prefix"; echo "srcdir=$src"; cat "$src/Makefile.in"; } >Makefile
		cp "$src/sshbuf.h" .
	EOF
	# Recipes keep their tabs.
	cat >"$SRC/Makefile.in" <<"EOF"
all: ssh
ssh: openbsd-compat/libopenbsd-compat.a
	! grep '#error' sshbuf.h
	echo linked >>@out@/made
	echo "$(MAKEFLAGS)" >makeflags
	cp sshbuf.h $@
openbsd-compat/libopenbsd-compat.a:
	mkdir -p openbsd-compat
	touch $@
install-nokeys: ssh
	mkdir -p $(DESTDIR)$(prefix)/bin
	cp ssh $(DESTDIR)$(prefix)/bin/ssh
EOF
	sed -i.old "s|@out@|$OUT|" "$SRC/Makefile.in" "$SRC/configure"
	rm "$SRC"/*.old
	chmod +x "$SRC/configure"
}

# make in the stand-in checkout, its output in LOG.
build() {
	make -C "$STANDIN" OPENSSH_SRC="$SRC" "$@" >"$LOG" 2>&1 </dev/null
}

# The same for the variants of the tests.
build_variants() {
	(cd "$STANDIN" && OPENSSH_SRC=$SRC "$CARGO" build -p openssh-portable \
	    --no-default-features --features "$1") >"$LOG" 2>&1 </dev/null
}

arguments() {
	cat "$STANDIN/target/openssh/$1/arguments"
}

# What a failed make or cargo ends with, by whichever name it calls itself.
last() {
	grep -v '^make' "$LOG" | tail -n 1
}

# How often something was done so far.
times() {
	if [ -e "$1" ]; then
		wc -l <"$1"
	else
		echo 0
	fi
}

configured() {
	times "$OUT/configured"
}

made() {
	times "$OUT/made"
}

built() {
	build "$@" || echo "make failed: $(last)"
}

fails() {
	! build "$@" || echo "make did not fail"
}

says() {
	local words

	for words; do
		grep -qF -- "$words" "$LOG" ||
		    echo "it does not say '$words': $(last)"
	done
}

# The inode and time of a file.
identity() {
	ls -li --time-style=full-iso "$1" 2>/dev/null || ls -liT "$1"
}

same() {
	[ "$1" = "$2" ] || echo "it is $2, not $1"
}

# --- what is built, and when -------------------------------------------------

progress() {
	built
	says "install: configure: " "install: make: "
}

second_make() {
	local before after

	built
	before="$(configured) $(made) $(identity "$STANDIN/target/openssh/install/ssh")"
	built
	after="$(configured) $(made) $(identity "$STANDIN/target/openssh/install/ssh")"
	same "$before" "$after"
	! grep -q Compiling "$LOG" || echo "cargo was not idle: $(grep Compiling "$LOG")"
}

flags() {
	built PREFIX=/opt/x SYSCONFDIR=/etc/x CONFIGURE_FLAGS="--with-a '--with-b=c d'"
	same "--prefix=/opt/x --sysconfdir=/etc/x --with-mantype=doc --with-a --with-b=c d " \
	    "$(arguments install | tr '\n' ' ')"
}

changed_flags() {
	local before

	built CONFIGURE_FLAGS=--with-a
	before=$(configured)
	built CONFIGURE_FLAGS=--with-b
	same "$((before + 1))" "$(configured)"
	built CONFIGURE_FLAGS=--with-b CFLAGS=-O0
	same "$((before + 2))" "$(configured)"
}

open_quote() {
	fails CONFIGURE_FLAGS="--with-a='b"
	says "CONFIGURE_FLAGS has a quote that is not closed: --with-a='b"
}

changed_source() {
	local before

	built
	before=$(made)
	echo "/* changed */" >>"$SRC/sshbuf.h"
	built
	same "$((before + 1))" "$(made)"
	cmp -s "$SRC/sshbuf.h" "$STANDIN/target/openssh/install/ssh" ||
	    echo "the change is not in what was built"
}

no_make_flags() {
	rm -f "$STANDIN/target/openssh/install/.built-from"
	built -k DESTDIR=/nowhere
	grep -q 'k\|nowhere' "$STANDIN/target/openssh/install/makeflags" &&
	    echo "OpenSSH's make got: $(cat "$STANDIN/target/openssh/install/makeflags")"
}

plain_cargo() {
	rm -f "$STANDIN/target/openssh/install/.built-from"
	(cd "$STANDIN" && OPENSSH_SRC=$SRC "$CARGO" build -p openssh-portable) \
	    >"$LOG" 2>&1 </dev/null || echo "it fails: $(last)"
	! grep "install: make" "$LOG" || echo "it says what cargo hides"
}

deleted_build() {
	built
	rm -rf "$STANDIN/target/openssh" "$STANDIN/openssh-portable/tree"
	built
	[ -e "$STANDIN/target/openssh/install/ssh" ] || echo "it was not built again"
}

moved_checkout() {
	local before

	built
	before=$(configured)
	mv "$STANDIN" "$STANDIN.moved"
	make -C "$STANDIN.moved" OPENSSH_SRC="$SRC" >"$LOG" 2>&1 </dev/null ||
	    echo "make failed: $(last)"
	same "$((before + 1))" "$(configured)"
	[ ! -e "$STANDIN" ] || echo "it built in the old place"
	rm -rf "$STANDIN"
	mv "$STANDIN.moved" "$STANDIN"
}

# --- failures ----------------------------------------------------------------

failing_configure() {
	fails CONFIGURE_FLAGS=--with-broken
	says "configure: error: broken is missing" "install: configure failed" \
	    target/openssh/install/configure.log CONFIGURE_FLAGS
}

after_failing_configure() {
	local before

	fails CONFIGURE_FLAGS=--with-broken
	before=$(configured)
	fails CONFIGURE_FLAGS=--with-broken
	same "$((before + 1))" "$(configured)"
}

# The script that runs configure is killed under it, as by the kernel.
interrupted_configure() {
	local before

	fails CONFIGURE_FLAGS=--with-interrupt
	before=$(configured)
	fails CONFIGURE_FLAGS=--with-interrupt
	same "$((before + 1))" "$(configured)"
	built
}

failing_make() {
	cp "$SRC/sshbuf.h" "$OUT/sshbuf.h"
	echo "#error" >>"$SRC/sshbuf.h"
	fails
	says "install: make failed" target/openssh/install/make.log
	fails
	says "install: make failed"
	cp "$OUT/sshbuf.h" "$SRC/sshbuf.h"
	built
}

wrong_tarball() {
	echo "no tarball" >"$OUT/openssh-10.0p1.tar.gz"
	make -C "$STANDIN" OPENSSH_TARBALL="$OUT/openssh-10.0p1.tar.gz" \
	    >"$LOG" 2>&1 </dev/null && echo "make did not fail"
	says "expected SHA-256 021a2e709a0edf42" "$OUT/openssh-10.0p1.tar.gz" \
	    "got $(sha256sum "$OUT/openssh-10.0p1.tar.gz" | cut -d ' ' -f 1)"
}

# --- the variants of the tests -----------------------------------------------

test_paths() {
	local to=$STANDIN/target/openssh/patched

	build_variants patched || echo "it fails: $(last)"
	same "--prefix=$to/root --sysconfdir=$to/etc --with-pid-dir=$to/run \
--with-privsep-path=$to/empty --with-privsep-user=nobody " \
	    "$(arguments patched | tr '\n' ' ')"
}

darwin_path() {
	local arguments

	build_variants darwin-model || echo "it fails: $(last)"
	arguments=$(arguments darwin-model)
	for argument in ac_cv_header_linux_if_tun_h=no ac_cv_header_linux_if_h=no \
	    "--with-rust-tun=$STANDIN/target/rust-tun/model"; do
		grep -q -x -F -- "$argument" <<<"$arguments" ||
		    echo "configure did not get $argument"
	done
	grep -q '^CPPFLAGS=.*-DSSH_TUN_FREEBSD' <<<"$arguments" ||
	    echo "configure did not get Darwin's defines"
	for file in lib/librust_tun.a include/rust_tun.h; do
		[ -e "$STANDIN/target/rust-tun/model/$file" ] || echo "there is no $file"
	done
}

changed_core() {
	local before

	build_variants darwin-model || echo "it fails: $(last)"
	before="$(configured) $(($(made) + 1))"
	sed -i.old 's/1 }$/2 }/' "$STANDIN/rust-tun/src/lib.rs"
	build_variants darwin-model || echo "it fails: $(last)"
	same "$before" "$(configured) $(made)"
	build_variants darwin-model || echo "it fails: $(last)"
	same "$before" "$(configured) $(made)"
	! grep -q Compiling "$LOG" || echo "cargo was not idle: $(grep Compiling "$LOG")"
}

changed_header() {
	local before

	build_variants darwin-model || echo "it fails: $(last)"
	before="$(($(configured) + 1)) $(($(made) + 1))"
	echo "/* changed */" >>"$STANDIN/rust-tun/include/rust_tun.h"
	build_variants darwin-model || echo "it fails: $(last)"
	same "$before" "$(configured) $(made)"
}

no_rust_tun_option() {
	sed -i.old 's/with-rust-tun/no-such-option/' "$SRC/configure"
	! build_variants darwin-model || echo "it does not fail"
	says "the tree's configure has no --with-rust-tun"
	mv "$SRC/configure.old" "$SRC/configure"
}

# --- install -----------------------------------------------------------------

# As root through sudo there is no cargo; it is not needed.
install_without_cargo() {
	local before

	built PREFIX=/opt/x
	before="$(configured) $(made)"
	built install PREFIX=/opt/x DESTDIR="$OUT/dest" CARGO=/nonexistent/cargo
	same "$before" "$(configured) $(made)"
	[ -e "$OUT/dest/opt/x/bin/ssh" ] || echo "there is no $OUT/dest/opt/x/bin/ssh"
}

install_builds() {
	built PREFIX=/opt/x
	built install PREFIX=/opt/y DESTDIR="$OUT/dest"
	[ -e "$OUT/dest/opt/y/bin/ssh" ] || echo "there is no $OUT/dest/opt/y/bin/ssh"
}

install_without_tree() {
	built PREFIX=/opt/x
	rm -rf "$STANDIN/openssh-portable/tree"
	built install PREFIX=/opt/x DESTDIR="$OUT/dest"
	[ -e "$STANDIN/openssh-portable/tree" ] || echo "there is no tree to install from"
}

# A real build, below a DESTDIR. sshd wants a user and a directory that this
# machine has.
real_make() {
	make -C "$REAL" PREFIX=/opt/custom-ssh SYSCONFDIR=/etc/custom-ssh CFLAGS=-O0 \
	    CONFIGURE_FLAGS="--with-privsep-user=nobody --with-privsep-path='$OUT/empty'" \
	    OPENSSH_TARBALL="$tarball" OPENSSH_SRC="$given_src" \
	    "$@" >"$LOG" 2>&1 </dev/null || echo "make failed: $(last)"
}

real_install() {
	local dest=$OUT/dest/real file

	real_make install DESTDIR="$dest"
	for file in bin/ssh bin/scp bin/sftp bin/ssh-keygen sbin/sshd libexec/sshd-session \
	    libexec/sshd-auth libexec/sftp-server share/man/man1/ssh.1 share/man/man8/sshd.8; do
		[ -s "$dest/opt/custom-ssh/$file" ] || echo "there is no $file"
	done
	for file in ssh_config sshd_config moduli; do
		[ -s "$dest/etc/custom-ssh/$file" ] || echo "there is no $file"
	done
	[ ! -e /opt/custom-ssh ] && [ ! -e /etc/custom-ssh ] ||
	    echo "something is outside DESTDIR"
	! ls "$dest"/etc/custom-ssh/*key* 2>/dev/null || echo "it has host keys"
}

installed_runs() {
	local at=$OUT/dest/real/opt/custom-ssh etc=$OUT/dest/real/etc/custom-ssh

	"$at/bin/ssh" -V 2>&1 | grep -q '^OpenSSH_' || echo "ssh -V says no version"
	rm -f "$OUT/key" "$OUT/key.pub"
	"$at/bin/ssh-keygen" -q -t ed25519 -N '' -f "$OUT/key" || echo "ssh-keygen made no key"
	mkdir -p "$OUT/empty"
	chmod 755 "$OUT/empty"
	"$at/sbin/sshd" -t -f "$etc/sshd_config" -h "$OUT/key" 2>&1
}

installed_paths() {
	grep -q -F /etc/custom-ssh/sshd_config "$OUT/dest/real/opt/custom-ssh/share/man/man8/sshd.8" ||
	    echo "sshd.8 does not speak of /etc/custom-ssh/sshd_config"
	grep -q -F /etc/custom-ssh "$OUT/dest/real/opt/custom-ssh/sbin/sshd" ||
	    echo "sshd does not look in /etc/custom-ssh"
}

# --- prerequisites -----------------------------------------------------------

# prerequisites with the commands of a machine that has them all, and an apt
# that only notes what it is asked.
machine() {
	local tool

	rm -rf "${OUT:?}/bin" "$OUT/asked"
	mkdir -p "$OUT/bin"
	for tool in sh dirname uname sed cc gcc as ld make patch autoreconf aclocal rm mv \
	    mkdir date tail xargs cat grep; do
		ln -s "$(command -v "$tool")" "$OUT/bin/$tool"
	done
	stub id 'echo 0'
	stub cargo 'echo "cargo 1.99.0 (0 2030-01-01)"'
	stub rustc 'echo "rustc 1.99.0 (0 2030-01-01)"'
	stub apt-get "echo \"\$*\" >>'$OUT/asked'"
	# shellcheck disable=SC2016
	stub apt-cache 'case $2 in rustc) v=1.63.0+dfsg1-2 ;; *) v=1.85.0+dfsg3-1 ;; esac
echo "  Candidate: $v"'
}

stub() {
	printf '#!/bin/sh\n%s\n' "$2" >"$OUT/bin/$1"
	chmod +x "$OUT/bin/$1"
}

prerequisites() {
	# The headers are there or not as this machine has them.
	CONFIGURE_FLAGS="--without-zlib --without-openssl" CARGO='' PATH=$OUT/bin \
	    "$OUT/bin/sh" "$STANDIN/openssh-portable/prerequisites" build >"$LOG" 2>&1
}

nothing_missing() {
	machine
	prerequisites || echo "it fails: $(last)"
	[ ! -s "$LOG" ] || echo "it says: $(head -n 1 "$LOG")"
	[ ! -e "$OUT/asked" ] || echo "apt-get was run: $(head -n 1 "$OUT/asked")"
}

as_root() {
	machine
	rm "$OUT/bin/autoreconf"
	prerequisites || echo "it fails: $(last)"
	says "autoconf: the making of configure" "installed with apt-get"
	grep -q ' install autoconf$' "$OUT/asked" || echo "apt-get was not asked for autoconf"
}

not_root() {
	machine
	rm "$OUT/bin/autoreconf" "$OUT/bin/patch"
	stub id 'echo 1000'
	! prerequisites || echo "it does not fail"
	says "sudo apt-get install patch autoconf"
	[ ! -e "$OUT/asked" ] || echo "apt-get was run: $(head -n 1 "$OUT/asked")"
}

no_apt() {
	machine
	rm "$OUT/bin/autoreconf" "$OUT/bin/apt-get"
	! prerequisites || echo "it does not fail"
	says "install it, then run make again" autoconf
}

old_rust() {
	machine
	stub cargo 'echo "cargo 1.63.0"'
	stub apt-get "echo \"\$*\" >>'$OUT/asked'
case \$* in *install*) printf '#!/bin/sh\necho cargo 1.85.0\n' >'$OUT/bin/cargo' ;; esac"
	prerequisites || echo "it fails: $(last)"
	grep -q ' install cargo-web rustc-web$' "$OUT/asked" ||
	    echo "it did not install cargo-web and rustc-web"
}

shadowed_rust() {
	machine
	stub cargo 'echo "cargo 1.63.0"'
	! prerequisites || echo "it does not fail"
	says "$OUT/bin/cargo" "is still older than Rust 1.85"
}

apt_fails() {
	machine
	rm "$OUT/bin/autoreconf"
	stub apt-get 'echo "E: no space"; exit 100'
	! prerequisites || echo "it does not fail"
	says "E: no space" "apt-get could not install autoconf" target/prerequisites.log
}

# -----------------------------------------------------------------------------

mkdir -p "$OUT"
rm -rf "$OUT/dest" "$OUT/configured" "$OUT/made"
: >"$OUT/errors.log"
standin

run "make shows a line a step" progress
run "a second make does nothing" second_make
run "CONFIGURE_FLAGS, PREFIX and SYSCONFDIR reach configure" flags
run "changed flags configure again" changed_flags
run "an open quote in CONFIGURE_FLAGS is named" open_quote
run "a changed source is built" changed_source
run "flags and variables of the outer make stay outside" no_make_flags
run "plain cargo build works without progress" plain_cargo
run "what was deleted is built again" deleted_build
run "a moved checkout is built anew" moved_checkout
run "a failing configure names step, log and remedy" failing_configure
run "a failed configure is not trusted" after_failing_configure
run "an interrupted configure is not trusted" interrupted_configure
run "a failing make names step and log, and is tried again" failing_make
run "a wrong tarball stops make with expected, got and file" wrong_tarball
run "the tests' variant keeps all paths in target" test_paths
run "the darwin-model variant configures Darwin's path and the core" darwin_path
run "a changed core links again without configure" changed_core
run "a changed header configures again" changed_header
run "a series without --with-rust-tun is named" no_rust_tun_option
run "make install needs no cargo after make" install_without_cargo
run "make install with other settings builds first" install_builds
run "make install brings in a tree that is gone" install_without_tree

run "nothing missing runs no apt" nothing_missing
run "as root apt installs what is missing and says why" as_root
run "not as root the one command is shown" not_root
run "without apt the packages are named" no_apt
run "too old a Rust is replaced by Debian's newer one" old_rust
run "an old Rust before the new one in PATH is named" shadowed_rust
run "a failing apt names its error and log" apt_fails

checkout "$REAL"
# What is downloaded already need not come again.
tarball=$given_tarball
kept=$TOP/openssh-portable/download/openssh_10.0p1.orig.tar.gz
if [ -z "$tarball" ] && [ -e "$kept" ]; then
	tarball=$kept
fi
run "make install with DESTDIR puts every file below it, and no key" real_install
run "what make install installs runs" installed_runs
run "what make install installs knows its paths" installed_paths

exit "$failed"
