#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Traffic for the tunnel tests: ping, TCP with checksums, UDP in single frames.

Every socket is bound to the interface that is named (SO_BINDTODEVICE,
socket(7)), so that what passes has passed through the tunnel, and UDP and ICMP
are sent with "don't fragment" (IP_MTU_DISCOVER, ip(7)), so that what is called
a jumbo datagram was one frame.

A command that fails prints one line that begins "traffic: " and ends with
status 1. Nothing here has a deadline of consequence: a packet that does not
arrive is sent again a few times, and the caller has a watchdog.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import struct
import sys
import threading

PORT = 9000
IP_MTU_DISCOVER = 10  # from <netinet/in.h>; the socket module has neither
IP_PMTUDISC_DO = 2
# A resend is for a packet that a network may lose; it is counted and reported.
RESEND_AFTER = 0.5
RESENDS = 60
# Less than the tunnel channel's window of 2 MiB, so that TCP's own window and
# not ssh's paces the transfer.
TCP_BUFFER = 256 * 1024
# The answer to a datagram whose content is wrong.
BAD = b"content differs"


class Failure(Exception):
    """What went wrong, in a sentence."""


def new_socket(kind, device, proto=0):
    sock = socket.socket(socket.AF_INET, kind, proto)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    if kind != socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TCP_BUFFER)
    return sock


# --- TCP ---------------------------------------------------------------------


def blocks(total, seed):
    """The bytes of a transfer: reproducible, and nowhere the same twice."""
    source = random.Random(seed)
    while total > 0:
        block = source.randbytes(min(65536, total))
        total -= len(block)
        yield block


def send_all(sock, total, seed):
    digest = hashlib.sha256()
    for block in blocks(total, seed):
        digest.update(block)
        sock.sendall(block)
    return digest.hexdigest()


def receive_all(stream, total):
    digest = hashlib.sha256()
    while total > 0:
        block = stream.read(min(65536, total))
        if not block:
            raise Failure(f"the connection ended {total} bytes early")
        digest.update(block)
        total -= len(block)
    return digest.hexdigest()


def serve_tcp(listener):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=answer_tcp, args=(sock,), daemon=True).start()


def answer_tcp(sock):
    """One line says what the client does: "put" or "get", size and seed."""
    with sock, sock.makefile("rb") as stream:
        line = stream.readline().split()
        if len(line) != 3:
            return
        verb, total, seed = line[0], int(line[1]), int(line[2])
        if verb == b"put":
            answer = receive_all(stream, total)
        else:
            answer = send_all(sock, total, seed)
        sock.sendall(answer.encode() + b"\n")


def tcp(args):
    seed = int.from_bytes(os.urandom(4), "big")
    result = {}
    for verb in args.verb or ["put", "get"]:
        with new_socket(socket.SOCK_STREAM, args.device) as sock:
            sock.connect((args.address, PORT))
            with sock.makefile("rb") as stream:
                sock.sendall(f"{verb} {args.bytes} {seed}\n".encode())
                if verb == "put":
                    here = send_all(sock, args.bytes, seed)
                else:
                    here = receive_all(stream, args.bytes)
                there = stream.readline().decode().strip()
        if here != there:
            raise Failure(
                f"{verb} of {args.bytes} bytes: SHA-256 here {here}, there {there}"
            )
        result[verb] = {"bytes": args.bytes, "sha256": here}
        seed += 1
    return result


# --- UDP ---------------------------------------------------------------------


def datagram(seq, size, answer):
    """Datagram number seq: the number, then bytes that only it has."""
    head = struct.pack("!QQ", seq, answer)
    return head + random.Random(2 * seq + answer).randbytes(size - len(head))


def serve_udp(sock):
    while True:
        got, peer = sock.recvfrom(65536)
        if len(got) < 16:
            continue
        seq, _ = struct.unpack_from("!QQ", got)
        if got == datagram(seq, len(got), 0):
            sock.sendto(datagram(seq, len(got), 1), peer)
        else:
            sock.sendto(BAD, peer)


def udp(args):
    """Each datagram is checked by the server, each answer, as large, here."""
    with new_socket(socket.SOCK_DGRAM, args.device) as sock:
        sock.connect((args.address, PORT))
        sock.settimeout(RESEND_AFTER)
        waiting = {}
        following, resent = 0, 0
        done = 0
        while done < args.count:
            while len(waiting) < args.window and following < args.count:
                sock.send(datagram(following, args.size, 0))
                waiting[following] = 0
                following += 1
            try:
                got = sock.recv(65536)
            except socket.timeout:
                for seq in waiting:
                    waiting[seq] += 1
                    if waiting[seq] > RESENDS:
                        raise Failure(
                            f"UDP datagram {seq} of {args.size} bytes: no answer"
                        ) from None
                    sock.send(datagram(seq, args.size, 0))
                    resent += 1
                continue
            if got == BAD:
                raise Failure("a UDP datagram arrived with other content")
            seq, _ = struct.unpack_from("!QQ", got)
            if got != datagram(seq, args.size, 1):
                raise Failure(f"the answer to UDP datagram {seq} has other content")
            if waiting.pop(seq, None) is not None:
                done += 1
    return {"datagrams": args.count, "size": args.size, "resent": resent}


def burst(args):
    """Datagrams one after the other, none twice; the receiver prints each."""
    with new_socket(socket.SOCK_DGRAM, args.device) as sock:
        sock.connect((args.address, PORT))
        for seq in range(args.count):
            sock.send(datagram(seq, args.size, 0))
    return {"datagrams": args.count, "size": args.size}


def collect(args):
    """The receiver of burst: a line for each datagram that is whole."""
    sock = new_socket(socket.SOCK_DGRAM, args.device)
    sock.bind((args.address, PORT))
    print("ready", flush=True)
    while True:
        got = sock.recv(65536)
        seq = struct.unpack_from("!Q", got)[0] if len(got) >= 16 else -1
        whole = seq >= 0 and got == datagram(seq, len(got), 0)
        print(f"datagram {seq}" if whole else "differs", flush=True)


# --- ICMP --------------------------------------------------------------------


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(args):
    """Echo requests, RFC 792; the answer must bring the content back."""
    ident = os.getpid() & 0xFFFF
    sent = 0
    with new_socket(socket.SOCK_RAW, args.device, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(RESEND_AFTER)
        for seq in range(args.count):
            content = random.Random(seq).randbytes(args.size)
            head = struct.pack("!BBHHH", 8, 0, 0, ident, seq)
            head = struct.pack("!BBHHH", 8, 0, checksum(head + content), ident, seq)
            for _ in range(args.tries):
                try:
                    sock.sendto(head + content, (args.address, 0))
                    sent += 1
                    while True:
                        packet, peer = sock.recvfrom(65536)
                        answer = packet[(packet[0] & 15) * 4 :]
                        if (
                            peer[0] == args.address
                            and answer[:2] == b"\0\0"
                            and answer[4:] == head[4:] + content
                        ):
                            break
                    break
                except socket.timeout:
                    continue
            else:
                raise Failure(f"{args.address} does not answer ping {seq}")
    return {"pings": args.count, "sent": sent}


# --- frames ------------------------------------------------------------------


def watch(args):
    """Count the frames on an interface until SIGTERM."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((args.device, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    counts = {"frames": 0, "torn": 0, "short": 0}

    def stop(_signal, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    print("ready", flush=True)
    try:
        while True:
            frame = sock.recv(65536)
            counts["frames"] += 1
            if len(frame) < 14:
                counts["short"] += 1
            elif frame[12:14] == b"\x08\0" and (
                len(frame) < 34
                or len(frame) < 14 + struct.unpack_from("!H", frame, 16)[0]
            ):
                counts["torn"] += 1
    except (KeyboardInterrupt, OSError):
        return counts


# --- commands ----------------------------------------------------------------


def serve(args):
    listener = new_socket(socket.SOCK_STREAM, args.device)
    listener.bind((args.address, PORT))
    listener.listen()
    sock = new_socket(socket.SOCK_DGRAM, args.device)
    sock.bind((args.address, PORT))
    print("ready", flush=True)
    threading.Thread(target=serve_tcp, args=(listener,), daemon=True).start()
    serve_udp(sock)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)

    def command(function):
        sub = commands.add_parser(function.__name__)
        sub.add_argument("--device", required=True)
        if function is not watch:
            sub.add_argument("address")
        sub.set_defaults(function=function)
        return sub

    command(serve)
    command(collect)
    command(watch)
    sub = command(tcp)
    sub.add_argument("--bytes", type=int, required=True)
    sub.add_argument("--verb", action="append", choices=["put", "get"])
    sub = command(udp)
    sub.add_argument("--size", type=int, required=True)
    sub.add_argument("--count", type=int, required=True)
    sub.add_argument("--window", type=int, default=4)
    sub = command(burst)
    sub.add_argument("--size", type=int, required=True)
    sub.add_argument("--count", type=int, required=True)
    sub = command(ping)
    sub.add_argument("--count", type=int, default=5)
    sub.add_argument("--size", type=int, default=56)
    sub.add_argument("--tries", type=int, default=RESENDS)

    args = parser.parse_args()
    try:
        result = args.function(args)
    except (Failure, OSError) as error:
        print(f"traffic: {error}", file=sys.stderr, flush=True)
        return 1
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
