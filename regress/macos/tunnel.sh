#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# Test a tunnel on a Mac, from the ssh just built to the sshd just built, over
# two feth pairs that this makes and destroys. What to send in is the report,
# target/regress/macos/report.txt.
# It has not been run on a Mac yet.

TOP=$(cd "$(dirname "$0")/../.." && pwd)
OUT=$TOP/target/regress/macos
BUILD=$TOP/target/openssh/${BUILD:-patched}
REPORT=$OUT/report.txt
PORT=${PORT:-20022}
# What should happen at once and has not after so many seconds never will.
PATIENCE=60
failed=0
made=
sshd=
ssh=

say() {
	echo "$*" | tee -a "$REPORT"
}

pass() {
	say "PASS $1"
}

fail() {
	say "FAIL $1: $2; send in $REPORT"
	failed=1
}

there_is() {
	ifconfig "$1" >/dev/null 2>&1
}

# until_there LOG REGEX PROCESS: the log has such a line, or the process ended.
until_there() {
	local deadline=$((SECONDS + PATIENCE))

	until grep -Eq "$2" "$1" 2>/dev/null; do
		if ! kill -0 "$3" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
			return 1
		fi
		sleep 0.1
	done
}

end() {
	if [ -n "$1" ]; then
		kill "$1" 2>/dev/null
		wait "$1" 2>/dev/null
	fi
}

clean_up() {
	local name

	end "$ssh"
	end "$sshd"
	for name in $made; do
		ifconfig "$name" destroy
	done
	ssh='' sshd='' made=''
}

# make_pair UNIT MTU
make_pair() {
	local peer=feth$((5000 + $1)) name

	for name in "feth$1" "$peer"; do
		ifconfig "$name" create || return
		made="$made $name"
		ifconfig "$name" mtu "$2" || return
	done
	ifconfig "$peer" peer "feth$1"
}

settings() {
	cat >"$OUT/sshd_config" <<-EOF
		Port $PORT
		ListenAddress 127.0.0.1
		HostKey $OUT/host_key
		AuthorizedKeysFile $OUT/user_key.pub
		SshdSessionPath $BUILD/sshd-session
		SshdAuthPath $BUILD/sshd-auth
		PidFile none
		StrictModes no
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		PermitRootLogin prohibit-password
		PermitTunnel ethernet
		LogLevel DEBUG1
	EOF
	cat >"$OUT/ssh_config" <<-EOF
		Host mac
		HostName 127.0.0.1
		Port $PORT
		User root
		IdentityFile $OUT/user_key
		IdentitiesOnly yes
		UserKnownHostsFile $OUT/known_hosts
		GlobalKnownHostsFile /dev/null
		StrictHostKeyChecking accept-new
		BatchMode yes
		ExitOnForwardFailure yes
		LogLevel DEBUG1
	EOF
	"$BUILD/ssh-keygen" -q -t ed25519 -N '' -f "$OUT/host_key" &&
	    "$BUILD/ssh-keygen" -q -t ed25519 -N '' -f "$OUT/user_key"
}

# dropped_nothing PROGRAM: it says at the end that no frame was bad.
dropped_nothing() {
	local name="$1 dropped no frame" said

	said=$(grep 'bpf: in' "$OUT/$1.log")
	case $said in
	*"dropped 0 truncated, 0 runts, 0 malformed, 0 reads"*) pass "$name" ;;
	*) fail "$name" "${said:-it does not say}" ;;
	esac
}

system() {
	date
	sw_vers
	uname -a
	sysctl debug.bpf_maxbufsize debug.bpf_bufsize net.link.fake kern.ipc.maxsockbuf
	"$BUILD/ssh" -V
}

if [ "$(id -u)" != 0 ]; then
	echo "SKIP a tunnel on this Mac: needs root; run sudo make check"
	exit
fi
rm -rf "$OUT"
mkdir -p "$OUT"
system >"$REPORT" 2>&1
trap 'clean_up; exit 130' INT TERM HUP
trap clean_up EXIT

# Two units that nobody uses.
one=100
while there_is "feth$one" || there_is "feth$((5000 + one))" ||
    there_is "feth$((one + 1))" || there_is "feth$((5001 + one))"; do
	one=$((one + 2))
done
two=$((one + 1))
mtu=$(sysctl -n net.link.fake.max_mtu)

name="two feth pairs are made, with MTU $mtu"
if make_pair "$one" "$mtu" >>"$REPORT" 2>&1 && make_pair "$two" "$mtu" >>"$REPORT" 2>&1; then
	pass "$name"
else
	fail "$name" "$(tail -n 1 "$REPORT")"
	exit 1
fi

name="ssh opens the tunnel on feth$one, and sshd on feth$two"
if ! settings >>"$REPORT" 2>&1; then
	fail "$name" "$(tail -n 1 "$REPORT")"
	exit 1
fi
"$BUILD/sshd" -D -E "$OUT/sshd.log" -f "$OUT/sshd_config" &
sshd=$!
until_there "$OUT/sshd.log" 'Server listening' "$sshd"
"$BUILD/ssh" -F "$OUT/ssh_config" -E "$OUT/ssh.log" -N \
    -o Tunnel=ethernet -w "$one:$two" mac &
ssh=$!
if until_there "$OUT/ssh.log" 'tunnel forward established' "$ssh"; then
	pass "$name"
	python3 "$TOP/regress/macos/frames.py" "feth$one" "feth$two" "$mtu" 2>&1 |
	    tee -a "$REPORT"
	[ "${PIPESTATUS[0]}" = 0 ] || failed=1
	for device in $made; do
		ifconfig "$device" >>"$REPORT" 2>&1
	done
	end "$ssh"
	until_there "$OUT/sshd.log" 'bpf: out' "$sshd"
	dropped_nothing ssh
	dropped_nothing sshd
else
	fail "$name" "$(tail -n 1 "$OUT/ssh.log")"
	end "$ssh"
fi
ssh=

name="the pairs can be destroyed, and are gone"
clean_up >>"$REPORT" 2>&1
left=
for device in "feth$one" "feth$((5000 + one))" "feth$two" "feth$((5000 + two))"; do
	! there_is "$device" || left="$left $device"
done
if [ -z "$left" ]; then
	pass "$name"
else
	fail "$name" "there still is$left"
fi

{
	echo "--- ssh"
	cat "$OUT/ssh.log"
	echo "--- sshd"
	cat "$OUT/sshd.log"
} >>"$REPORT" 2>&1
exit "$failed"
