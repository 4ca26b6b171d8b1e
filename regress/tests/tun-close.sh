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
	! on client python3 -B "$TOP/regress/traffic.py" ping --tries 2 \
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

# ssh with a command and a tunnel lasts as long as the tunnel.
server_names_interface() {
	bench "$1" "$2"
	start_sshd
	# shellcheck disable=SC2016 # for the shell at the other end
	start_tunnel -o 'RemoteCommand=echo "$SSH_TUNNEL:"' >"$CASE/name"
	wait_for "the command" logged "$CASE/name" :
	[ "$(cat "$CASE/name")" = "$SERVER_DEV:" ] ||
	    die "SSH_TUNNEL and a colon are \"$(cat "$CASE/name")\", not $SERVER_DEV:"
}

client_names_interface() {
	bench "$1" "$2"
	start_sshd
	start_tunnel -N -o PermitLocalCommand=yes -o "LocalCommand=echo %T: >$CASE/name"
	wait_for "the command" logged "$CASE/name" :
	[ "$(cat "$CASE/name")" = "$CLIENT_DEV:" ] ||
	    die "%T and a colon are \"$(cat "$CASE/name")\", not $CLIENT_DEV:"
}

logs_name_interface() {
	bench "$1" "$2"
	start_sshd
	start_tunnel -N
	expect_log "$SSH_LOG" "Tunnel forwarding using interface ${CLIENT_DEV}[[:space:]]*\$"
	expect_log "$SSHD_LOG" "Tunnel forwarding using interface ${SERVER_DEV}[[:space:]]*\$"
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
