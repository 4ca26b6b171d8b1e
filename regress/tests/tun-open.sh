#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# Opening a tunnel on the Darwin path: which devices it takes, and that whatever
# is in the way ends in one sentence that names the device and the remedy, with
# no descriptor and no half-open tunnel left.

# shellcheck disable=SC2317 # the cases' functions are called through add
# shellcheck source=regress/lib.sh
. "$(dirname "$0")/../lib.sh"

# one_sentence FILE REGEX: the core's message is there, once, and reads so.
one_sentence() {
	local said

	said=$(grep -a '^Tunnel unit' "$1" | tr -d '\r') || :
	[ -n "$said" ] || die "no sentence about the tunnel in ${1##*/}: $(tail -n 1 "$1")"
	[ "$(printf '%s\n' "$said" | wc -l)" = 1 ] || die "more than one sentence: $said"
	[[ $said =~ $2 ]] || die "the sentence is: $said"
}

# is_refused SIDE FAULT UNITS REGEX: ssh gives up with that sentence, on its
# standard error or, if it is the server's, in sshd's log.
is_refused() {
	local side=$1 units=$3 regex=$4 rc=0 up_before

	feth_side "$side" "$2"
	bench "${KINDS[@]}"
	[ -z "${PREPARE:-}" ] || "$PREPARE" "$side"
	start_sshd
	up_before=$(links_up "$side")
	run_ssh -o LogLevel=INFO -o ExitOnForwardFailure=yes -o Tunnel=ethernet \
	    -w "$units" -N bench 2>"$CASE/stderr" || rc=$?
	cat "$CASE/stderr" >&2
	[ "$rc" = 255 ] || die "ssh ended with status $rc"
	if [ "$side" = client ]; then
		one_sentence "$CASE/stderr" "$regex"
		! logged "$SSHD_LOG" 'ctype tun@openssh.com' ||
		    die "the server was asked for a tunnel nevertheless"
	else
		logged "$CASE/stderr" 'Tunnel forwarding failed' ||
		    die "ssh says nothing of the tunnel: $(tail -n 1 "$CASE/stderr")"
		one_sentence "$SSHD_LOG" "$regex"
		link_gone client tap0 || die "the client's tap0 is still there"
	fi
	[ "$(links_up "$side")" = "$up_before" ] || die "an interface was brought up"
	# And there is nothing wrong with ssh and sshd otherwise.
	run_ssh bench true
}

links_up() {
	ip -n "$1" -o link show up | sed 's/^[0-9]*: //; s/[:@].*//' | sort
}

only_the_primary() {
	ip -n "$1" link add name feth0 type veth peer name other0
}

not_paired() {
	only_the_primary "$1"
	ip -n "$1" link add name feth5000 type veth peer name other1
}

jumbo_mtu() {
	ip -n "$1" link set feth0 mtu 9000
	ip -n "$1" link set feth5000 mtu 9000
}

is_refused_without_pair() {
	NO_PAIR=$1 is_refused "$1" "" 0:0 "$2"
}

is_refused_after() {
	PREPARE=$1
	shift
	is_refused "$@"
}

is_refused_after_without_pair() {
	PREPARE=$1 NO_PAIR=$2
	is_refused "$2" "" 0:0 "$3"
}

# "any": a pair is not made here, so there is none to pick. Its sentence is not
# the core's.
any_is_refused() {
	local rc=0 log

	feth_side "$1"
	bench "${KINDS[@]}"
	start_sshd
	run_ssh -o LogLevel=INFO -o ExitOnForwardFailure=yes -o Tunnel=ethernet \
	    -w any:any -N bench 2>"$CASE/stderr" || rc=$?
	[ "$rc" = 255 ] || die "ssh ended with status $rc"
	log=$SSHD_LOG
	if [ "$1" = client ]; then
		log=$CASE/stderr
	else
		logged "$CASE/stderr" 'Tunnel forwarding failed' ||
		    die "ssh says nothing of the tunnel: $(tail -n 1 "$CASE/stderr")"
	fi
	logged "$log" 'feth.*unit.*"?any"?' || die "no sentence about \"any\": $(tail -n 1 "$log")"
}

any_is_served() {
	bench tap tap
	start_sshd
	TUN_UNITS=any:any start_tunnel -N
	set_addresses
	ping_server
}

# The server refuses: ssh, which has opened its end already, goes on without a
# tunnel, and without what it had opened.
client_keeps_no_descriptor() {
	local before

	bench "$1" tap
	start_sshd
	tap_in_use server tap0
	start_master
	before=$(descriptors "$SSH_PID")
	kill "$SSH_PID"
	wait "$SSH_PID" || :
	: >"$SSH_LOG"
	start_master -o ExitOnForwardFailure=no -o Tunnel=ethernet -w 0:0
	expect_log "$SSH_LOG" 'Tunnel forwarding failed'
	wait_for "ssh's descriptors to be as without a tunnel: $before" \
	    same_descriptors "$SSH_PID" "$before"
	[ "$1" = feth ] || link_gone client tap0 || die "the client's tap0 is still there"
	run_ssh bench true
}

# Let each call that the opening makes fail in turn. ssh says so, goes on without
# the tunnel, and keeps nothing of it.
any_call_may_fail() {
	local before calls n

	feth_side client
	bench "${KINDS[@]}"
	start_sshd
	start_master
	before=$(descriptors "$SSH_PID")
	stop_master
	start_tunnel -N
	calls=$(grep -c . "$CLIENT_MODEL_LOG")
	[ "$calls" -ge 15 ] || die "the opening made only $calls modelled calls"
	stop_master
	for ((n = 1; n <= calls; n++)); do
		note "call $n of $calls fails"
		wait_for "the server's tap to go" link_gone server tap0
		ip -n client link set feth0 down
		ip -n client link set feth5000 down
		: >"$SSH_LOG"
		CLIENT_FAULT=fail=$n:EIO
		start_master -o ExitOnForwardFailure=no -o Tunnel=ethernet -w 0:0
		if logged "$SSH_LOG" 'Tunnel forwarding using interface'; then
			# Less than a large send buffer will do, and nothing else.
			grep 'EIO$' "$CLIENT_MODEL_LOG" | tail -n 1 | grep SO_SNDBUF ||
			    die "the tunnel opened although call $n failed"
			stop_master
			continue
		fi
		one_sentence "$SSH_LOG" '^Tunnel unit 0: [^;]*(feth0|feth5000|bpf1|AF_NDRV|AF_INET)[^;]*: Input/output error; .+'
		same_descriptors "$SSH_PID" "$before" ||
		    die "call $n fails, and ssh has $(descriptors "$SSH_PID") where it had $before"
		! links_up client | grep feth || die "call $n fails, and the pair is up"
		run_ssh bench true
		stop_master
	done
}

stop_master() {
	kill "$SSH_PID"
	wait "$SSH_PID" || :
}

# --- which devices it takes ---

takes_device() {
	feth_side "$1" "$2"
	tunnel "${KINDS[@]}"
	grep -q "open(/dev/$3[,)].* = [0-9]" "$FETH_MODEL_LOG" ||
	    die "opened was: $(grep -o 'open(/dev/bpf.*' "$FETH_MODEL_LOG" | tr '\n' ' ')"
	[ "$(grep -c 'open(/dev/bpf.* = [0-9]' "$FETH_MODEL_LOG")" = 1 ] ||
	    die "more than one device was opened"
	ping_server
}

# Small reads only make more of them.
small_buffer_carries() {
	feth_side "$1" bpf-maxbuf=2048
	tunnel "${KINDS[@]}"
	traffic_server
	traffic client udp --device "$CLIENT_DEV" --size 1472 --count 200 198.51.100.2
}

interfaces_come_up() {
	feth_side "$1"
	bench "${KINDS[@]}"
	start_sshd
	! links_up "$1" | grep feth || die "the pair is up already"
	start_tunnel -N
	[ "$(links_up "$1" | grep feth | tr '\n' ' ')" = "feth0 feth5000 " ] ||
	    die "up are: $(links_up "$1")"
}

recipe='ifconfig feth0 create; ifconfig feth5000 create; ifconfig feth5000 peer feth0'
for side in client server; do
	add "$side-without-rights-to-bpf-is-refused" \
	    is_refused "$side" bpf-eacces 0:0 '/dev/bpf1: Permission denied; run .* as root'
	add "$side-without-rights-to-ndrv-is-refused" \
	    is_refused "$side" ndrv-eperm 0:0 'AF_NDRV.*feth5000: Operation not permitted; run .* as root'
	add "$side-without-bpf-is-refused" \
	    is_refused "$side" bpf-none 0:0 '/dev/bpf0: No such file or directory; this system has no bpf devices: .+'
	add "$side-with-all-bpf-devices-busy-is-refused" \
	    is_refused "$side" bpf-busy=8,bpf-max=7 0:0 '/dev/bpf0 to /dev/bpf7: .* busy; all bpf devices are in use: stop .+'
	add "$side-without-feth-is-refused" \
	    is_refused "$side" no-feth 0:0 "there is no feth0: .*$recipe"
	add "$side-without-the-pair-is-refused" \
	    is_refused_without_pair "$side" "there is no feth0: .*$recipe"
	add "$side-without-the-peer-is-refused" \
	    is_refused_after_without_pair only_the_primary "$side" "there is no feth5000: .*$recipe"
	add "$side-with-interfaces-not-paired-is-refused" \
	    is_refused_after_without_pair not_paired "$side" 'feth0 has no peer: .*; pair the two: ifconfig feth5000 peer feth0'
	add "$side-with-a-buffer-too-small-for-the-mtu-is-refused" \
	    is_refused_after jumbo_mtu "$side" bpf-maxbuf=8192 0:0 '/dev/bpf1: 8192 bytes granted.*feth0, MTU 9000.*; raise sysctl debug.bpf_maxbufsize.+'
	add "$side-with-any-unit-is-refused" any_is_refused "$side"
	add "$side-tries-the-next-device-while-they-are-busy" takes_device "$side" bpf-busy=3 bpf3
	add "$side-takes-bpf0-if-there-is-no-other" takes_device "$side" bpf-max=0 bpf0
	add "$side-leaves-bpf0-alone" takes_device "$side" "" bpf1
	add "$side-with-a-small-buffer-carries-traffic" small_buffer_carries "$side"
	add "$side-brings-the-pair-up" interfaces_come_up "$side"
done
add "client-with-a-unit-out-of-range-is-refused" \
    is_refused client "" 5000:0 'unit 5000: .*; the units of feth\(4\) pairs are 0 to 4999: .+'
add "server-with-a-unit-out-of-range-is-refused" \
    is_refused server "" 0:5000 'unit 5000: .*; the units of feth\(4\) pairs are 0 to 4999: .+'
add "tap-serves-any-unit" any_is_served
add "feth-client-keeps-no-descriptor-when-the-server-refuses" client_keeps_no_descriptor feth
add "tap-client-keeps-no-descriptor-when-the-server-refuses" client_keeps_no_descriptor tap
add "client-survives-the-failure-of-any-call" any_call_may_fail

main "$@"
