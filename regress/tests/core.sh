#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# The core's opening of a tunnel, from a C program over the Darwin model: what
# it does, and each sentence with which it refuses. Every run of the program
# is in a network namespace of its own, which goes away with it.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OUT=$TOP/target/regress/core
CORE=$TOP/target/rust-tun/model
MODEL=$TOP/target/darwin-model/libdarwin-model.so
CLIENT=$OUT/core-client
PAIR="ip link add feth0 type veth peer name feth5000"
RECIPE="make the pair: ifconfig feth0 create; ifconfig feth5000 create; \
ifconfig feth5000 peer feth0"

failed=0
pass() {
	echo "PASS $1"
}
fail() {
	echo "FAIL $1: $2"
	failed=1
}

# run FAULT SETUP ARGUMENT...: the program's output is in $output, what the
# model saw in $OUT/log, the interfaces before and after in $OUT/before, after.
run() {
	local fault=$1 setup=$2
	shift 2
	rm -f "$OUT/log" "$OUT/before" "$OUT/after"
	# shellcheck disable=SC2016 # expanded by the inner shell
	output=$(OUT=$OUT FAULT=$fault SETUP=$setup MODEL=$MODEL CLIENT=$CLIENT \
	    unshare --net bash -ec '
		# an interface that was up once has another queue
		links() { ip -o link | sed "s/ qdisc [^ ]*//"; }
		eval "$SETUP"
		links >"$OUT/before"
		LD_PRELOAD=$MODEL DARWIN_MODEL_LOG=$OUT/log \
		    DARWIN_MODEL_FAULT=$FAULT "$CLIENT" "$@" ||
		    echo "wrong: core-client ended with status $?"
		links >"$OUT/after"' run "$@" 2>&1)
	printf '%s\n' "--- fault \"$fault\", setup \"$setup\", core-client $*" \
	    "$output" >>"$OUT/output"
}

# Why the last run is not as expected: its first line does not match the
# pattern, there are other lines, or it refused and changed something.
why_not() {
	local first=${output%%$'\n'*}
	# shellcheck disable=SC2053 # a glob is meant
	if [[ $first != $1 ]]; then
		echo "expected $1, got: $output"
	elif [ "$first" != "$output" ]; then
		echo "$output" | sed -n '2{s/^wrong: //;p;}'
	elif [[ $first != ok* ]] && ! cmp -s "$OUT/before" "$OUT/after"; then
		echo "it refused, and left the interfaces changed: $(
		    diff "$OUT/before" "$OUT/after" | tail -n 1)"
	fi
}

# expect NAME PATTERN FAULT SETUP ARGUMENT...
expect() {
	local name=$1 pattern=$2 why
	shift 2
	run "$@"
	why=$(why_not "$pattern")
	if [ -n "$why" ]; then fail "$name" "$why"; else pass "$name"; fi
}

# The numbers of the modelled calls of a good open, and what they are.
calls_of_an_open() {
	run "" "$PAIR" 0
	sed '/ close(/,$d' "$OUT/log" |
	    grep -oE 'SIOC[A-Z]+|BIOC[A-Z]+|open\(/dev/bpf[0-9]+|socket|setsockopt|bind|connect' |
	    sed 's/^open(/open /'
}

# ---- tests ----------------------------------------------------------------

links_with_libc_alone() {
	local undefined allowed
	undefined=$(cd "$CORE/lib" && nm -A librust_tun.a 2>/dev/null |
	    awk '$2 == "U" && $1 ~ /:rust_tun-/ { print $3 }' | sort -u)
	allowed="abort bind close connect fcntl ioctl memcmp memcpy memmove memset
	    open setsockopt socket strlen __errno_location __xpg_strerror_r
	    sshbuf_reserve sshbuf_consume_end"
	for symbol in $undefined; do
		case " ${allowed//[[:space:]]/ } " in
		*" $symbol "*) ;;
		*)
			fail "$1" "librust_tun.a refers to $symbol"
			return
			;;
		esac
	done
	if [ -z "$undefined" ]; then
		fail "$1" "nm finds no reference in librust_tun.a"
	else
		pass "$1"
	fi
}

order_of_search() {
	local devices
	run bpf-max=2,bpf-busy=3 "$PAIR" 0
	devices=$(grep -o '/dev/bpf[0-9]*' "$OUT/log" | tr '\n' ' ')
	if [ "$devices" = "/dev/bpf1 /dev/bpf2 /dev/bpf3 /dev/bpf0 " ]; then
		pass "$1"
	else
		fail "$1" "tried $devices"
	fi
}

brings_both_up() {
	local setup name why=
	for setup in "$PAIR" "$PAIR; ip link set feth0 up" "$PAIR; ip link set feth5000 up"; do
		run "" "$setup" 0
		for name in feth0 feth5000; do
			grep -q " $name@.*[<,]UP[,>]" "$OUT/after" ||
			    why="$name is not up after \"$setup\""
		done
	done
	if [ -n "$why" ]; then fail "$1" "$why"; else pass "$1"; fi
}

sets_no_flags_of_what_is_up() {
	run "" "$PAIR; ip link set feth0 up; ip link set feth5000 up" 0
	if grep -q SIOCSIFFLAGS "$OUT/log"; then
		fail "$1" "$(grep -m1 SIOCSIFFLAGS "$OUT/log")"
	elif [[ $output != ok* ]]; then
		fail "$1" "$output"
	else
		pass "$1"
	fi
}

captures_all_destinations() {
	run "" "$PAIR" 0
	if grep -q 'BIOCPROMISC.* = 0' "$OUT/log"; then
		pass "$1"
	else
		fail "$1" "no BIOCPROMISC succeeded"
	fi
}

# number CALL: which of the modelled calls of an open it is, the first if many.
number() {
	local n
	for n in "${!calls[@]}"; do
		if [ "${calls[$n]}" = "$1" ]; then
			echo $((n + 1))
			return
		fi
	done
}

# Each modelled call of an open fails in turn, with each of these errnos: then
# the open fails with it and names the call. Only SO_SNDBUF has a second try.
every_call_may_fail() {
	local n call errno why
	if [ "${#calls[@]}" -lt 15 ]; then
		fail "$1" "only ${#calls[@]} calls seen: ${calls[*]}"
		return
	fi
	for errno in EIO EPERM EINTR ENOMEM; do
		for n in "${!calls[@]}"; do
			call=${calls[$n]}
			run "fail=$((n + 1)):$errno" "$PAIR" 0
			if [ "$call" = setsockopt ]; then
				why=$(why_not "ok feth0 65536")
			else
				why=$(why_not "$errno *$call*: *; *")
			fi
			if [ -n "$why" ]; then
				fail "$1" "call $((n + 1)), $call, fails with $errno: $why"
				return
			fi
		done
	done
	pass "$1"
}

all() {
	mapfile -t calls < <(calls_of_an_open)

	links_with_libc_alone "core refers to libc and sshbuf alone"

	expect "core opens feth0" "ok feth0 65536" "" "$PAIR" 0
	expect "core opens the highest unit" "ok feth4999 65536" "" \
	    "ip link add feth4999 type veth peer name feth9999" 4999
	brings_both_up "core brings both interfaces up"
	sets_no_flags_of_what_is_up "core leaves interfaces alone that are up"
	captures_all_destinations "core captures frames for any destination"
	expect "core carries frames both ways and none back" "ok feth0 65536" "" \
	    "$PAIR" 0 14 60 1514
	expect "core carries the largest frames" "ok feth0 65536" "" \
	    "$PAIR; ip link set feth0 mtu 16370; ip link set feth5000 mtu 16370" 0 16384

	expect "core refuses a negative unit" \
	    "EINVAL tunnel unit -1: Invalid argument; *0 to 4999*-w" "" "$PAIR" -1
	expect "core refuses a unit out of range" \
	    "EINVAL tunnel unit 5000: Invalid argument; *0 to 4999*-w" "" "$PAIR" 5000
	expect "core says how to make a pair that is not there" \
	    "ENXIO ioctl SIOCGIFFLAGS, feth0: *; there is no feth0: $RECIPE" "" "true" 0
	expect "core says how to make a pair whose peer is not there" \
	    "ENXIO ioctl SIOCGIFFLAGS, feth5000: *; there is no feth5000: $RECIPE" "" \
	    "ip link add feth0 type veth peer name other" 0
	expect "core says how to pair interfaces that have no peers" \
	    "ENOTCONN feth0 has no peer: *; pair the two: ifconfig feth5000 peer feth0" "" \
	    "ip link add feth0 type veth peer name a; ip link add feth5000 type veth peer name b" 0
	expect "core refuses a primary that is another's peer" \
	    "EBUSY feth0 is the peer of feth7, not of feth5000: *; *another unit*" "" \
	    "ip link add feth0 type veth peer name feth7; ip link add feth5000 type veth peer name b" 0
	expect "core says when no interface is found" \
	    "ENXIO ioctl SIOCGIFFLAGS, feth0: *$RECIPE" no-feth "$PAIR" 0

	expect "core says when an interface is no feth" \
	    "EOPNOTSUPP ioctl SIOCGDRVSPEC, feth0: *; feth0 is no feth(4) interface: $RECIPE" \
	    "fail=$(number SIOCGDRVSPEC):EOPNOTSUPP" "$PAIR" 0
	expect "core says when the system has no AF_NDRV" \
	    "EAFNOSUPPORT socket AF_NDRV, for feth5000: *; this system has no AF_NDRV*" \
	    "fail=$(number socket):EAFNOSUPPORT" "$PAIR" 0

	order_of_search "core tries bpf1 first and bpf0 last"
	expect "core passes over busy bpf devices" "ok feth0 65536" bpf-busy=9 "$PAIR" 0
	expect "core takes bpf0 if there is no other" "ok feth0 65536" bpf-max=0 "$PAIR" 0
	expect "core says when all bpf devices are busy" \
	    "EBUSY open /dev/bpf0 to /dev/bpf255: *; all bpf devices are in use: *lsof*" \
	    bpf-busy=256 "$PAIR" 0
	expect "core says when the last bpf device is busy" \
	    "EBUSY open /dev/bpf0 to /dev/bpf3: *; all bpf devices are in use: *lsof*" \
	    bpf-max=3,bpf-busy=4 "$PAIR" 0
	expect "core says when there is no bpf" \
	    "ENOENT open /dev/bpf0: *; this system has no bpf devices*" bpf-none "$PAIR" 0
	expect "core says who may open bpf" \
	    "EACCES open /dev/bpf1: Permission denied; run ssh or sshd as root*access_bpf*" \
	    bpf-eacces "$PAIR" 0
	expect "core says who may open AF_NDRV" \
	    "EPERM socket AF_NDRV, for feth5000: *; run ssh or sshd as root" ndrv-eperm "$PAIR" 0

	expect "core takes a buffer that just holds a frame" "ok feth0 1532" \
	    bpf-maxbuf=1532 "$PAIR" 0 1514
	expect "core refuses a buffer that does not hold a frame" \
	    "ENOBUFS ioctl BIOCSBLEN, /dev/bpf1: 1531 bytes granted and 1532 needed*; raise sysctl debug.bpf_maxbufsize*" \
	    bpf-maxbuf=1531 "$PAIR" 0
	expect "core measures the buffer by the primary's MTU" \
	    "ENOBUFS *1531 bytes granted and 9032 needed*MTU 9000*" \
	    bpf-maxbuf=1531 "$PAIR; ip link set feth0 mtu 9000" 0
	expect "core measures the buffer by the peer's MTU" \
	    "ENOBUFS *1531 bytes granted and 9032 needed*MTU 9000*" \
	    bpf-maxbuf=1531 "$PAIR; ip link set feth5000 mtu 9000" 0

	every_call_may_fail "core undoes an open whichever call fails"
}

# ---------------------------------------------------------------------------

if [ "$(uname -s)" = Darwin ]; then
	echo "SKIP core: the model is for systems that have not Darwin's kernel"
	exit 0
fi
if ! why=$(unshare --net true 2>&1); then
	echo "SKIP core: needs root, for network namespaces: $why"
	exit 0
fi
mkdir -p "$OUT"
: >"$OUT/output"
for file in "$MODEL" "$CORE/lib/librust_tun.a"; do
	if [ ! -e "$file" ]; then
		fail core "there is no $file; make check builds it"
		exit 1
	fi
done
# No library but libc: what the core needs beyond it would be missed here.
if ! why=$(cc -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -I"$CORE/include" \
    -o "$CLIENT" "$TOP/regress/core-client.c" "$CORE/lib/librust_tun.a" 2>&1); then
	printf '%s\n' "$why" >>"$OUT/output"
	fail core "core-client.c does not compile or link: $(head -n 1 <<<"$why")"
	exit 1
fi
all
exit "$failed"
