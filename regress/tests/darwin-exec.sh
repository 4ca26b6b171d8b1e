#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# The core as compiled for macOS (x86_64), run here: regress/darwin-loader maps
# it into a process and calls it over the Darwin model, and then calls the Linux
# build of the same code in the same way. What they return, say and make, and
# what the model logs of their calls, must be the same.

# shellcheck disable=SC2317 # the cases' functions are called through add
# shellcheck source=regress/lib.sh
. "$(dirname "$0")/../lib.sh"

CARGO=${CARGO:-cargo}
CROSS=$TOP/openssh-portable/darwin/cross
LOADER=$TOP/target/debug/darwin-loader
DARWIN_CORE=$TOP/target/darwin/x86_64-apple-darwin/librust_tun.a
LINUX_CORE=$TOP/target/rust-tun/model/lib/librust_tun.a
# The two to compare, the core with OpenSSH's sshbuf in each.
DARWIN_IMAGE=$OUT/core.dylib
LINUX_IMAGE=$OUT/core.so

# --- building ----------------------------------------------------------------

darwin_cc() {
	"$CROSS" x86_64-apple-darwin cc "$@"
}

# image CC PREFIX CORE OUTPUT: sshbuf, compiled from the patched tree, and the
# core in one library. Copied, so that they find our includes.h, as rust-tun's
# tests have it: the tree's wants a configured tree.
image() {
	local compile=$1 prefix=$2 core=$3 output=$4 tree name keep=()

	tree=$(echo "$TOP"/openssh-portable/tree/openssh-*)
	mkdir -p "$OUT/sshbuf"
	cp "$tree"/sshbuf{,-getput-basic}.c \
	    "$tree"/openbsd-compat/{explicit_bzero,freezero,recallocarray}.c \
	    "$OUT/sshbuf"
	for name in open_feth bpf_infilter bpf_outfilter; do
		keep+=("-Wl,-u,${prefix}rust_tun_$name")
	done
	rm -f "$output"
	"$compile" -O2 -fPIC -shared -I"$TOP/rust-tun/testing/c" -I"$tree" \
	    -o "$output" "$OUT"/sshbuf/*.c "$TOP/rust-tun/testing/c/ssh_signal.c" \
	    "${keep[@]}" "$core"
}

build() {
	set -e
	cd "$TOP"
	for file in "$MODEL" "$LINUX_CORE" "$DARWIN_CORE"; do
		if [ ! -e "$file" ]; then
			echo "${file#"$TOP/"} is missing; run make check, which makes it"
			exit 1
		fi
	done
	"$CARGO" build --locked --target-dir target -p darwin-loader
	image darwin_cc _ "$DARWIN_CORE" "$DARWIN_IMAGE"
	image cc "" "$LINUX_CORE" "$LINUX_IMAGE"
	# Or there would be nothing to compare.
	if cmp -s -n 4 "$DARWIN_IMAGE" "$LINUX_IMAGE"; then
		echo "both images are for the same system"
		exit 1
	fi
}

# The script's first result, without which there is no other.
build_or_fail() {
	local name="the loader and both images are built" log=$OUT/build.log status

	mkdir -p "$OUT"
	# Not as a condition: errexit would be off in it.
	(build) >"$log" 2>&1 </dev/null
	status=$?
	if [ "$status" != 0 ]; then
		echo "FAIL $name: see $log; $(tail -n 1 "$log")"
		exit 1
	fi
	echo "PASS $name"
}

# --- comparing ---------------------------------------------------------------

# comparable FILE: it, without what two runs of the same code differ in, too: the
# process's number, and the address in a struct ifdrv (its last eight bytes; what
# is there is logged as data).
comparable() {
	sed -E 's/^pid=[0-9]+ //
		/ SIOCGDRVSPEC /s/\b(in|out)=([0-9a-f]{64})[0-9a-f]{16}\b/\1=\2/g' "$1"
}

# same WHAT: of both runs.
same() {
	local file

	for file in darwin linux; do
		[ -s "$CASE/$file.$1" ] || die "there is no $1 of the code for $file"
		comparable "$CASE/$file.$1" >"$CASE/$file.$1.compared"
	done
	cmp -s "$CASE/darwin.$1.compared" "$CASE/linux.$1.compared" ||
	    die "the $1 is not the same, < for macOS, > for Linux: $(diff \
		"$CASE/darwin.$1.compared" "$CASE/linux.$1.compared" |
		grep -am 2 '^[<>]' | cut -c 1-300 | tr '\n' ' ')"
}

# both ARGUMENTS...: run the loader with them on both images; what it prints is
# the same.
both() {
	local image

	for image in darwin linux; do
		rm -f "$CASE/$image".*
		run_image "$image" "$@"
	done
	same output
}

# The loader on one image, behind the command that is in RUN, if any.
RUN=()
run_image() {
	local image=$1 path=$LINUX_IMAGE
	shift
	[ "$image" = linux ] || path=$DARWIN_IMAGE
	"${RUN[@]}" "$LOADER" "$path" "$@" >"$CASE/$image.output" ||
	    die "the loader ended with status $? on the code for $image: $(tail -n 1 "$CASE/output")"
}

# printed REGEX: both printed such a line.
printed() {
	logged "$CASE/darwin.output" "$1" ||
	    die "they printed nothing like \"$1\", but: $(head -n 1 "$CASE/darwin.output")"
}

# --- the loader --------------------------------------------------------------

errno_numbers() {
	"$LOADER" errno >"$CASE/errno.c"
	[ "$(grep -c '^_Static_assert' "$CASE/errno.c")" -gt 50 ] ||
	    die "the loader has too few errnos"
	darwin_cc -c -o "$CASE/errno.o" "$CASE/errno.c" ||
	    die "$(grep -am 1 'static assertion failed' "$CASE/output")"
}

# refuses REGEX TARGET CODE: the loader says so of a dylib made of such C.
refuses() {
	local regex=$1 target=$2 code=$3 said

	printf '%s\n' "$code" >"$CASE/image.c"
	"$CROSS" "$target" cc -O1 -shared -o "$CASE/image.dylib" "$CASE/image.c"
	! "$LOADER" "$CASE/image.dylib" arguments 2>"$CASE/said" ||
	    die "the loader took it"
	said=$(cat "$CASE/said")
	[[ $said =~ $regex ]] || die "the loader said: $said"
}

add loader-errno-numbers errno_numbers
add loader-refuses-thread-locals refuses 'has thread-local variables' \
    x86_64-apple-darwin '_Thread_local int n = 1; int *f(void) { return &n; }'
add loader-refuses-initialisers refuses 'has initialisers' \
    x86_64-apple-darwin 'volatile int n; __attribute__((constructor)) void f(void) { n = 1; }'
add loader-refuses-unknown-imports refuses 'takes _getentropy from libSystem' \
    x86_64-apple-darwin '#include <sys/random.h>
int f(char *p) { return getentropy(p, 4); }'
add loader-refuses-other-processors refuses 'not for x86_64' \
    aarch64-apple-darwin 'int n;'

# --- the filters and arguments -----------------------------------------------

# filters SEED READS
filters() {
	note "seed $1"
	both filters "$@"
	printed '^infilter random 9: '
	printed '^outfilter 14: 1 '
	printed '^infilter, room for 64: .* nobufs 1 '
}

arguments() {
	both arguments
	printed '^unit 5000: -1 EINVAL "tunnel unit 5000: <EINVAL>; '
	printed '^no struct: -1 EFAULT '
}

add filters-make-the-same filters 1 4000
add filters-make-the-same-of-a-new-seed filters "$(date +%s)" 4000
add arguments-are-refused-the-same arguments

# --- the opening of tunnels --------------------------------------------------

# opens FAULTS REGEX [UNIT]: in a network namespace with a pair that is down,
# both do the same and print such a line, with the model told to misbehave.
opens() {
	new_mac "${3:-0}"
	both_open "$@"
}

new_mac() {
	ip netns add mac
	# No frame but what a case sends.
	on mac sh -c 'cd /proc/sys/net/ipv6/conf || exit 0
		echo 1 >all/disable_ipv6; echo 1 >default/disable_ipv6'
	[ -n "${NO_PAIR:-}" ] || feth_pair mac "$1"
	[ -z "${PREPARE:-}" ] || "$PREPARE"
}

both_open() {
	local faults=$1 regex=$2 unit=${3:-0} image

	for image in darwin linux; do
		rm -f "$CASE/$image".*
		"${RESET:-links_down}" "$unit"
		RUN=(on mac env "LD_PRELOAD=$MODEL" "DARWIN_MODEL_FAULT=$faults"
			"DARWIN_MODEL_LOG=$CASE/$image.log")
		run_image "$image" "${VERB:-open}" "$unit"
	done
	same output
	same log
	printed "$regex"
}

# opens_after COMMAND ...: opens, with the namespace prepared by it.
opens_after() {
	PREPARE=$1
	shift
	opens "$@"
}

opens_without_pair() {
	NO_PAIR=yes
	opens_after "$@"
}

nothing() {
	:
}

jumbo_mtu() {
	ip -n mac link set feth0 mtu 9000
	ip -n mac link set feth5000 mtu 9000
}

# The pair, if there is one, before each of both runs.
links_down() {
	ip -n mac link set "feth$1" down 2>/dev/null || :
	ip -n mac link set "feth$((5000 + $1))" down 2>/dev/null || :
}

links_up() {
	ip -n mac link set "feth$1" up
	ip -n mac link set "feth$((5000 + $1))" up
	wait_for "the pair to be up" are_up "$1"
}

are_up() {
	[ "$(ip -n mac -o link show up | grep -Ec "feth($1|$((5000 + $1)))[:@].* state UP ")" = 2 ]
}

opens_while_up() {
	RESET=links_up
	opens "$@"
	! logged "$CASE/darwin.log" SIOCSIFFLAGS ||
	    die "interfaces that are up were brought up"
}

carries() {
	VERB=carry RESET=links_up
	opens "$@"
	[ "$(grep -c '^arrived ' "$CASE/darwin.output")" = 7 ] || die "not all frames arrived"
	printed '^out 1514: 1 reads 7 in 7 max 1 truncated 0 .* out 7 runts 7 too big 0$'
}

only_the_primary() {
	ip -n mac link add name feth0 type veth peer name other0
}

not_paired() {
	only_the_primary
	ip -n mac link add name feth5000 type veth peer name other1
}

paired_with_others() {
	ip -n mac link add name feth0 type veth peer name feth7
	ip -n mac link add name feth5000 type veth peer name feth8
}

# That all of it was done, and that the model has seen it.
opens_all() {
	local step

	opens "$@"
	printed '^wfd [0-9]+, FD 1,'
	printed '^rfd [0-9]+, FD 1,'
	printed '^rbuf_len 65536$'
	for step in SIOCGIFFLAGS SIOCGDRVSPEC SIOCGIFMTU AF_NDRV SO_SNDBUF bind connect \
	    /dev/bpf1 BIOCSBLEN BIOCIMMEDIATE BIOCSSEESENT BIOCSETIF BIOCGDLT \
	    BIOCPROMISC SIOCSIFFLAGS; do
		logged "$CASE/darwin.log" "$step" || die "the model's log has no $step"
	done
}

# any_call_fails ERRNO: the first call, then the second, and so on until there is
# none left that could.
any_call_fails() {
	local n calls

	new_mac 0
	both_open "" '= 0$'
	calls=$(grep -c ' = [-0-9]' "$CASE/darwin.log")
	for ((n = 1; n <= calls; n++)); do
		both_open "fail=$n:$1" '^rust_tun_open_feth'
		logged "$CASE/darwin.log" " = -1 $1\$" ||
		    die "call $n of $calls did not fail"
	done
	both_open "fail=$((calls + 1)):$1" '= 0$'
}

add opening-a-tunnel-makes-the-same-calls opens_all "" '= 0$'
add unit-4999-makes-the-same-calls opens "" '= 0$' 4999
add an-mtu-of-9000-makes-the-same-calls opens_after jumbo_mtu "" '= 0$'
add a-pair-that-is-up-makes-the-same-calls opens_while_up "" '= 0$'
add frames-are-carried-the-same carries "" '= 0$'
add busy-devices-are-passed-over-the-same opens bpf-busy=9 '= 0$'
add bpf0-is-the-last-the-same opens bpf-max=0 '= 0$'
add no-free-device-is-refused-the-same opens bpf-busy=256 \
    ' EBUSY "open /dev/bpf0 to /dev/bpf255: <EBUSY>; all bpf devices are in use'
add no-device-is-refused-the-same opens bpf-none ' ENOENT "open /dev/bpf0: <ENOENT>; '
add no-right-to-bpf-is-refused-the-same opens bpf-eacces \
    ' EACCES "open /dev/bpf1: <EACCES>; run ssh or sshd as root'
add no-right-to-ndrv-is-refused-the-same opens ndrv-eperm \
    ' EPERM "socket AF_NDRV, for feth5000: <EPERM>; run ssh or sshd as root'
add no-feth-is-refused-the-same opens no-feth \
    ' ENXIO "ioctl SIOCGIFFLAGS, feth0: <ENXIO>; there is no feth0: make the pair'
add a-small-buffer-is-refused-the-same opens bpf-maxbuf=1000 \
    ' ENOBUFS "ioctl BIOCSBLEN, /dev/bpf1: 1000 bytes granted and 1532 needed'
add a-small-buffer-for-an-mtu-of-9000-is-refused-the-same \
    opens_after jumbo_mtu bpf-maxbuf=9031 ' 9031 bytes granted and 9032 needed'
add no-peer-is-refused-the-same \
    opens_without_pair only_the_primary "" ' ENXIO .* there is no feth5000: make'
add no-interface-is-refused-the-same \
    opens_without_pair nothing "" ' ENXIO .* there is no feth0: make'
add unpaired-interfaces-are-refused-the-same \
    opens_without_pair not_paired "" ' ENOTCONN "feth0 has no peer: <ENOTCONN>; pair'
add another-peer-is-refused-the-same \
    opens_without_pair paired_with_others "" ' EBUSY "feth0 is the peer of feth7, not of'
# Those that the core tells apart, those whose numbers differ, and one more.
for errno in EACCES EADDRNOTAVAIL EAFNOSUPPORT EBUSY EINTR EINVAL EIO EMFILE ENODEV \
    ENOBUFS ENOENT ENOMEM ENXIO EOPNOTSUPP EPERM EPROTONOSUPPORT; do
	add "$errno-of-any-call-is-met-the-same" any_call_fails "$errno"
done

case ${1:-} in
--inside | -h | --help) ;;
*)
	if [ "$(uname -s) $(uname -m)" != "Linux x86_64" ]; then
		for name in "${CASE_NAMES[@]}"; do
			echo "SKIP $name: needs Linux on x86_64, to run such code"
		done
		exit
	fi
	build_or_fail
	;;
esac

main "$@"
