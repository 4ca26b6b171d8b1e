# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# What the scripts in regress/tests/ and regress/demo share: cases, each run in
# namespaces of its own, and the bench, which is two network namespaces joined
# by an Ethernet link with sshd(8) in the one and ssh(1) in the other.
#
# A case runs in a private mount, process and network world (unshare(1)): /run
# is an empty tmpfs, root is an account with an empty home and /bin/sh, and when
# the case's first process ends, for whatever reason, the kernel ends all others
# and with them the network namespaces. So nothing has to be put back.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SCRIPT=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
OUT=$TOP/target/regress/$(basename "$0" .sh)

MODEL=$TOP/target/darwin-model/libdarwin-model.so

# A case that has given no result after this many seconds hangs. No case needs
# a tenth of it on an idle machine.
CASE_LIMIT=120
# How long a case waits for something that should happen at once.
PATIENCE=60

# --- cases -----------------------------------------------------------------

CASE_NAMES=()
CASE_COMMANDS=()

# Declare a case: its name, which says the one behaviour that it guards, and the
# function and arguments that make it up. The function fails by calling die or
# by a failing command (errexit is on).
add() {
	CASE_NAMES+=("$1")
	shift
	CASE_COMMANDS+=("$(printf '%q ' "$@")")
}

# End a case with its reason. The first one counts: a die in a subshell ends the
# rest of the case, too.
die() {
	[ -s "$CASE/result" ] || echo "FAIL: $*" >"$CASE/result"
	echo "FAIL: $*" >&2
	exit 1
}

note() {
	echo "--- $*" >&2
}

# In words, why no case can run here; empty if they can.
why_not_here() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "needs root, for network namespaces and tunnel devices"
	elif [ ! -c /dev/net/tun ]; then
		echo "there is no /dev/net/tun (load the tun module, or let the container have the device)"
	elif ! why=$("${IN_NAMESPACES[@]}" bash "$TOP/regress/lib.sh" probe 2>&1); then
		echo "cannot make namespaces here: ${why##*$'\n'} (a container has to be privileged; in a chroot, / has to be a mount point)"
	fi
}

# In words, what has to be built or installed first; empty if nothing.
what_is_missing() {
	local tool

	for tool in ip python3 nsenter setpriv unshare; do
		if ! command -v "$tool" >/dev/null; then
			echo "$tool is not installed; run make check, which installs what the tests need"
			return
		fi
	done
}

# Run a command with namespaces of its own. All of it ends with this script,
# however that ends.
WITH_US=(setpriv --pdeathsig KILL)
IN_NAMESPACES=("${WITH_US[@]}" unshare --mount --pid --fork --kill-child --mount-proc)

# Run a command in namespaces with a deadline in seconds, killing all of it at the
# deadline (status 124) and when this script is interrupted.
with_deadline() {
	local limit=$1 rc=0 sleeper child
	shift
	"${IN_NAMESPACES[@]}" "$@" </dev/null &
	child=$!
	"${WITH_US[@]}" sleep "$limit" &
	sleeper=$!
	trap 'kill -KILL $child $sleeper 2>/dev/null; wait; exit 130' INT TERM HUP
	wait -n "$child" "$sleeper" || rc=$?
	if kill -0 "$sleeper" 2>/dev/null; then
		kill "$sleeper"
	else
		kill -KILL "$child" 2>/dev/null
		rc=124
	fi
	wait "$child" "$sleeper" 2>/dev/null
	trap - INT TERM HUP
	return "$rc"
}

command_failed() {
	[ -s "$CASE/result" ] ||
	    echo "FAIL: line $2: \"$3\" ended with status $1" >"$CASE/result"
}

# Run one case in the namespaces that it was given.
inside() {
	local i

	CASE=$OUT/$1
	for i in "${!CASE_NAMES[@]}"; do
		[ "${CASE_NAMES[$i]}" = "$1" ] && break
	done
	trap 'exit 143' INT TERM HUP
	trap 'command_failed $? "$LINENO" "$BASH_COMMAND"' ERR
	set -eEuo pipefail
	private_world
	eval "${CASE_COMMANDS[$i]}"
	echo "PASS" >"$CASE/result"
}

# What a script ends with: run the cases whose names match the arguments, which
# are glob patterns; all if there are none.
main() {
	local i name pattern chosen why missing failed=0 rc

	case ${1:-} in
	--inside)
		inside "$2"
		exit
		;;
	-h | --help)
		echo "usage: ${0##*/} [case ...]"
		echo "Run the cases whose names match (glob patterns), or all:"
		printf '  %s\n' "${CASE_NAMES[@]}"
		exit
		;;
	esac

	missing=$(what_is_missing)
	why=${missing:-$(why_not_here)}
	for i in "${!CASE_NAMES[@]}"; do
		name=${CASE_NAMES[$i]}
		chosen=$((!$#))
		for pattern in "$@"; do
			# shellcheck disable=SC2053 # a glob is meant
			[[ $name == $pattern ]] && chosen=1
		done
		[ "$chosen" = 1 ] || continue
		if [ -n "$missing" ]; then
			echo "FAIL $name: $missing"
			failed=1
			continue
		elif [ -n "$why" ]; then
			echo "SKIP $name: $why"
			continue
		fi
		rm -rf "${OUT:?}/$name"
		mkdir -p "$OUT/$name"
		rc=0
		with_deadline "$CASE_LIMIT" bash "$SCRIPT" --inside "$name" \
		    >"$OUT/$name/output" 2>&1 || rc=$?
		case $(cat "$OUT/$name/result" 2>/dev/null) in
		PASS)
			echo "PASS $name"
			;;
		FAIL:*)
			echo "FAIL $name: $(sed -n '1s/^FAIL: //p' "$OUT/$name/result")"
			echo "     see target/regress/${OUT##*/}/$name/"
			failed=1
			;;
		*)
			if [ "$rc" = 124 ]; then
				echo "FAIL $name: hung: killed after $CASE_LIMIT s without a result"
			else
				echo "FAIL $name: ended with status $rc and no result"
			fi
			echo "     see target/regress/${OUT##*/}/$name/"
			failed=1
			;;
		esac
	done
	exit "$failed"
}

# --- the private world -----------------------------------------------------

# Called once in a fresh mount namespace: an empty /run, where ip-netns(8) keeps
# its names, and account files in which root is neither locked (sshd without PAM
# refuses such an account) nor has a home with settings of its own.
private_world() {
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/bench/home
	awk -F: -v OFS=: '$3 == 0 && !seen++ { $6 = "/run/bench/home"; $7 = "/bin/sh" } { $2 = "*"; print }' \
	    /etc/passwd >/run/bench/passwd
	# The account that sshd gives up its rights to, unless configured otherwise.
	grep -q '^sshd:' /run/bench/passwd ||
	    echo 'sshd:*:74:65534::/nonexistent:/bin/false' >>/run/bench/passwd
	awk -F: -v OFS=: '{ print $1, "*", 19000, 0, 99999, 7, "", "", "" }' \
	    /run/bench/passwd >/run/bench/shadow
	chmod 600 /run/bench/shadow
	mount --bind /run/bench/passwd /etc/passwd
	mount --bind /run/bench/shadow /etc/shadow
	export HOME=/run/bench/home
	unset SSH_AUTH_SOCK
}

# --- waiting and looking ---------------------------------------------------

# wait_for WHAT command...: until the command succeeds; WHAT completes the
# sentence "gave up waiting for ...".
wait_for() {
	local what=$1 deadline=$((SECONDS + PATIENCE))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] ||
		    die "gave up waiting for $what after $PATIENCE s"
		sleep 0.05
	done
}

logged() {
	grep -Eq -- "$2" "$1" 2>/dev/null
}

# What a log ends with, but for what is there for debugging.
last_words() {
	grep -av '^debug' "$1" | tr -d '\r' | tail -n 3 | paste -sd ' '
}

gone() {
	[ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# The processes that run a program of this path.
pids_of() {
	local p

	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe")" != "$1" ] || echo "${p#/proc/}"
	done
}

none_of() {
	[ -z "$(pids_of "$1")" ]
}

# expect_log FILE REGEX: the log has such a line, or gets one soon.
expect_log() {
	wait_for "a line \"$2\" in ${1##*/}" logged "$1" "$2"
}

# --- the bench -------------------------------------------------------------

# A side, client or server, is of a kind:
#   tap       the patched OpenSSH on an ordinary Linux tap device
#   upstream  the unpatched OpenSSH on the same
#   feth      the patched OpenSSH's Darwin path on the Darwin model, a veth(4)
#             pair in the part of a pair of feth(4) interfaces
kind_build() {
	case $1 in
	tap) echo "$TOP/target/openssh/patched" ;;
	upstream) echo "$TOP/target/openssh/upstream" ;;
	feth) echo "$TOP/target/openssh/darwin-model" ;;
	*) die "no such kind: $1" ;;
	esac
}

# The interface that carries unit $2 on a side of kind $1.
kind_device() {
	case $1 in
	feth) echo "feth${2:-0}" ;;
	*) echo "tap${2:-0}" ;;
	esac
}

# on SIDE command...
on() {
	local side=$1
	shift
	nsenter "--net=/run/netns/$side" -- "$@"
}

# start_on SIDE command...: in the background; $! is the command's own process.
start_on() {
	local side=$1
	shift
	nsenter "--net=/run/netns/$side" -- "$@" &
}

# Make the interface pair of one unit on a side, as an administrator of macOS
# would with "ifconfig feth0 create ... peer feth0".
feth_pair() {
	local side=$1 unit=${2:-0} peer

	peer=feth$((5000 + unit))
	ip -n "$side" link add "feth$unit" type veth peer name "$peer"
	# A feth peer has no protocols above it.
	ip -n "$side" link set "$peer" arp off
}

# bench CLIENT-KIND SERVER-KIND: both network namespaces, the link between them,
# keys and settings. With NO_PAIR=side no interface pair is made there. The
# tunnel's own addresses are 198.51.100.1 (client) and 198.51.100.2.
bench() {
	local side

	CLIENT_KIND=$1
	SERVER_KIND=$2
	CLIENT_BUILD=$(kind_build "$1")
	SERVER_BUILD=$(kind_build "$2")
	CLIENT_DEV=$(kind_device "$1")
	SERVER_DEV=$(kind_device "$2")
	for side in "$CLIENT_BUILD/ssh" "$SERVER_BUILD/sshd"; do
		[ -x "$side" ] || die "$side is missing; run make first"
	done
	CLIENT_BUILD=$(readlink -f "$CLIENT_BUILD")
	SERVER_BUILD=$(readlink -f "$SERVER_BUILD")
	SSHD_LOG=$CASE/sshd.log
	SSH_LOG=$CASE/ssh.log
	CLIENT_MODEL_LOG=$CASE/model-client.log
	SERVER_MODEL_LOG=$CASE/model-server.log

	ip netns add client
	ip netns add server
	ip -n client link add name lan type veth peer name lan netns server
	ip -n client addr add 192.0.2.1/24 dev lan
	ip -n server addr add 192.0.2.2/24 dev lan
	for side in client server; do
		# No frame but what a case sends: IPv6 has things to say by itself.
		on "$side" sh -c 'cd /proc/sys/net/ipv6/conf || exit 0
			echo 1 >all/disable_ipv6; echo 1 >default/disable_ipv6'
		ip -n "$side" link set lo up
		ip -n "$side" link set lan up
	done
	[ "$CLIENT_KIND" != feth ] || [ "${NO_PAIR:-}" = client ] || feth_pair client
	[ "$SERVER_KIND" != feth ] || [ "${NO_PAIR:-}" = server ] || feth_pair server

	"$CLIENT_BUILD/ssh-keygen" -q -t ed25519 -N '' -f /run/bench/host_key
	"$CLIENT_BUILD/ssh-keygen" -q -t ed25519 -N '' -f /run/bench/user_key
	echo "192.0.2.2 $(cat /run/bench/host_key.pub)" >/run/bench/known_hosts
	sed 's/ [^ ]*$//' /run/bench/known_hosts >/run/bench/known_hosts.tmp
	mv /run/bench/known_hosts.tmp /run/bench/known_hosts
	cat >/run/bench/sshd_config <<-EOF
		Port 22
		ListenAddress 192.0.2.2
		HostKey /run/bench/host_key
		AuthorizedKeysFile /run/bench/user_key.pub
		SshdSessionPath $SERVER_BUILD/sshd-session
		SshdAuthPath $SERVER_BUILD/sshd-auth
		Subsystem sftp $SERVER_BUILD/sftp-server
		PidFile none
		StrictModes no
		UseDNS no
		PrintLastLog no
		PermitUserRC no
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		PermitRootLogin prohibit-password
		PermitTunnel yes
		LogLevel DEBUG1
	EOF
	cat >/run/bench/ssh_config <<-EOF
		Host bench
		HostName 192.0.2.2
		HostKeyAlias 192.0.2.2
		User $(id -un)
		IdentityFile /run/bench/user_key
		IdentitiesOnly yes
		UserKnownHostsFile /run/bench/known_hosts
		GlobalKnownHostsFile /dev/null
		StrictHostKeyChecking yes
		BatchMode yes
		ControlPath /run/bench/control
		LogLevel DEBUG1
	EOF
}

# The environment in which a side's programs run; faults for the model come from
# CLIENT_FAULT and SERVER_FAULT, another library to load first from
# CLIENT_PRELOAD and SERVER_PRELOAD.
side_env() {
	local side=$1 kind preload fault log
	shift
	if [ "$side" = client ]; then
		kind=$CLIENT_KIND preload=${CLIENT_PRELOAD:-}
		fault=${CLIENT_FAULT:-} log=$CLIENT_MODEL_LOG
	else
		kind=$SERVER_KIND preload=${SERVER_PRELOAD:-}
		fault=${SERVER_FAULT:-} log=$SERVER_MODEL_LOG
	fi
	if [ "$kind" = feth ]; then
		[ -e "$MODEL" ] || die "$MODEL is missing; run make first"
		preload=${preload:+$preload:}$MODEL
	fi
	set -- "$@"
	SIDE_ENV=(env ${preload:+"LD_PRELOAD=$preload"})
	if [ "$kind" = feth ]; then
		SIDE_ENV+=("DARWIN_MODEL_LOG=$log" ${fault:+"DARWIN_MODEL_FAULT=$fault"})
	fi
}

# Start sshd and wait until it listens.
start_sshd() {
	side_env server
	start_on server "${SIDE_ENV[@]}" "$SERVER_BUILD/sshd" -D -E "$SSHD_LOG" \
	    -f /run/bench/sshd_config
	SSHD_PID=$!
	wait_for "sshd to listen" sshd_listens
}

sshd_listens() {
	! gone "$SSHD_PID" || die "sshd ended: $(last_words "$SSHD_LOG")"
	logged "$SSHD_LOG" 'Server listening on'
}

# run_ssh arguments...: ssh in the client's namespace, in the foreground.
run_ssh() {
	side_env client
	on client "${SIDE_ENV[@]}" "$CLIENT_BUILD/ssh" -F /run/bench/ssh_config "$@"
}

# start_tunnel [ssh options]: ssh -w 0:0 (or what TUN_UNITS says) in the
# background as SSH_PID; done when both ends have opened their devices.
start_tunnel() {
	side_env client
	start_on client "${SIDE_ENV[@]}" "$CLIENT_BUILD/ssh" -F /run/bench/ssh_config \
	    -E "$SSH_LOG" -o ExitOnForwardFailure=yes -o Tunnel=ethernet \
	    -w "${TUN_UNITS:-0:0}" "$@" bench
	SSH_PID=$!
	wait_for "ssh to open the tunnel" tunnel_open
}

tunnel_open() {
	! gone "$SSH_PID" || die "ssh ended: $(last_words "$SSH_LOG")"
	logged "$SSH_LOG" 'tunnel forward established'
}

# start_master [ssh options]: a master in the background as SSH_PID, with no
# tunnel unless the options ask for it.
# shellcheck disable=SC2120 # options are for some scripts
start_master() {
	side_env client
	start_on client "${SIDE_ENV[@]}" "$CLIENT_BUILD/ssh" -F /run/bench/ssh_config \
	    -E "$SSH_LOG" -M -N "$@" bench
	SSH_PID=$!
	wait_for "the master's socket" test -S /run/bench/control
}

# Another program has that tap.
tap_in_use() {
	start_on "$1" python3 -c '
import fcntl, os, struct, sys, time
fd = os.open("/dev/net/tun", os.O_RDWR)
IFF_TAP, IFF_NO_PI, TUNSETIFF = 0x0002, 0x1000, 0x400454CA
fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", sys.argv[1].encode(), IFF_TAP | IFF_NO_PI))
print("ready", flush=True)
time.sleep(100000)' "$2" >"$CASE/tap-in-use"
	wait_for "the tap to be in use" logged "$CASE/tap-in-use" ready
}

same_descriptors() {
	[ "$(descriptors "$1")" = "$2" ]
}

# A tunnel channel over the master whose other end is a script.
over_master() {
	start_on client python3 -B "$TOP/regress/tun-channel.py" \
	    --control /run/bench/control "$@" >"$CASE/tun-channel"
	wait_for "tun-channel.py $*" over_master_done $! "$*"
}

over_master_done() {
	! gone "$1" || logged "$CASE/tun-channel" "done" ||
	    die "tun-channel.py $2 failed: $(traffic_error)"
	logged "$CASE/tun-channel" "done"
}

# set_addresses [MTU]: give the tunnel's interfaces addresses, and bring them up.
set_addresses() {
	set_address client "$CLIENT_DEV" 198.51.100.1/24 "${1:-1500}"
	set_address server "$SERVER_DEV" 198.51.100.2/24 "${1:-1500}"
}

set_address() {
	local side=$1 dev=$2 address=$3 mtu=$4 unit

	case $dev in
	feth*)
		unit=${dev#feth}
		ip -n "$side" link set "feth$((5000 + unit))" mtu "$mtu"
		;;
	esac
	ip -n "$side" link set "$dev" mtu "$mtu"
	ip -n "$side" addr add "$address" dev "$dev"
	ip -n "$side" link set "$dev" up
}

# tunnel CLIENT-KIND SERVER-KIND [MTU [ssh options]]: all of the above, up to a
# tunnel over which a ping has been answered.
tunnel() {
	bench "$1" "$2"
	start_sshd
	early_mtu "${3:-1500}"
	start_tunnel -N "${@:4}"
	set_addresses "${3:-1500}"
	ping_server --count 1
}

# The pairs that exist before ssh opens them already have the MTU that the
# addresses come with later.
early_mtu() {
	local side

	for side in client server; do
		if ip -n "$side" link show feth0 >/dev/null 2>&1; then
			ip -n "$side" link set feth0 mtu "$1"
			ip -n "$side" link set feth5000 mtu "$1"
		fi
	done
}

# Traffic, always bound to the tunnel's interface.
traffic() {
	local side=$1
	shift
	on "$side" python3 -B "$TOP/regress/traffic.py" "$@" ||
	    die "traffic.py $* in the $side's namespace failed: $(traffic_error)"
}

traffic_error() {
	grep -a '^traffic: ' "$CASE/output" 2>/dev/null | tail -n 1
}

ping_server() {
	traffic client ping --device "$CLIENT_DEV" "$@" 198.51.100.2
}

# Start the traffic server in the server's namespace.
traffic_server() {
	start_on server python3 -B "$TOP/regress/traffic.py" serve \
	    --device "$SERVER_DEV" 198.51.100.2 >"$CASE/traffic-server" 2>&1
	wait_for "the traffic server" logged "$CASE/traffic-server" '^ready'
}

# counter SIDE DEVICE NAME: one of the interface's counters, such as rx_packets.
counter() {
	on "$1" sed -n "s/^ *$2: *//p" /proc/net/dev | awk -v name="$3" '{
		n["rx_bytes"] = $1; n["rx_packets"] = $2;
		n["tx_bytes"] = $9; n["tx_packets"] = $10;
		print n[name] }'
}

# Start counting the frames on a side's interface; watched says how many there
# were, and how many of them were shorter than the IP packet they begin.
watch() {
	start_on "$1" python3 -B "$TOP/regress/traffic.py" watch --device "$2" \
	    >"$CASE/watch" 2>&1
	WATCH_PID=$!
	wait_for "the watch on $2" logged "$CASE/watch" '^ready'
}

watched() {
	if ! gone "$WATCH_PID"; then
		kill "$WATCH_PID"
		wait "$WATCH_PID" || :
	fi
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$CASE/watch"
}

mac_of() {
	ip -n "$1" -o link show "$2" | sed 's/.*link.ether \([^ ]*\).*/\1/'
}

has_link() {
	ip -n "$1" link show dev "$2" >/dev/null 2>&1
}

link_gone() {
	! has_link "$@"
}

# The descriptors of a process, a line each and sorted, without the numbers by
# which sockets and pipes differ.
descriptors() {
	local fd

	for fd in "/proc/$1/fd/"*; do
		readlink "$fd" | sed 's/:\[.*//' || :
	done | sort
}

# The process of the only connection's session, which holds the tunnel.
session_pid() {
	pids_of "$SERVER_BUILD/sshd-session" | sort -n | tail -n 1
}

# The processor time of a process, in clock ticks (proc(5)).
ticks() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# It waits for events and does not run on without end: a process that spins
# uses up to a hundred ticks in this second, one that waits uses none.
does_not_spin() {
	local before after

	before=$(ticks "$1")
	sleep 1
	after=$(ticks "$1")
	[ $((after - before)) -lt 10 ] ||
	    die "process $1 used $((after - before)) ticks in a second with nothing to do"
}

# --- one side on the Darwin path ---------------------------------------------

# feth_side SIDE [fault]: the kinds and faults for a bench with that side on
# feth, and how to reach its things; the other side has a tap.
# shellcheck disable=SC2034 # these are for the scripts
feth_side() {
	FETH=$1
	if [ "$1" = client ]; then
		KINDS=(feth tap)
		OTHER=server OTHER_DEV=tap0
		FETH_LOG=$CASE/ssh.log FETH_MODEL_LOG=$CASE/model-client.log
		CLIENT_FAULT=${2:-}
	else
		KINDS=(tap feth)
		OTHER=client OTHER_DEV=tap0
		FETH_LOG=$CASE/sshd.log FETH_MODEL_LOG=$CASE/model-server.log
		SERVER_FAULT=${2:-}
	fi
}

# The process that holds the feth side's tunnel.
feth_pid() {
	if [ "$FETH" = client ]; then
		echo "$SSH_PID"
	else
		session_pid
	fi
}

# End ssh as a person does who has seen enough, and wait until sshd knows.
close_tunnel() {
	kill "$SSH_PID"
	wait "$SSH_PID" || :
	wait_for "the session to end" none_of "$SERVER_BUILD/sshd-session"
}

# counted in|out WORD: the number before that word (a regular expression) in what
# the feth side logs of that direction when the tunnel closes.
counted() {
	local n

	n=$(sed -n "s/.*bpf: $1 \(.*[^0-9]\)*\([0-9][0-9]*\) $2.*/\2/p" "$FETH_LOG" | tail -n 1)
	[ -n "$n" ] || die "no count of \"$2\" ($1) in ${FETH_LOG##*/}"
	echo "$n"
}

if [ "${BASH_SOURCE[0]}" = "$0" ] && [ "${1:-}" = probe ]; then
	set -e
	mount -t tmpfs -o mode=755 tmpfs /run
	ip netns add probe
	ip -n probe link add name one type veth peer name two
	ip -n probe tuntap add dev tap0 mode tap
	nsenter --net=/run/netns/probe true
fi
