#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# Tunnels on a connection that carries other things too: a ControlMaster
# (ssh_config(5)) with sessions and transfers, and several tunnels. One ssh
# process opens one tunnel; a second on the same connection comes from a second
# ssh that passes its channels through the master ("ssh -O proxy").

# shellcheck disable=SC2317 # the cases' functions are called through add
# shellcheck source=regress/lib.sh
. "$(dirname "$0")/../lib.sh"

# A session and a transfer both ways through the master while the tunnel carries
# pings.
session_and_transfer() {
	local sum

	tunnel "$1" "$2" 1500 -M
	start_on client python3 -B "$TOP/regress/traffic.py" ping \
	    --device "$CLIENT_DEV" --count 100000 198.51.100.2
	[ "$(run_ssh bench echo from the session)" = "from the session" ] ||
	    die "the session through the master does not answer"
	head -c 8388608 /dev/urandom >"$CASE/sent"
	sum=$(sha256sum <"$CASE/sent")
	[ "$(run_ssh bench sha256sum <"$CASE/sent")" = "$sum" ] ||
	    die "what the session was sent arrived changed"
	[ "$(run_ssh bench "cat $CASE/sent" | sha256sum)" = "$sum" ] ||
	    die "what the session sent arrived changed"
	rm "$CASE/sent"
	ping_server
}

# "ssh -O exit" ends the master, and with it the session, the tunnel and the taps.
# The master under -N has no command whose status could be its own: it says 255.
exit_closes() {
	local rc=0

	tunnel "$1" "$2" 1500 -M
	run_ssh bench true
	run_ssh -O exit bench
	wait "$SSH_PID" || rc=$?
	[ "$rc" = 255 ] || die "the master ended with status $rc"
	wait_for "the session to end" none_of "$SERVER_BUILD/sshd-session"
	[ "$1" = feth ] || link_gone client "$CLIENT_DEV" ||
	    die "the client's $CLIENT_DEV is still there"
	[ "$2" = feth ] || link_gone server "$SERVER_DEV" ||
	    die "the server's $SERVER_DEV is still there"
}

# Unit 1 next to unit 0.
second_unit() {
	[ "$1" != feth ] || feth_pair client 1
	[ "$2" != feth ] || feth_pair server 1
	FIRST_CLIENT_DEV=$CLIENT_DEV
	FIRST_SERVER_DEV=$SERVER_DEV
	CLIENT_DEV=$(kind_device "$1" 1)
	SERVER_DEV=$(kind_device "$2" 1)
	SSH_LOG=$CASE/ssh-second.log
}

both_carry() {
	set_address client "$CLIENT_DEV" 203.0.113.1/24 1500
	set_address server "$SERVER_DEV" 203.0.113.2/24 1500
	traffic client ping --device "$CLIENT_DEV" 203.0.113.2
	traffic client ping --device "$FIRST_CLIENT_DEV" 198.51.100.2
	[ "$(counter server "$SERVER_DEV" rx_packets)" -ge 5 ] ||
	    die "the pings did not arrive on $SERVER_DEV"
	[ "$(counter server "$FIRST_SERVER_DEV" rx_packets)" -ge 5 ] ||
	    die "the pings did not arrive on $FIRST_SERVER_DEV"
}

two_on_one_connection() {
	tunnel "$1" "$2" 1500 -M
	second_unit "$1" "$2"
	TUN_UNITS=1:1 start_tunnel -N -O proxy
	both_carry
	[ "$(grep -c 'Accepted publickey' "$SSHD_LOG")" = 1 ] ||
	    die "there is more than one connection"
}

# The second tunnel's end is not the first's.
one_of_two_ends() {
	two_on_one_connection "$1" "$2"
	kill "$SSH_PID"
	wait "$SSH_PID" || :
	[ "$1" = feth ] || wait_for "$CLIENT_DEV to go" link_gone client "$CLIENT_DEV"
	[ "$2" = feth ] || wait_for "$SERVER_DEV to go" link_gone server "$SERVER_DEV"
	expect_log "$SSHD_LOG" 'channel [0-9]+: free: tun'
	traffic client ping --device "$FIRST_CLIENT_DEV" 198.51.100.2
}

two_connections() {
	tunnel "$1" "$2"
	second_unit "$1" "$2"
	TUN_UNITS=1:1 start_tunnel -N
	both_carry
	[ "$(grep -c 'Accepted publickey' "$SSHD_LOG")" = 2 ] ||
	    die "there are not two connections"
}

# Opening and closing tunnels, and failing to, leaves no descriptor behind in the
# server's process, whose other channels live on.
server_keeps_no_descriptor() {
	local before

	bench tap "$1"
	start_sshd
	start_master
	[ "$1" != feth ] || feth_pair server 1
	run_ssh bench true
	before=$(descriptors "$(session_pid)")
	if [ "$2" = opened ]; then
		over_master --unit 1 --times 20
	else
		# With feth, there is no such pair to begin with.
		[ "$1" != tap ] || tap_in_use server tap4999
		over_master --unit 4999 --times 20 --refused
	fi
	wait_for "the session's descriptors to be as before: $before" \
	    same_descriptors "$(session_pid)" "$before"
	run_ssh bench true
}

for pair in tap-tap feth-tap tap-feth feth-feth; do
	client=${pair%-*}
	server=${pair#*-}
	add "$client-client-$server-server-a-master-carries-tunnel-session-and-transfer" \
	    session_and_transfer "$client" "$server"
	add "$client-client-$server-server-exit-closes-master-and-tunnel" \
	    exit_closes "$client" "$server"
	add "$client-client-$server-server-two-tunnels-on-one-connection" \
	    two_on_one_connection "$client" "$server"
	add "$client-client-$server-server-one-of-two-tunnels-ends-alone" \
	    one_of_two_ends "$client" "$server"
	add "$client-client-$server-server-two-tunnels-on-two-connections" \
	    two_connections "$client" "$server"
done
for server in tap feth; do
	add "$server-server-keeps-no-descriptor-of-closed-tunnels" \
	    server_keeps_no_descriptor "$server" opened
	add "$server-server-keeps-no-descriptor-of-refused-tunnels" \
	    server_keeps_no_descriptor "$server" refused
done

main "$@"
