#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# Test the cross-build for macOS: what it makes, that a second run makes nothing,
# that what checks it sees what is wrong, and that an error in the core's abi
# module does not compile there.

TOP=$(cd "$(dirname "$0")/../.." && pwd)
OUT=$TOP/target/regress/darwin
CROSS=$TOP/openssh-portable/darwin/cross
TARGETS=(aarch64-apple-darwin x86_64-apple-darwin)
LOG=$OUT/last.log
failed=0

# result NAME WHY: passes if there is no reason why not.
result() {
	if [ -z "$2" ]; then
		echo "PASS $1"
	else
		echo "FAIL $1: $2"
		failed=1
	fi
}

# --- what it makes -----------------------------------------------------------

inspect() {
	"$TOP/regress/darwin-binaries/run" "$@" >"$LOG" 2>&1 </dev/null
}

complaint() {
	grep -v '^ ' "$LOG" | grep -m 1 ': ..*' || tail -n 1 "$LOG"
}

is_whole() {
	inspect "$TOP/target/darwin/$1" || complaint
}

identity() {
	for target in "${TARGETS[@]}"; do
		(cd "$TOP/target/darwin/$target" && ls -l --full-time ssh sshd \
		    sshd-session sshd-auth ssh-keygen librust_tun.a config.status)
	done
}

make_darwin() {
	(unset MAKEFLAGS MAKELEVEL; make -C "$TOP" darwin) >"$LOG" 2>&1 </dev/null ||
	    echo "it fails: $(tail -n 1 "$LOG")"
}

makes_nothing_again() {
	local before

	before=$(identity)
	make_darwin
	[ "$before" = "$(identity)" ] || echo "the programs are other ones"
	! grep -q ' s$' "$LOG" || echo "it ran: $(grep -m 1 ' s$' "$LOG")"
}

# --- that what is wrong is seen ------------------------------------------------

# told PROGRAM-SOURCE [LINKER-FLAG]: what is said of a build whose ssh is this
# program instead, or of the linker.
told() {
	local folder=$OUT/${TARGETS[0]}

	rm -rf "$folder"
	mkdir -p "$folder"
	ln "$TOP/target/darwin/${TARGETS[0]}"/{sshd,sshd-session,sshd-auth,ssh-keygen,librust_tun.a} \
	    "$folder" || return
	if [ -e "$1" ]; then
		cp "$1" "$folder/ssh"
	elif ! "$CROSS" "${TARGETS[0]}" cc ${2:+"$2"} -x c -o "$folder/ssh" - \
	    >"$LOG" 2>&1 <<<"$1"; then
		cat "$LOG"
		return
	fi
	! inspect "$folder" || echo "it finds nothing"
	complaint
}

says() {
	[[ $2 == *"$1"* ]] || echo "it says: $2"
}

another_processor() {
	says "ssh: it is not for arm64" "$(told "$TOP/target/darwin/${TARGETS[1]}/ssh")"
}

another_format() {
	says "ssh: it is not 64-bit Mach-O" "$(told /bin/sh)"
}

no_core() {
	says "ssh: _rust_tun_open_feth is not in it" \
	    "$(told 'int main(void) { return 0; }')"
}

another_core() {
	says "ssh: _rust_tun_open_feth is not the core's code" "$(told '
		int rust_tun_open_feth(void) { return 1; }
		int rust_tun_bpf_infilter(void) { return 2; }
		int rust_tun_bpf_outfilter(void) { return 3; }
		int main(void) { return 0; }')"
}

UNRESOLVED='int no_such_function(void); int main(void) { return no_such_function(); }'

unresolved() {
	says "ssh: _no_such_function is unresolved" \
	    "$(told "$UNRESOLVED" -Wl,-undefined,dynamic_lookup)"
}

unresolved_to_the_linker() {
	says "undefined symbol: _no_such_function" "$(told "$UNRESOLVED")"
}

# --- the layouts ---------------------------------------------------------------

# What is in error, as the compiler is to name it, and how it is made so in
# rust-tun/src/abi/mod.rs. All of one table are made at once: the compiler names
# every one that it finds.
VALUES='
abi::BIOCSBLEN	/const BIOCSBLEN:/s/102/103/
abi::BIOCPROMISC	/const BIOCPROMISC:/s/105/106/
abi::BIOCGDLT	/const BIOCGDLT:/s/_IOR/_IOW/
abi::BIOCSETIF	/const BIOCSETIF:/s/108/109/
abi::BIOCIMMEDIATE	/const BIOCIMMEDIATE:/s/112/113/
abi::BIOCSSEESENT	/const BIOCSSEESENT:/s/119/118/
abi::DLT_EN10MB	/const DLT_EN10MB:/s/1;/2;/
abi::BPF_ALIGNMENT	/const BPF_ALIGNMENT:/s/i32/i64/
abi::BPF_WORDALIGN	/const fn BPF_WORDALIGN/s/x: usize/mut x: usize/;/(x + (BPF/s/(x/x += 1; (x/
abi::ETHER_HDR_LEN	/const ETHER_HDR_LEN:/s/14/18/
abi::AF_NDRV	/const AF_NDRV:/s/27/17/
abi::IFF_UP	/const IFF_UP:/s/0x1/0x2/
abi::SIOCSIFFLAGS	/const SIOCSIFFLAGS:/s/16/18/
abi::SIOCGIFFLAGS	/const SIOCGIFFLAGS:/s/17/18/
abi::SIOCGIFMTU	/const SIOCGIFMTU:/s/51/52/
abi::SIOCGDRVSPEC	/const SIOCGDRVSPEC:/s/_IOWR/_IOW/
abi::bpf_hdr::bh_caplen	/pub bh_caplen:/s/u32/u16/
abi::bpf_hdr::bh_tstamp	/pub bh_tstamp:/s/i32; 2/i32; 3/
the size of abi::bpf_hdr	/pub bh_tstamp:/s/i32; 2/i32; 3/
the size of abi::sockaddr_ndrv	/pub snd_len:/s/u8/u16/
abi::sockaddr_ndrv::snd_len	/pub snd_len:/s/u8/u16/
abi::sockaddr_ndrv::snd_name	/pub snd_len:/s/u8/u16/
the alignment of abi::ifdrv	s/packed(4)/align(8)/
the alignment of abi::ifreq	s/repr(C, align(8))/repr(C, align(16))/
'
# These change what the ones above are made of.
MORE_VALUES='
abi::IOCPARM_MASK	/const IOCPARM_MASK:/s/1fff/7f/
abi::IOC_VOID	/const IOC_VOID:/s/0x2/0x1/
abi::IOC_OUT	/const IOC_OUT:/s/0x4/0x8/
abi::IOC_IN	/const IOC_IN:/s/0x8/0x4/
abi::bpf_hdr::bh_datalen	/pub bh_datalen:/{s/bh_datalen/bh_hdrlen/;s/u32/u16/;b};/pub bh_hdrlen:/{s/bh_hdrlen/bh_datalen/;s/u16/u32/}
abi::bpf_hdr::bh_hdrlen	//
abi::sockaddr_ndrv::snd_family	/pub snd_len:/{s/len/family/;b};/pub snd_family/s/family/len/
abi::ifreq::ifr_name	/pub ifr_name:/{s/_name: .u8; IFNAMSIZ/_ifru: [u8; 16/;b};/pub ifr_ifru:/s/_ifru: .u8; 16/_name: [u8; IFNAMSIZ/
abi::ifreq::ifr_ifru	//
abi::ifdrv::ifd_cmd	/pub ifd_cmd:/{s/cmd: c_ulong/len: usize/;b};/pub ifd_len/s/len: usize/cmd: c_ulong/
abi::ifdrv::ifd_len	//
'

COPY=$OUT/copy

# What git knows of the working tree, and the patched tree beside it.
make_copy() {
	rm -rf "$COPY"
	mkdir -p "$COPY"
	(cd "$TOP" && git -c safe.directory="$TOP" ls-files -z -co --exclude-standard |
	    while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done | tar --null -T - -cf -) | tar -xf - -C "$COPY"
	ln -s "$TOP/openssh-portable/tree" "$COPY/openssh-portable/tree"
	cp "$COPY/rust-tun/src/abi/mod.rs" "$OUT/mod.rs"
}

# Compile the core of the copy; what has been compiled of others is used again.
compile() {
	(cd "$COPY" && "$CROSS" "$1" cargo check -p rust-tun --lib --release \
	    --target-dir "$TOP/target/rust-tun/cargo") >"$LOG" 2>&1 </dev/null
}

compiles() {
	compile "$1" || grep -m 1 '^error' "$LOG"
}

# errors TARGET TABLE: why not all of the table's errors are named.
errors() {
	local what script scripts=()

	while IFS=$'\t' read -r what script; do
		[ -z "$script" ] || [ "$script" = // ] || scripts+=(-e "$script")
	done <<<"$2"
	sed "${scripts[@]}" "$OUT/mod.rs" >"$COPY/rust-tun/src/abi/mod.rs"
	if compile "$1"; then
		echo "it compiles"
	fi
	cp "$OUT/mod.rs" "$COPY/rust-tun/src/abi/mod.rs"
	while IFS=$'\t' read -r what script; do
		[ -z "$what" ] || grep -q "$what is not " "$LOG" ||
		    echo "$what is not named; the first of what is: $(grep -m 1 '^error' "$LOG")"
	done <<<"$2" | head -n 1
}

# What the abi module defines and neither compares with the headers nor lists
# as missing there.
not_compared() {
	local abi=$TOP/rust-tun/src/abi name

	# The names with _ in front only make the numbers.
	sed -n -E 's/^(pub )?(const fn|const|struct) ([A-Za-z]\w*).*/\3/p' "$abi/mod.rs" |
	    grep -vxE 'fn|Request' | while read -r name; do
		grep -q "^//!.*\[\`$name\`\]" "$abi/mod.rs" ||
		    grep -qw "$name" "$abi/platform.rs" || echo "$name is not"
	done
}

no_complaint_of_clippy() {
	(cd "$TOP" && "$CROSS" "$1" cargo clippy -p rust-tun --lib --release \
	    --target-dir target/rust-tun/cargo -- -D warnings) >"$LOG" 2>&1 </dev/null ||
	    grep -m 1 '^error' "$LOG"
}

# -------------------------------------------------------------------------------

if [ "$(uname -s)" = Darwin ]; then
	echo "SKIP the cross-build for macOS: it is for other systems"
	exit
fi
mkdir -p "$OUT"
result "make darwin makes the core and OpenSSH" "$(make_darwin)"
for target in "${TARGETS[@]}"; do
	result "$target: Mach-O, with the core, no symbol unresolved" "$(is_whole "$target")"
done
result "make darwin again makes nothing" "$(makes_nothing_again)"
result "a program for another processor is seen" "$(another_processor)"
result "a program of another format is seen" "$(another_format)"
result "a program without the core is seen" "$(no_core)"
result "a program with something else in the core's place is seen" "$(another_core)"
result "a program with an unresolved symbol is seen" "$(unresolved)"
result "an unresolved symbol stops the linker" "$(unresolved_to_the_linker)"

make_copy
result "all of the abi is compared with macOS's headers, or listed as not in them" \
    "$(not_compared | head -n 1)"
for target in "${TARGETS[@]}"; do
	result "the core's abi is that of macOS's headers for $target" "$(compiles "$target")"
	name="an error in the abi's values or layouts does not compile for $target"
	result "$name" "$(errors "$target" "$VALUES")"
	name="an error in what they are made of does not compile for $target"
	result "$name" "$(errors "$target" "$MORE_VALUES")"
	name="clippy finds nothing in the core for $target"
	if "${CARGO:-cargo}" clippy --version >/dev/null 2>&1; then
		result "$name" "$(no_complaint_of_clippy "$target")"
	else
		echo "SKIP $name: no clippy"
	fi
done

exit "$failed"
