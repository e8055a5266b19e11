#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vmclient.py SOCKET WHAT: a client that asks for the gateway's MAC address by ARP
#   ask	the answer's sender address, then it leaves
#   drip	the same, one byte at a time
#   two	two requests in one write: number of answers
#   often N [LEN]	asks, or sends a frame of that length, leaves and connects again:
#		seconds that N times took, rounded up
#   hold	asks, says so in $T/home/held, stays until the socket ends
#   bad LEN	a frame of a length that can't be: "closed" if that is what follows
#   none	connects and says nothing: "closed", or "open" after half a second
#
# SOCKET may be "fd:N", a connected descriptor.
import os, socket, struct, sys, time
path, what = sys.argv[1:3]
if path.startswith("fd:"):
    s = socket.socket(fileno=int(path[3:]))
else:
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
s.settimeout(10)
mac = bytes([2, 0, 0, 0, 0, int(os.environ.get("GUEST", "1"))])
ip = socket.inet_aton(os.environ["HOST4"])
gw = socket.inet_aton(os.environ["GW4"])
arp = b"\xff" * 6 + mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1)
arp += mac + ip + bytes(6) + gw
req = struct.pack("!I", len(arp)) + arp

def take(n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data

def answer():                   # our own requests come before it
    while True:
        f = take(struct.unpack("!I", take(4))[0])
        if f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2":
            assert f[:6] == mac and f[28:32] == gw
            return ":".join("%02x" % b for b in f[22:28])

if what == "ask":
    s.sendall(req)
    print(answer())
elif what == "drip":
    for i in range(len(req)):
        s.sendall(req[i:i + 1])
    print(answer())
elif what == "two":
    s.sendall(req * 2)
    print(len([answer(), answer()]))
elif what == "often":
    start = time.monotonic()
    for i in range(int(sys.argv[3])):
        if len(sys.argv) > 4:
            try:
                s.sendall(struct.pack("!I", int(sys.argv[4])) + b"x")
                s.recv(1)
            except (ConnectionResetError, BrokenPipeError):
                pass    # or turned away: the one before is still there
        else:
            s.sendall(req)
            answer()
        s.close()
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.settimeout(10)
    print(int(time.monotonic() - start) + 1)
elif what == "hold":
    s.sendall(req)
    open(os.environ["T"] + "/home/held", "w").write(answer())
    s.settimeout(None)
    while s.recv(65536):
        pass
elif what == "bad":
    s.sendall(struct.pack("!I", int(sys.argv[3])) + b"x")
if what in ("bad", "none"):
    s.settimeout(float(os.environ.get("WAIT", "10")))
    try:
        while s.recv(65536):
            pass
        print("closed")
    except ConnectionResetError:
        print("closed")
    except TimeoutError:
        print("open")
