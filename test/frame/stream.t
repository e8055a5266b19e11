#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The stream itself, with connections on it: frames in pieces, full sockets, a client
that goes and comes back.  What is wrong in a frame is in bad.t, paths and who may
connect in e2e/client.t.
"""

import contextlib
import os
import random
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import frames
import harness
from frames import ETH_ARP, ETH_IP6, SYN
from harness import (GUEST_MAC, IP4, IP6, OUR_MAC, TIMEOUT, Conn, Daemon, StreamLink,
                     check, equal, main, test, wait_until)

PORT = 9003			# forwarded
FIRST = ("stream",)
OTHER_MAC = bytes.fromhex("525400abcdef")

for _name in set(harness.BACKENDS) - set(harness.STREAMS):
    del harness.BACKENDS[_name]


def pattern(size, seed=1):
    return random.Random(seed).randbytes(size)


def framed(raws):
    return b"".join(struct.pack("!I", len(raw)) + raw for raw in raws)


def send_pieces(link, raws, size_of):
    """Frames as pieces of size_of() bytes, wherever that cuts them"""
    data = framed(raws)
    while data:
        n = size_of()
        link.sock.sendall(data[:n])
        data = data[n:]


class SlowLink(StreamLink):
    """Reads a few bytes at a time; knows how often it has read"""

    size_of = None

    def read_raw(self):
        if not self.size_of:
            return super().read_raw()
        try:
            part = self.sock.recv(self.size_of(), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        out = []
        self.buf += part
        while len(self.buf) >= 4:
            (n,) = struct.unpack_from("!I", self.buf)
            check(14 <= n <= 65549, f"frame of {n} bytes on the stream")
            if len(self.buf) - 4 < n:
                break
            out.append((self.buf[4:4 + n], None))
            self.buf = self.buf[4 + n:]
        return out


class SocketDaemon(Daemon):
    """One that listens on a UNIX socket; connect() makes a client, with a new link"""

    def start_stream(self):
        self.dir = tempfile.mkdtemp(prefix="frame.")
        os.chmod(self.dir, 0o777)
        self.path = os.path.join(self.dir, "s")
        self.proc = subprocess.Popen(
            [self.program, "-s", self.path, *self.args], stdin=subprocess.DEVNULL,
            stdout=self.stderr, stderr=self.stderr)
        wait_until(lambda: "You can now start qemu" in self.output()
                   or not self.alive(), "start", 30)
        try:
            self.connect()
        except OSError:
            self.proc.terminate()
            shutil.rmtree(self.dir)
            raise

    def connect(self, mac=GUEST_MAC):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        self.link = SlowLink("guest", mac, s)
        return self.link

    def stop(self):
        self.proc.terminate()
        super().stop()
        shutil.rmtree(self.dir)


def spawn(env, *args):
    d = SocketDaemon(env.backend, *env.args, "-t", str(PORT), *args,
                     verbose=env.verbose)
    env.stack.callback(d.stop)
    env.announce(d.link)
    return d


def reconnect(env, d, mac=GUEST_MAC):
    """The next client, once the daemon knows that the last has gone"""
    with contextlib.suppress(OSError):
        d.link.sock.close()
    end = time.monotonic() + 20
    while True:
        link = d.connect(mac)
        try:
            env.barrier(link, timeout=4)
            return link
        except (harness.Failed, OSError):	# turned away: too early
            check(time.monotonic() < end, "no new client is served")


def dial(env, ip):
    s = env.stack.enter_context(socket.socket(ip.af, socket.SOCK_STREAM))
    s.settimeout(TIMEOUT)
    s.bind((ip.peer2, 0))
    s.connect((ip.peer, PORT))
    return s


def answer(env, ip, link, s, timeout=TIMEOUT):
    """Complete the handshake of a dialled connection as the guest on link"""
    p = link.wait(lambda p: p.kind == "tcp" and p.dport == PORT and p.flags & SYN
                  and p.sport == s.getsockname()[1], timeout)
    check(p, "no SYN for the guest")
    equal(p.eth_dst, link.mac, "MAC address that it is for")
    c = Conn(env, link, ip, p.dst, p.src, PORT, p.sport, OUR_MAC, env.mss(ip), 7)
    c.meet(p)
    c.send("SA")
    c.expect("A", ack=1)
    c.peer = s
    return c


# --- in pieces ---------------------------------------------------------------------------

@test("two segments, cut at each byte: both are taken, once")
def cut_anywhere(env, ip):
    c = env.connect(ip)
    size = len(framed([c.frame("A", b"xyz", seq=1)])) * 2
    for at in range(1, size):
        data = framed([c.frame("PA", b"%03d" % at), c.frame("PA", b"%03d" % (at + 500))])
        env.guest.sock.sendall(data[:at])
        env.guest.sock.sendall(data[at:])
        c.wait_ack()
        equal(env.recv(c.peer, 6), b"%03d%03d" % (at, at + 500), "data")
    c.drain()


@test("a part of a frame changes nothing until the rest comes")
def waits_for_rest(env, ip):
    c = env.connect(ip)
    data = framed([c.frame("PA", b"whole")])
    cuts = [0, 1, 4, 10, 18, 50, len(data) - 1]
    for at, end in zip(cuts, cuts[1:]):
        env.guest.sock.sendall(data[at:end])
        c.peer.sendall(b"%04d" % end)	# seen by the same loop, later
        equal(c.read(len(c.data) + 4, ack=False)[-4:], b"%04d" % end, "data to the guest")
        r, _, _ = select.select([c.peer], [], [], 0)
        check(not r, "a part was delivered")
    env.guest.sock.sendall(data[-1:])
    c.wait_ack()
    equal(env.recv(c.peer, 5), b"whole", "data")


@test("300 KB each way in pieces of any size, in both directions at once")
def both_in_pieces(env, ip):
    rnd = random.Random(ip.version)
    d = spawn(env)
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], link=d.link).open(srv)
    up, down, got, sent, told = pattern(300000), pattern(300000, 2), bytearray(), 0, 0
    d.link.size_of = lambda: rnd.choice((1, 3, 4, 5, 100, 1499, 4096, 70000))
    c.peer.setblocking(False)
    end = time.monotonic() + 60
    size = min(c.their_mss, 20000)
    while len(c.data) < len(down) or len(got) < len(up) or c.acked <= len(up):
        check(time.monotonic() < end, f"up {len(got)}, down {len(c.data)}")
        with contextlib.suppress(BlockingIOError):
            sent += c.peer.send(down[sent:sent + 50000]) if sent < len(down) else 0
        room = min(c.edge - c.nxt, len(up) + 1 - c.nxt, 4 * size)
        if room > 0:
            raws = [c.frame("A", up[i:min(i + size, c.nxt - 1 + room)], seq=i + 1)
                    for i in range(c.nxt - 1, c.nxt - 1 + room, size)]
            c.nxt += room
            send_pieces(d.link, raws, lambda: rnd.choice((1, 2, 7, 1000, 66000)))
        while c.next(0.001):
            pass
        if c.rcv > told:
            told = c.rcv
            c.send("A")
        with contextlib.suppress(BlockingIOError):
            got += c.peer.recv(1 << 20)
    equal(bytes(got), up, "data of the guest")
    equal(bytes(c.data), down, "data to the guest")


# --- sizes -------------------------------------------------------------------------------

@test("the largest MTU: segments that fill it both ways", only=("stream-64k",))
def largest_mtu(env, ip):
    for mtu in (65520, 65521):
        d = env.spawn("-m", str(mtu))
        env.stack.callback(d.stop)
        env.mtu = mtu
        srv = env.listen(ip)
        c = env.conn(ip, srv.getsockname()[1], link=d.link)
        c.send("S")
        c.expect("SA", ack=1, mss=mtu - ip.hdrlen - 20)
        c.send("A")
        c.peer = env.accept(srv)
        full = mtu - ip.hdrlen - 20
        data = pattern(3 * full)
        got = bytearray()
        for i in range(0, len(data), full):
            c.send("PA", data[i:i + full])
            got += env.recv(c.peer, full)
            c.wait_ack()
        equal(bytes(got), data, "data of the guest")
        with d.paused():
            c.peer.sendall(data[:full])
        c.expect("A", len=full)
        c.send("A")
        c.peer.sendall(data[full:])
        equal(c.read(len(data)), data, "data to the guest")


@test("many frames in one write, of many flows, both protocols")
def many_flows(env, ip):
    conns, u = [env.connect(ip) for _ in range(20)], env.udp_peer(ip)
    raws = []
    for n in range(10):
        for i, c in enumerate(conns):
            raws.append(c.frame("PA", b"%02d.%02d " % (n, i)))
        raws.append(env.ip_frame(ip.guest, ip.peer, frames.UDP, frames.udp(
            ip.guest, ip.peer, 7000, u.getsockname()[1], b"%d" % n)))
    env.guest.send_many(raws)
    for i, c in enumerate(conns):
        equal(env.recv(c.peer, 60), b"".join(b"%02d.%02d " % (n, i) for n in range(10)),
              "data")
        c.wait_ack()
    for n in range(10):
        equal(u.recv(10), b"%d" % n, "datagram")


# --- calls -------------------------------------------------------------------------------

class Trace:
    """The sendmsg() calls of a daemon from now on"""

    def __init__(self, env, d):
        if not shutil.which("strace"):
            raise harness.Skip("no strace")
        self.file = env.stack.enter_context(tempfile.NamedTemporaryFile("r"))
        self.proc = subprocess.Popen(
            ["strace", "-qq", "-s0", "-e", "trace=sendmsg", "-o", self.file.name, "-p",
             str(d.proc.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        env.stack.callback(self.stop)
        with open(f"/proc/{d.proc.pid}/status", encoding="ascii") as f:
            wait_until(lambda: f.seek(0) or "TracerPid:\t0\n" not in f.read()
                       or self.proc.poll() is not None, "attached", 20)
        if self.proc.poll() is not None:
            raise harness.Skip("strace can't attach")

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
        self.proc.wait()

    def calls(self):
        """-> list of (descriptor, parts, bytes)"""
        self.stop()
        return [tuple(map(int, m)) for m in
                re.findall(r"sendmsg\((\d+), .*msg_iovlen=(\d+),.* = (\d+)\n",
                           self.file.read())]


@test("segments in order of one batch go to the socket with one call")
def one_sendmsg(env, ip):
    d = env.spawn()
    env.stack.callback(d.stop)
    srv = env.listen(ip)
    c, o = (env.conn(ip, srv.getsockname()[1], link=d.link).open(srv) for _ in range(2))
    trace = Trace(env, d)
    raws = []
    for i in range(8):			# one skb on the UNIX socket: they come at once
        raws += [c.frame("PA", pattern(700, i)), o.frame("PA", pattern(300, i))]
    d.link.send_many(raws)
    for peer, size in ((c.peer, 700), (o.peer, 300)):
        equal(env.recv(peer, 8 * size), b"".join(pattern(size, i) for i in range(8)),
              "data")
    c.wait_ack()
    o.wait_ack()
    sizes = sorted((parts, size) for _, parts, size in trace.calls()
                   if size in (5600, 2400))
    equal(sizes, [(8, 2400), (8, 5600)], "calls with the data of eight segments")


@test("a burst to the guest is many frames in few calls", only=FIRST, cut=False)
def few_calls(env, ip):
    d = env.spawn()
    env.stack.callback(d.stop)
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], link=d.link).open(srv)
    trace = Trace(env, d)
    with contextlib.ExitStack() as s:
        c.peer.settimeout(None)
        s.callback(c.peer.settimeout, TIMEOUT)
        c.peer.sendall(pattern(60000))
    while len(c.data) < 60000:
        check(c.next(), f"stalled at {len(c.data)}")
    calls = [parts for _, parts, _ in trace.calls()]
    frames_out = c.count - 1
    check(frames_out >= 40, f"{frames_out} frames only")
    check(len(calls) <= frames_out / 2, f"{len(calls)} calls for {frames_out} frames")


# --- full sockets ------------------------------------------------------------------------

@test("a guest that stops reading gets all frames later, each once and whole")
def full_socket(env, ip):
    conns = [env.connect(ip) for _ in range(30)]
    total = env.burst() // 4
    for c in conns:
        c.peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            c.sent = c.peer.send(pattern(total, c.sport))
    asked = [f"198.51.100.{n}" for n in range(50, 60)]
    for addr in asked:			# answers have to wait behind that
        env.guest.send(frames.eth(frames.BROADCAST, GUEST_MAC, ETH_ARP, frames.arp(
            1, GUEST_MAC, IP4.guest, bytes(6), addr)))
    select.select([], [], [], 0.2)
    # Less than the first retransmission takes
    check(not env.daemon.spins(0.1, 0.05), "the daemon spins")
    for c in conns:
        equal(c.read(c.sent), pattern(total, c.sport)[:c.sent], "data")
    check(sum(c.bytes for c in conns) < 1.5 * sum(c.sent for c in conns), "most of it twice")
    for addr in asked:
        p = env.guest.find(lambda p, a=addr: p.kind == "arp" and p.spa == a)
        check(p or env.guest.wait(lambda p, a=addr: p.kind == "arp" and p.spa == a)
              or sum(c.sent for c in conns) > 1 << 20, f"no answer about {addr}")


@test("a guest that reads byte by byte, then faster, loses nothing", only=FIRST)
def drips(env, ip):
    d = spawn(env)
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], link=d.link).open(srv)
    c.peer.sendall(pattern(40000))
    d.link.size_of = lambda: 1 if len(c.data) < 3000 else 1001
    equal(c.read(40000), pattern(40000), "data")


@test("the guest's segments are taken while it reads nothing")
def deaf(env, ip):
    blocked = [env.connect(ip) for _ in range(20)]
    c = env.connect(ip)
    for o in blocked:
        o.peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            o.peer.send(pattern(60000))
    for i in range(20):
        c.send("PA", pattern(1000, i))
        equal(env.recv(c.peer, 1000), pattern(1000, i), "data")
    c.wait_ack()
    for o in blocked:
        o.read(60000)


# --- a client that goes and comes back ---------------------------------------------------

@test("a client that leaves in the middle of its frame: the next begins a new one",
      only=FIRST)
def leaves_in_frame(env, ip):
    d = spawn(env)
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], link=d.link).open(srv)
    c.send("PA", b"first ")
    c.wait_ack()
    data = framed([c.frame("PA", b"never", seq=c.nxt)])
    for at in (1, 3, 4, 5, 30, len(data) - 1):
        d.link.sock.sendall(data[:at])
        c.link = reconnect(env, d)
    c.send("PA", b"second")
    c.wait_ack()
    equal(env.recv(c.peer, 12), b"first second", "data of the connection that stayed")


@test("a client that leaves in the middle of our frame: the next gets whole ones")
def leaves_in_ours(env, ip):
    d = spawn(env)
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], link=d.link).open(srv)
    c.send("A", wnd=65535)
    env.barrier(d.link)
    data = pattern(600000)
    c.peer.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sent = c.peer.send(data)
    check(d.link.sock.recv(777), "nothing came")
    c.link = reconnect(env, d)
    c.send("A")				# the guest has none of it
    end = time.monotonic() + 60
    while len(c.data) < sent:
        check(time.monotonic() < end, f"stalled at {len(c.data)} of {sent}")
        if c.next(0.5):
            c.send("A")
    equal(bytes(c.data), data[:sent], "data")


@test("the next client has another MAC address: frames go there", only=FIRST)
def other_mac(env, ip):
    d = spawn(env)
    c = answer(env, ip, d.link, dial(env, ip))
    c.peer.sendall(b"x")
    equal(c.expect("A", len=1).eth_dst, GUEST_MAC, "MAC address")
    c.send("A")
    link = reconnect(env, d, OTHER_MAC)
    c.link = link
    c.peer.sendall(b"y")
    equal(c.expect("A", len=1).eth_dst, OTHER_MAC, "of a connection that stayed")
    c = answer(env, ip, link, dial(env, ip))
    equal(c.last.eth_dst, OTHER_MAC, "of a new one")


@test("a forwarded port while no client is there: the next one gets the SYN",
      only=FIRST)
def port_between(env, ip):
    d = spawn(env)
    answer(env, ip, d.link, dial(env, ip))
    d.link.sock.close()
    wait_until(lambda: "Client connection closed" in d.output(), "closed")
    s = dial(env, ip)
    s.sendall(b"patience")
    link = d.connect()
    link.send(frames.eth(OUR_MAC, link.mac, ETH_IP6, frames.ip6(
        IP6.guest, IP6.gw, frames.ICMP6, frames.echo(IP6.guest, IP6.gw, 1, 1))))
    c = answer(env, ip, link, s)
    equal(c.read(8), b"patience", "data")
    s = dial(env, ip)
    c = answer(env, ip, link, s)
    s.sendall(b"at once")
    equal(c.read(7), b"at once", "data")


@test("a length that can't be ends the client, not the daemon, its port or its flows",
      only=FIRST)
def bad_length(env, ip):
    d = spawn(env)
    c = answer(env, ip, d.link, dial(env, ip))
    for length in (0, 65550, 1 << 31):
        with contextlib.suppress(OSError):
            d.link.sock.sendall(framed([c.frame("A")]) + struct.pack("!I", length))
        while not d.link.closed:
            check(d.link.poll(TIMEOUT) or d.link.closed, "the connection is still open")
        c.link = reconnect(env, d)
    c.peer.sendall(b"x")
    equal(c.read(1), b"x", "data of the connection that stayed")
    c = answer(env, ip, d.link, dial(env, ip))
    c.send("PA", b"new")
    equal(env.recv(c.peer, 3), b"new", "data of a new one")
    # At most one such line a second
    check("frame length 0 is not in 1 to" in d.output(), "no line in the log")


@test("a second client is closed, the first one in its frame goes on", only=FIRST)
def second_client(env, ip):
    d = spawn(env)
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], link=d.link).open(srv)
    data = framed([c.frame("PA", b"unmoved")])
    d.link.sock.sendall(data[:20])
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(TIMEOUT)
        s.connect(d.path)
        with contextlib.suppress(ConnectionResetError):
            equal(s.recv(1), b"", "a second client reads")
    d.link.sock.sendall(data[20:])
    c.wait_ack()
    equal(env.recv(c.peer, 7), b"unmoved", "data")


main()
