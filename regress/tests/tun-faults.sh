#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# What a tunnel on the Darwin path lives through, and what ends it: captures that
# are cut, runts, reads of nothing or of nonsense, full queues, interfaces that
# go down and come up, interfaces that go away, datagrams that are no frames.

# shellcheck disable=SC2317 # the cases' functions are called through add
# shellcheck source=regress/lib.sh
. "$(dirname "$0")/../lib.sh"

# Datagrams both ways, each sent until it is answered.
exchange() {
	traffic client udp --device "$CLIENT_DEV" --size 1000 --count 150 198.51.100.2
}

# Some captures are spoilt in this way: their frames are lost, counted under this
# name, and nothing of them reaches the other side; all others pass.
spoilt_captures_are_lost_and_counted() {
	local n

	feth_side "$1" "$2"
	tunnel "${KINDS[@]}"
	watch "$OTHER" "$OTHER_DEV"
	traffic_server
	exchange
	watched frames >"$CASE/frames"
	[ "$(cat "$CASE/frames")" -ge 300 ] ||
	    die "only $(cat "$CASE/frames") frames passed the other side's interface"
	n=$(watched torn)
	[ "$n" = 0 ] || die "$n frames reached the other side cut short"
	n=$(watched short)
	[ "$n" = 0 ] || die "$n runts reached the other side"
	close_tunnel
	n=$(counted in "$3")
	[ "$n" -gt 0 ] || die "none was counted as $3"
}

# The frames of a read whose headers are nonsense are lost, whatever the headers
# say, and the tunnel lives.
nonsense_is_lost_and_counted() {
	local n

	feth_side "$1" garbage=20
	tunnel "${KINDS[@]}"
	traffic_server
	exchange
	close_tunnel
	n=$(($(counted in malformed) + $(counted in truncated) + $(counted in runts)))
	[ "$n" -gt 0 ] || die "none was counted"
}

empty_reads_are_no_end() {
	feth_side "$1" zero-read=3
	export DARWIN_MODEL_LOG_IO=1
	tunnel "${KINDS[@]}"
	traffic_server
	exchange
	logged "$FETH_MODEL_LOG" 'read\(.* bpf, .*\) = 0$' || die "the model has given no empty read"
}

full_queue_costs_a_frame() {
	feth_side "$1" write-enobufs=20
	tunnel "${KINDS[@]}"
	traffic_server
	exchange
	close_tunnel
	logged "$FETH_MODEL_LOG" ENOBUFS || die "the model has refused no write"
}

# Packets are lost while it is down, in both directions, and pass when it is up.
down_and_up() {
	local dev=$2

	feth_side "$1"
	tunnel "${KINDS[@]}"
	ip -n "$1" link set "$dev" down
	! on client python3 -B "$TOP/regress/traffic.py" ping --tries 3 \
	    --device "$CLIENT_DEV" 198.51.100.2 || die "pings pass while $dev is down"
	! on server python3 -B "$TOP/regress/traffic.py" ping --tries 3 \
	    --device "$SERVER_DEV" 198.51.100.1 || die "pings pass while $dev is down"
	does_not_spin "$(feth_pid)"
	ip -n "$1" link set "$dev" up
	ping_server
}

# The pair is destroyed under way. The tunnel ends on both sides with a word in
# the log; a session that was there and a new one live on; nothing spins.
destroyed() {
	local pid

	feth_side "$1" "${2:-}"
	tunnel "${KINDS[@]}" 1500 -M
	mkfifo "$CASE/to-session"
	run_ssh bench cat <"$CASE/to-session" >"$CASE/from-session" &
	exec 5>"$CASE/to-session"
	echo before >&5
	wait_for "the session" logged "$CASE/from-session" before
	pid=$(feth_pid)
	if [ -z "${2:-}" ]; then
		ip -n "$1" link del feth0
	else
		on "$OTHER" python3 -B "$TOP/regress/traffic.py" ping --count 200 \
		    --tries 1 --device "$OTHER_DEV" "$(feth_address)" || :
	fi
	wait_for "the other side's $OTHER_DEV to go" link_gone "$OTHER" "$OTHER_DEV"
	expect_log "$FETH_LOG" 'bpf: in [0-9]+ frames'
	expect_log "$FETH_LOG" 'channel [0-9]+: tun device is gone: (read|write): .+'
	echo after >&5
	wait_for "the session to answer" logged "$CASE/from-session" after
	[ "$(run_ssh bench echo new)" = new ] || die "there is no new session"
	! gone "$pid" || die "the process that had the tunnel is gone"
	does_not_spin "$pid"
}

feth_address() {
	if [ "$FETH" = client ]; then
		echo 198.51.100.1
	else
		echo 198.51.100.2
	fi
}

# Datagrams of 1 to 13 bytes among the frames from an ssh or sshd on a tap.
short_datagrams_are_lost() {
	local other_kind=$2 n

	cc -O2 -shared -fPIC -o "$CASE/short-reads.so" "$TOP/regress/short-reads.c"
	export SHORT_READS=10
	if [ "$1" = client ]; then
		KINDS=("$3" "$other_kind")
		SERVER_PRELOAD=$CASE/short-reads.so
		FETH_LOG=$CASE/ssh.log
	else
		KINDS=("$other_kind" "$3")
		CLIENT_PRELOAD=$CASE/short-reads.so
		FETH_LOG=$CASE/sshd.log
	fi
	tunnel "${KINDS[@]}"
	traffic_server
	exchange
	close_tunnel
	[ "$3" = feth ] || return 0
	n=$(counted out runts)
	[ "$n" -ge 13 ] || die "$n runts from the peer were counted"
}

# The same and worse from a peer that is no OpenSSH.
strange_datagrams_are_lost() {
	local lengths=() n

	bench tap "$1"
	start_sshd
	start_master
	[ "$1" != feth ] || feth_pair server 1
	for n in 0 1 2 3 4 5 6 12 13; do
		lengths+=(--datagram "$n")
	done
	# The largest frame of a feth, and the largest that a channel's packet holds.
	for n in 14 16384 16385 32700; do
		lengths+=(--datagram "$n")
	done
	start_on client python3 -B "$TOP/regress/tun-channel.py" --control /run/bench/control \
	    --unit 1 --ping 203.0.113.2 "${lengths[@]}" >"$CASE/tun-channel"
	n=$!
	wait_for "the server's interface" has_link server "$(kind_device "$1" 1)"
	set_address server "$(kind_device "$1" 1)" 203.0.113.2/24 1500
	wait_for "tun-channel.py" over_master_done "$n" "with short datagrams"
	[ "$1" = feth ] || return 0
	FETH_LOG=$SSHD_LOG
	expect_log "$SSHD_LOG" 'bpf: out [0-9]+ frames'
	n=$(counted out runts)
	[ "$n" = 9 ] || die "$n runts from the peer were counted, of 9"
	n=$(counted out 'too big')
	[ "$n" = 2 ] || die "$n frames too big for a feth were counted, of 2"
}

# Many frames that one read(2) brings, while ssh was busy elsewhere, all arrive,
# once each and in order.
burst_arrives_whole() {
	local count=100 far near

	feth_side "$1"
	tunnel "${KINDS[@]}"
	if [ "$1" = client ]; then
		far=server near=client
	else
		far=client near=server
	fi
	start_on "$far" python3 -B "$TOP/regress/traffic.py" collect \
	    --device tap0 "$(far_address)" >"$CASE/collected"
	wait_for "the collector" logged "$CASE/collected" '^ready'
	kill -STOP "$(feth_pid)"
	traffic "$near" burst --device feth0 --size 64 --count "$count" "$(far_address)"
	kill -CONT "$(feth_pid)"
	wait_for "datagram $((count - 1))" logged "$CASE/collected" "^datagram $((count - 1))\$"
	sed -n 's/^datagram //p' "$CASE/collected" >"$CASE/order"
	seq 0 $((count - 1)) | cmp - "$CASE/order" ||
	    die "the $count datagrams did not arrive once each and in order"
	! logged "$CASE/collected" differs || die "a datagram arrived changed"
	close_tunnel
	[ "$(counted in 'frames a read')" -gt 1 ] || die "no read brought more than one frame"
}

far_address() {
	if [ "$FETH" = client ]; then
		echo 198.51.100.2
	else
		echo 198.51.100.1
	fi
}

# The counts are of what happened: every frame in left the primary and came out
# of the other side's interface, and the other way round. So what is written is
# not read again, either.
counts_are_true() {
	local out_of_other into_other out_of_primary into_primary n

	feth_side "$1"
	tunnel "${KINDS[@]}"
	ip -n client neigh change 198.51.100.2 dev "$CLIENT_DEV" nud permanent
	ip -n server neigh change 198.51.100.1 dev "$SERVER_DEV" nud permanent
	traffic_server
	exchange
	out_of_other=$(counter "$OTHER" "$OTHER_DEV" rx_packets)
	into_other=$(counter "$OTHER" "$OTHER_DEV" tx_packets)
	out_of_primary=$(counter "$FETH" feth0 tx_packets)
	into_primary=$(counter "$FETH" feth0 rx_packets)
	close_tunnel
	n=$(counted in 'frames,')
	[ "$n" = "$out_of_primary" ] ||
	    die "$n frames in are logged, and feth0 sent $out_of_primary"
	[ "$n" = "$out_of_other" ] ||
	    die "$n frames in are logged, and $out_of_other came out of the other side's $OTHER_DEV"
	n=$(counted out frames)
	[ "$n" = "$into_primary" ] ||
	    die "$n frames out are logged, and feth0 received $into_primary"
	[ "$n" = "$into_other" ] ||
	    die "$n frames out are logged, and $into_other went into the other side's $OTHER_DEV"
}

for side in client server; do
	add "$side-drops-truncated-captures-and-counts-them" \
	    spoilt_captures_are_lost_and_counted "$side" truncate=20 truncated
	add "$side-drops-runts-from-the-network-and-counts-them" \
	    spoilt_captures_are_lost_and_counted "$side" runt=20 runts
	add "$side-lives-through-reads-of-nonsense" nonsense_is_lost_and_counted "$side"
	add "$side-lives-through-empty-reads" empty_reads_are_no_end "$side"
	add "$side-lives-through-full-queues" full_queue_costs_a_frame "$side"
	add "$side-lives-through-the-primary-down-and-up" down_and_up "$side" feth0
	add "$side-lives-through-the-peer-down-and-up" down_and_up "$side" feth5000
	add "$side-ends-the-tunnel-alone-when-the-pair-is-deleted" destroyed "$side"
	add "$side-ends-the-tunnel-alone-when-the-pair-is-destroyed-in-traffic" \
	    destroyed "$side" destroy=60
	for other in upstream tap; do
		add "feth-$side-drops-short-datagrams-from-$other" \
		    short_datagrams_are_lost "$side" "$other" feth
	done
	add "tap-$side-drops-short-datagrams-from-tap" short_datagrams_are_lost "$side" tap tap
	add "$side-delivers-every-frame-of-a-burst-in-order" burst_arrives_whole "$side"
	add "$side-counts-frames-truly" counts_are_true "$side"
done
for server in feth tap; do
	add "$server-server-lives-through-strange-datagrams" strange_datagrams_are_lost "$server"
done

main "$@"
