#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Send raw frames between two interfaces that a tunnel joins, both ways.

usage: frames.py A B MTU

Frames of an experimental EtherType (so that no protocol of this system answers
them or takes a shorter way) are written to each interface through AF_NDRV and
read from the other through bpf(4). What arrives has to be what was sent, each
frame once, whole and in order, and nothing of it may come back. Prints a line
for each test, PASS or FAIL.
"""

import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
import time

IOC_VOID, IOC_OUT, IOC_IN = 0x20000000, 0x40000000, 0x80000000
IFNAMSIZ = 16
IFREQ = 32


def ioc(direction, group, num, size):
    return direction | size << 16 | ord(group) << 8 | num


BIOCSBLEN = ioc(IOC_IN | IOC_OUT, "B", 102, 4)
BIOCPROMISC = ioc(IOC_VOID, "B", 105, 0)
BIOCSETIF = ioc(IOC_IN, "B", 108, IFREQ)
BIOCIMMEDIATE = ioc(IOC_IN, "B", 112, 4)
BIOCSSEESENT = ioc(IOC_IN, "B", 119, 4)
AF_NDRV = 27

ETHERTYPE = 0x88B5  # IEEE 802: local experiments
HEADER = struct.Struct("!6s6sH")
# How many frames may be on their way: fewer than any queue holds.
WINDOW = 16
# A frame that has not arrived after so many seconds never will.
PATIENCE = 60

libc = ctypes.CDLL(None, use_errno=True)


class Wrong(Exception):
    pass


def check(result):
    if result == -1:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return result


class Reader:
    """What arrives at an interface."""

    def __init__(self, interface):
        self.fd = self.open()
        granted = fcntl.ioctl(self.fd, BIOCSBLEN, struct.pack("I", 65536))
        (self.length,) = struct.unpack("I", granted)
        fcntl.ioctl(self.fd, BIOCIMMEDIATE, struct.pack("I", 1))
        fcntl.ioctl(self.fd, BIOCSSEESENT, struct.pack("I", 0))
        fcntl.ioctl(self.fd, BIOCSETIF, interface.encode().ljust(IFREQ, b"\0"))
        fcntl.ioctl(self.fd, BIOCPROMISC, 0)
        self.frames = []

    @staticmethod
    def open():
        for minor in range(256):
            try:
                return os.open("/dev/bpf%d" % minor, os.O_RDWR)
            except BlockingIOError:
                continue
            except OSError as e:
                if e.errno != 16:  # EBUSY on both systems
                    raise
        raise Wrong("all bpf devices are in use")

    def read(self, seconds):
        """Take what has arrived of ours; False if nothing did."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        data = os.read(self.fd, self.length)
        at = 0
        while at + 18 <= len(data):
            caplen, datalen, hdrlen = struct.unpack_from("IIH", data, at + 8)
            frame = data[at + hdrlen : at + hdrlen + caplen]
            if frame[12:14] == struct.pack("!H", ETHERTYPE):
                if caplen != datalen:
                    raise Wrong("a frame of %d bytes was cut to %d" % (datalen, caplen))
                self.frames.append(frame)
            at += (hdrlen + caplen + 3) & ~3
        return True


class Writer:
    """A socket that writes frames out of an interface."""

    def __init__(self, interface):
        self.fd = check(libc.socket(AF_NDRV, socket.SOCK_RAW, 0))
        size = ctypes.c_int(262144)
        check(
            libc.setsockopt(
                self.fd, socket.SOL_SOCKET, socket.SO_SNDBUF, ctypes.byref(size), 4
            )
        )
        address = struct.pack("BB16s", 18, AF_NDRV, interface.encode())
        check(libc.bind(self.fd, address, len(address)))
        check(libc.connect(self.fd, address, len(address)))

    def write(self, frame):
        os.write(self.fd, frame)


def frames(source, sizes):
    """A frame of each size; its number and its bytes are like no other's."""
    for number, size in enumerate(sizes):
        header = HEADER.pack(b"\x02\0\0\0\0\xff", b"\x02\0\0\0\0" + source, ETHERTYPE)
        seed = b"%s%d;" % (source, number)
        payload = struct.pack("!I", number) + seed * (size // len(seed) + 1)
        yield (header + payload)[:size]


def carry(sent, writer, reader):
    """Write all frames and read as many."""
    sent = list(sent)
    before = len(reader.frames)
    written = 0
    deadline = time.monotonic() + PATIENCE
    while len(reader.frames) - before < len(sent):
        arrived = len(reader.frames) - before
        while written < len(sent) and written - arrived < WINDOW:
            writer.write(sent[written])
            written += 1
        if reader.read(1):
            deadline = time.monotonic() + PATIENCE
        elif time.monotonic() > deadline:
            raise Wrong("only %d of %d frames arrived" % (arrived, len(sent)))
    return sent


def same(expected, found):
    for number, (want, got) in enumerate(zip(expected, found)):
        if want != got:
            raise Wrong(
                "frame %d is not as it was sent: %d bytes, sent %d"
                % (number, len(got), len(want))
            )
    if len(expected) != len(found):
        raise Wrong("%d frames arrived, and %d were sent" % (len(found), len(expected)))


def test(name, function, *arguments):
    try:
        function(*arguments)
    except (Wrong, OSError) as e:
        print("FAIL %s: %s" % (name, e), flush=True)
        return False
    print("PASS %s" % name, flush=True)
    return True


def main():
    a, b, mtu = sys.argv[1], sys.argv[2], int(sys.argv[3])
    read_a, read_b = Reader(a), Reader(b)
    write_a, write_b = Writer(a), Writer(b)
    largest = mtu + HEADER.size
    sizes = [60, 61, 62, 63, 64, 65, 128, 512, 1024, largest - 1, largest]
    expected_a, expected_b = [], []

    def one_way(source, sizes, writer, reader, expected):
        expected += carry(frames(source, sizes), writer, reader)
        same(expected, reader.frames)

    def nothing_came_back(source, writer, reader, expected):
        # What came back did so before this frame, which was sent after it.
        expected += carry(frames(source, [100]), writer, reader)
        same(expected, reader.frames)

    passed = [
        test(
            "frames of all sizes up to %d bytes go from %s to %s" % (largest, a, b),
            one_way, b"1", sizes, write_a, read_b, expected_b,
        ),
        test(
            "frames of all sizes up to %d bytes go from %s to %s" % (largest, b, a),
            one_way, b"2", sizes, write_b, read_a, expected_a,
        ),
        test(
            "2000 frames arrive at %s in order" % b,
            one_way, b"3", [60 + n % (largest - 59) for n in range(2000)],
            write_a, read_b, expected_b,
        ),
        test(
            "2000 frames arrive at %s in order" % a,
            one_way, b"4", [60 + n % (largest - 59) for n in range(2000)],
            write_b, read_a, expected_a,
        ),
        test(
            "nothing that was sent from %s comes back" % a,
            nothing_came_back, b"5", write_b, read_a, expected_a,
        ),
        test(
            "nothing that was sent from %s comes back" % b,
            nothing_came_back, b"6", write_a, read_b, expected_b,
        ),
    ]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main())
