#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
#
# What passes through an Ethernet tunnel (ssh -w, ssh(1)), for every pair of
# client and server that has to work together: the Darwin path and the ordinary
# tap device in both roles, and unpatched OpenSSH at the other end.

# shellcheck disable=SC2317 # the cases' functions are called through add
# shellcheck source=regress/lib.sh
. "$(dirname "$0")/../lib.sh"

# The far interface's hardware address is known from ARP, which can only have
# come through the tunnel.
arp_resolves() {
	local known real

	tunnel "$1" "$2"
	real=$(mac_of server "$SERVER_DEV")
	known=$(ip -n client neigh show 198.51.100.2 dev "$CLIENT_DEV")
	[[ $known == *"lladdr $real"* ]] ||
	    die "the client has \"$known\" for 198.51.100.2, whose address is $real"
	real=$(mac_of client "$CLIENT_DEV")
	known=$(ip -n server neigh show 198.51.100.1 dev "$SERVER_DEV")
	[[ $known == *"lladdr $real"* ]] ||
	    die "the server has \"$known\" for 198.51.100.1, whose address is $real"
}

pings_are_answered() {
	tunnel "$1" "$2"
	ping_server --count 20
	ping_server --count 5 --size 1472
}

# Both ways; the bytes of the payload show on both ends' tunnel interfaces.
tcp_is_intact() {
	local bytes=$((16 * 1024 * 1024)) before after

	tunnel "$1" "$2"
	traffic_server
	before=$(counter server "$SERVER_DEV" rx_bytes)
	traffic client tcp --device "$CLIENT_DEV" --bytes "$bytes" --verb put 198.51.100.2
	after=$(counter server "$SERVER_DEV" rx_bytes)
	[ $((after - before)) -ge "$bytes" ] ||
	    die "$SERVER_DEV of the server saw $((after - before)) bytes of $bytes"
	before=$(counter client "$CLIENT_DEV" rx_bytes)
	traffic client tcp --device "$CLIENT_DEV" --bytes "$bytes" --verb get 198.51.100.2
	after=$(counter client "$CLIENT_DEV" rx_bytes)
	[ $((after - before)) -ge "$bytes" ] ||
	    die "$CLIENT_DEV of the client saw $((after - before)) bytes of $bytes"
}

# Datagrams that fill a frame of that MTU, both ways.
udp_is_intact() {
	tunnel "$1" "$2" "$3"
	traffic_server
	traffic client udp --device "$CLIENT_DEV" --size $(($3 - 28)) --count 200 198.51.100.2
}

for pair in tap-tap feth-tap tap-feth feth-feth \
    tap-upstream upstream-tap feth-upstream upstream-feth; do
	client=${pair%-*}
	server=${pair#*-}
	add "$client-client-$server-server-arp-resolves" arp_resolves "$client" "$server"
	add "$client-client-$server-server-pings-are-answered" pings_are_answered "$client" "$server"
	add "$client-client-$server-server-16-MiB-of-tcp-arrive-intact-each-way" tcp_is_intact "$client" "$server"
	# 9000 is what people set; 16370 is the most that feth can have.
	for mtu in 9000 16370; do
		add "$client-client-$server-server-udp-of-mtu-$mtu-arrives-intact-each-way" \
		    udp_is_intact "$client" "$server" "$mtu"
	done
done

main "$@"
