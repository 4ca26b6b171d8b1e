#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# How tunnels end, and the names under which they are known while they last.

# shellcheck disable=SC2317 # the cases' functions are called through add
# shellcheck source=regress/lib.sh
. "$(dirname "$0")/../lib.sh"

# The tap devices go with the processes that made them; a pair of feth stays, as
# whoever made it destroys it.
interfaces_are_as_before() {
	local side dev kind

	for side in client server; do
		if [ "$side" = client ]; then
			kind=$CLIENT_KIND dev=$CLIENT_DEV
		else
			kind=$SERVER_KIND dev=$SERVER_DEV
		fi
		if [ "$kind" = feth ]; then
			has_link "$side" "$dev" || die "the $side's $dev is gone"
		else
			wait_for "the $side's $dev to go" link_gone "$side" "$dev"
		fi
	done
}

client_ends() {
	tunnel "$1" "$2"
	kill "$SSH_PID"
	wait "$SSH_PID" || :
	wait_for "sshd-session to end" none_of "$SERVER_BUILD/sshd-session"
	interfaces_are_as_before
	# And so no ping is answered any more.
	! on client python3 "$TOP/regress/traffic.py" ping --tries 2 \
	    --device "$CLIENT_DEV" 198.51.100.2 || die "a ping is still answered"
}

server_ends() {
	tunnel "$1" "$2"
	kill "$(session_pid)"
	wait_for "ssh to end" gone "$SSH_PID"
	wait_for "sshd-session to end" none_of "$SERVER_BUILD/sshd-session"
	interfaces_are_as_before
}

# The same interface can be had again at once.
opens_again() {
	tunnel "$1" "$2"
	close_tunnel
	interfaces_are_as_before
	: >"$SSH_LOG"
	ip -n client addr flush dev "$CLIENT_DEV" 2>/dev/null || :
	ip -n server addr flush dev "$SERVER_DEV" 2>/dev/null || :
	start_tunnel -N
	set_addresses
	ping_server
}

server_names_interface() {
	local name

	bench "$1" "$2"
	start_sshd
	# shellcheck disable=SC2016 # for the shell at the other end
	name=$(run_ssh -o Tunnel=ethernet -o ExitOnForwardFailure=yes \
	    -w 0:0 bench 'echo "$SSH_TUNNEL"')
	[ "$name" = "$SERVER_DEV" ] || die "SSH_TUNNEL is \"$name\", not $SERVER_DEV"
}

client_names_interface() {
	local name

	bench "$1" "$2"
	start_sshd
	run_ssh -o Tunnel=ethernet -o ExitOnForwardFailure=yes -w 0:0 \
	    -o PermitLocalCommand=yes -o "LocalCommand=echo %T >$CASE/name" \
	    bench true
	name=$(cat "$CASE/name")
	[ "$name" = "$CLIENT_DEV" ] || die "%T is \"$name\", not $CLIENT_DEV"
}

logs_name_interface() {
	bench "$1" "$2"
	start_sshd
	start_tunnel -N
	logged "$SSH_LOG" "Tunnel forwarding using interface $CLIENT_DEV\$" ||
	    die "ssh's log does not name $CLIENT_DEV"
	logged "$SSHD_LOG" "Tunnel forwarding using interface $SERVER_DEV\$" ||
	    die "sshd's log does not name $SERVER_DEV"
}

for pair in tap-tap feth-tap tap-feth; do
	client=${pair%-*}
	server=${pair#*-}
	roles="$client-client-$server-server"
	add "$roles-ssh-s-end-ends-the-session-and-its-tap" client_ends "$client" "$server"
	add "$roles-sshd-session-s-end-ends-ssh-and-its-tap" server_ends "$client" "$server"
	add "$roles-the-tunnel-opens-again-after-its-end" opens_again "$client" "$server"
	add "$roles-SSH_TUNNEL-is-the-server-s-interface" server_names_interface "$client" "$server"
	add "$roles-percent-T-is-the-client-s-interface" client_names_interface "$client" "$server"
	add "$roles-the-logs-name-the-interfaces" logs_name_interface "$client" "$server"
done

main "$@"
