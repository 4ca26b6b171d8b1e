#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A tunnel channel without a device: frames made here, over an ssh master.

Connects to the control socket of a running "ssh -M" and asks it to pass
channel messages through (MUX_C_PROXY, PROTOCOL.mux), opens one more channel of
type tun@openssh.com (PROTOCOL, section 2.3) on that connection, and is then the
host at its end: it answers nothing, asks by ARP, pings, and sends datagrams that
no tap device would give.
"""

import argparse
import os
import random
import signal
import socket
import struct
import sys

from traffic import Failure, checksum

MUX_HELLO, MUX_VERSION = 0x00000001, 4
MUX_C_PROXY, MUX_S_PROXY = 0x1000000F, 0x8000000F
(
    CHANNEL_OPEN,
    CHANNEL_OPEN_CONFIRMATION,
    CHANNEL_OPEN_FAILURE,
    CHANNEL_WINDOW_ADJUST,
    CHANNEL_DATA,
    _,
    CHANNEL_EOF,
    CHANNEL_CLOSE,
) = range(90, 98)
TUNMODE_ETHERNET = 2
# A lost packet is sent again after this many seconds, so many times.
PATIENCE, TRIES = 2.0, 30
OUR_MAC = bytes.fromhex("020000000b0b")
BROADCAST = b"\xff" * 6


def string(data):
    return struct.pack("!I", len(data)) + data


class TunnelChannel:
    """The channel, opened as often as one likes on one control connection."""

    def __init__(self, control, unit):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(control)
        self.send(struct.pack("!II", MUX_HELLO, MUX_VERSION))
        self.receive()
        self.send(struct.pack("!II", MUX_C_PROXY, 0))
        if struct.unpack_from("!I", self.receive())[0] != MUX_S_PROXY:
            raise Failure("the master does not pass channel messages through")
        self.unit = unit
        self.remote = None

    def send(self, message):
        self.sock.sendall(string(message))

    def receive(self):
        """The next message from the master; whole, or the timeout passes on."""
        (length,) = struct.unpack("!I", self.exactly(4))
        return self.exactly(length)

    def exactly(self, count):
        got = b""
        while len(got) < count:
            more = self.sock.recv(count - len(got))
            if not more:
                raise Failure("the master has closed the connection")
            got += more
        return got

    def packet(self, kind, body):
        self.send(bytes([0, kind]) + body)

    def next_packet(self):
        message = self.receive()
        return message[1], message[2:]

    def open(self):
        """Returns whether the peer opened the tunnel."""
        body = string(b"tun@openssh.com") + struct.pack(
            "!IIIII", 0, 2 << 20, 32768, TUNMODE_ETHERNET, self.unit
        )
        self.packet(CHANNEL_OPEN, body)
        kind, body = self.next_packet()
        if kind == CHANNEL_OPEN_CONFIRMATION:
            (self.remote,) = struct.unpack_from("!I", body, 4)
            return True
        if kind == CHANNEL_OPEN_FAILURE:
            return False
        raise Failure(f"message {kind} in answer to the opening of a channel")

    def close(self):
        self.packet(CHANNEL_CLOSE, struct.pack("!I", self.remote))
        while self.next_packet()[0] != CHANNEL_CLOSE:
            pass

    def send_datagram(self, data):
        self.packet(CHANNEL_DATA, struct.pack("!I", self.remote) + string(data))

    def next_datagram(self):
        while True:
            kind, body = self.next_packet()
            if kind == CHANNEL_DATA:
                return body[8:]
            if kind in (CHANNEL_EOF, CHANNEL_CLOSE):
                raise Failure("the peer has ended the tunnel")

    def ask(self, frame, is_answer):
        """Send a frame, again if need be, until a frame comes that answers it."""
        self.sock.settimeout(PATIENCE)
        for _ in range(TRIES):
            self.send_datagram(frame)
            try:
                while True:
                    got = self.next_datagram()
                    if is_answer(got):
                        self.sock.settimeout(None)
                        return got
            except socket.timeout:
                continue
        raise Failure("no answer through the tunnel")


def resolve(channel, ours, address):
    """ARP, RFC 826."""
    frame = (
        BROADCAST
        + OUR_MAC
        + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
        + OUR_MAC
        + socket.inet_aton(ours)
        + bytes(6)
        + socket.inet_aton(address)
    )
    answer = channel.ask(
        frame,
        lambda got: got[12:14] == b"\x08\x06"
        and got[20:22] == b"\0\2"
        and got[28:32] == socket.inet_aton(address),
    )
    return answer[22:28]


def ping(channel, ours, address, count):
    mac = resolve(channel, ours, address)
    for seq in range(count):
        content = random.Random(seq).randbytes(200)
        head = struct.pack("!BBHHH", 8, 0, 0, 1, seq)
        head = struct.pack("!BBHHH", 8, 0, checksum(head + content), 1, seq)
        ip = bytearray(
            struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(content), seq, 0, 64, 1, 0)
            + socket.inet_aton(ours)
            + socket.inet_aton(address)
        )
        ip[10:12] = struct.pack("!H", checksum(bytes(ip)))
        frame = mac + OUR_MAC + b"\x08\x00" + bytes(ip) + head + content
        channel.ask(
            frame,
            lambda got, want=head[4:] + content: got[23:24] == b"\1"
            and got[34:36] == b"\0\0"
            and got[38:] == want,
        )


def run(args):
    channel = TunnelChannel(args.control, args.unit)
    for _ in range(args.times):
        opened = channel.open()
        if opened == args.refused:
            raise Failure(f"unit {args.unit} was {'opened' if opened else 'refused'}")
        if not opened:
            continue
        if args.ping:
            ping(channel, args.ours, args.ping, 3)
        for length in args.datagram or []:
            channel.send_datagram(os.urandom(length))
            if args.ping:
                ping(channel, args.ours, args.ping, 1)
        channel.close()
    print("done", flush=True)
    if args.refused:
        # OpenSSH 10.0's master ends itself when a client leaves whose channel
        # was refused ("chan_send_close2: no remote_id"), so stay.
        signal.pause()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--control", required=True, help="the master's socket")
    parser.add_argument("--unit", type=int, required=True)
    parser.add_argument("--ours", default="203.0.113.1", help="our address")
    parser.add_argument("--ping", metavar="ADDRESS", help="must answer")
    parser.add_argument(
        "--datagram",
        type=int,
        action="append",
        metavar="LENGTH",
        help="send a datagram of this length (and ping again)",
    )
    parser.add_argument("--times", type=int, default=1, help="open and close so often")
    parser.add_argument("--refused", action="store_true", help="must not be opened; stays")
    try:
        run(parser.parse_args())
    except (Failure, OSError) as error:
        print(f"traffic: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
