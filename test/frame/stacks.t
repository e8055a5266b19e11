#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
TCP dialogues with guests that are not Linux: what their stacks offer, how they
acknowledge, how small their windows are, and how they end connections.

The first part plays whole stacks from the table STACKS, as clients and as servers;
the others are single habits.  Numbers are relative as in tcp.t: the first byte of
data is 1.
"""

import errno
import random
import socket
import struct
import time

import frames
import harness
from frames import ACK, FIN, PSH, RST, SYN
from harness import (IP4, IP6, OUR_MAC, STREAMS, TIMEOUT, TUNS, Conn, Failed, check,
                     equal, main, test)

PORT = 9002			# forwarded
RTO = 10.0			# surely after the first retransmission
LINGER_RST = struct.pack("ii", 1, 0)

for _name, _args in harness.BACKENDS.items():
    _args += ["-t", str(PORT)]
    if _name in TUNS:
        _args.append("--no-splice")

NOP, EOL = b"\1", b"\0"
SACK_OK = b"\4\2"
TS = b"\x08\x0a" + struct.pack("!II", 0x12345678, 0)


def mss(n):
    return struct.pack("!BBH", 2, 4, n)


def ws(n):
    return struct.pack("!BBB", 3, 3, n)


class Stack:
    """
    opts, mss, ws: of a SYN.  wnd: window field.  every: acknowledges so many segments,
    or after delay seconds.  size: bytes that a dialogue moves.  end: how it closes
    """

    def __init__(self, name, opts, wnd, mss=None, ws=None, syn="S", every=2, delay=0.2,
                 size=60000, end="FA"):
        self.name, self.opts, self.wnd, self.mss, self.ws = name, opts, wnd, mss, ws
        self.syn, self.every, self.delay, self.size, self.end = (syn, every, delay,
                                                                 size, end)


STACKS = [
    Stack("Windows 11", mss(1460) + NOP + ws(8) + NOP + NOP + SACK_OK, 64240, 1460, 8,
          delay=0.04, end="RA"),
    Stack("Windows XP", mss(1460) + NOP + NOP + SACK_OK, 65535, 1460),
    Stack("Windows 95", mss(1460), 8192, 1460),
    Stack("FreeBSD", mss(1460) + NOP + ws(6) + SACK_OK + TS, 65535, 1460, 6, delay=0.04),
    Stack("OpenBSD", mss(1460) + NOP + NOP + SACK_OK + NOP + ws(6) + NOP + NOP + TS,
          16384, 1460, 6),
    Stack("NetBSD", mss(1460) + NOP + ws(3) + SACK_OK + NOP + NOP + TS[:10], 32768, 1460,
          3),
    Stack("macOS", mss(1460) + NOP + ws(6) + NOP + NOP + TS + SACK_OK + EOL + EOL, 65535,
          1460, 6, syn="SEC", every=8, delay=0.05),
    Stack("4.3BSD, without any option", b"", 4096),
    Stack("lwIP", mss(536), 2144, 536, delay=0.25, size=20000),
    Stack("lwIP with a large window", mss(1460) + ws(2) + NOP, 65535, 1460, 2,
          delay=0.25),
    Stack("picoTCP", NOP + NOP + TS + mss(1460) + SACK_OK + ws(1) + EOL * 3, 16384, 1460,
          1, every=1),
    Stack("uIP, one segment at a time", mss(1240), 1240, 1240, every=1, size=20000),
    Stack("Zephyr", mss(1220), 1280, 1220, every=1, size=20000),
    Stack("a DOS stack of 512 bytes", mss(512), 1024, 512, every=1, size=20000),
    Stack("one that acknowledges each tenth segment", mss(1000), 32000, 1000, every=10,
          delay=0.1),
    Stack("a boot loader with 296 bytes of packets", mss(256), 512, 256, every=1,
          size=8000, end="RA"),
]


def pattern(size, seed=1):
    return random.Random(seed).randbytes(size)


def abort(sock):
    """close() that sends a RST"""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
    sock.close()


def error_of(sock):
    """What a reader is told: an errno, 0 for data or the end"""
    try:
        sock.recv(1)
    except TimeoutError:
        return "nothing"
    except OSError as e:
        return e.errno
    return 0


def dial(env, ip):
    """A peer that connects to the forwarded port"""
    s = env.stack.enter_context(socket.socket(ip.af, socket.SOCK_STREAM))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.settimeout(TIMEOUT)
    s.bind((ip.peer2, 0))
    s.connect((ip.peer, PORT))
    return s


def syn_for(env, s, timeout=TIMEOUT):
    """The SYN that the guest gets for a peer"""
    p = env.guest.wait(lambda p: p.kind == "tcp" and p.dport == PORT and p.flags & SYN
                       and p.sport == s.getsockname()[1], timeout)
    check(p, "no SYN for the guest")
    return p


def answering(env, ip, p, **kw):
    """The guest's end of what a SYN begins"""
    c = Conn(env, env.guest, ip, p.dst, p.src, PORT, p.sport, OUR_MAC, **kw)
    c.meet(p)
    return c


def take(c, total, every=1, delay=0.2):
    """
    Read until total bytes have come, acknowledge every so many segments or after
    delay seconds, with a window that is always the same
    """
    shift = c.ws if c.ws and c.their_ws is not None else 0
    edge = c.rcv + (c.wnd << shift)
    heard, due, late, before = 0, None, False, c.bytes - c.twice - len(c.data)
    while len(c.data) < total:
        p = c.next(TIMEOUT if due is None else max(due - time.monotonic(), 0))
        if p:
            check(not c.reset, "reset")
            check(p.rel_seq + p.len <= edge, f"over the window: {p}")
            heard += -(-p.len // p.gso) if p.gso else bool(p.len)
            due = due or time.monotonic() + delay
        elif due is None:
            raise Failed(f"stalled: {len(c.data)} of {total} bytes came")
        if heard >= every or time.monotonic() >= due:
            late |= time.monotonic() > due + 0.1
            c.send("A")
            edge = c.rcv + (c.wnd << shift)
            heard, due = 0, None
    c.send("A")
    if not late:
        equal(c.bytes - c.twice - len(c.data), before, "bytes that came twice")
    return bytes(c.data)


def put(c, data, size, flight=8):
    """
    Send in segments of size bytes, so many of them in flight at most.  A smaller one is
    only the last: no stack sends a silly segment before a timer (RFC 9293, 3.8.6.2.1)
    """
    start, end = c.nxt, c.nxt + len(data)
    while c.acked < end:
        room = min(c.edge, c.acked + flight * size, end) - c.nxt
        if c.nxt + room < end:
            room -= room % size
        if room > 0:
            at = c.nxt - start
            c.send_all(data[at:at + room], size, "PA")
        check(c.next(), f"stalled: {c.acked - start} of {len(data)} acknowledged, "
              f"window of {c.edge - c.nxt}")
        check(not c.reset, "reset")


def talk(env, c, st):
    """The same on either side: data both ways, then the end as the stack does it"""
    down, up = pattern(st.size, 1), pattern(st.size, 2)
    c.peer.sendall(down)
    equal(take(c, len(down), st.every, st.delay), down, "data to the guest")
    put(c, up, min(st.mss or c.default_mss(), c.their_mss))
    equal(env.recv(c.peer, len(up)), up, "data of the guest")
    if st.end == "RA":			# has no use for a FIN
        c.send("RA")
        equal(error_of(c.peer), errno.ECONNRESET, "the peer reads")
        c.quiet("no answer to a RST")
        return
    c.send("FA")
    c.expect("A", ack=c.nxt)
    env.eof(c.peer)
    c.peer.close()
    c.expect("FA", ack=c.nxt)
    c.send("A")
    c.quiet("nothing follows the last ACK")


def play_client(st):
    def client(env, ip):
        srv = env.listen(ip)
        c = env.conn(ip, srv.getsockname()[1], mss=st.mss or 0, ws=st.ws, wnd=st.wnd)
        c.send(st.syn, opts=st.opts)
        p = c.expect("SA", ack=1, mss=env.mss(ip))
        equal(p.tcp_opts, [2] if st.ws is None else [2, 3], "options of the SYN-ACK")
        c.send("A")
        c.peer = env.accept(srv)
        talk(env, c, st)
    return client


def play_server(st):
    def server(env, ip):
        s = dial(env, ip)
        c = answering(env, ip, syn_for(env, s), mss=st.mss, ws=st.ws, wnd=st.wnd)
        c.peer = s
        c.send("SA", opts=st.opts)
        c.expect("A", seq=1, ack=1, len=0)
        talk(env, c, st)
    return server


for _i, _st in enumerate(STACKS):
    # The whole table on one backend, a part of it on each of the others
    _only = [b for _n, b in enumerate(harness.BACKENDS) if not _n or _i % 3 == (_n - 1) % 3]
    test(f"a client: {_st.name}", only=_only)(play_client(_st))
    test(f"a server: {_st.name}", only=_only)(play_server(_st))


# --- options -----------------------------------------------------------------------------

@test("SACK, timestamps, Fast Open, MPTCP and MD5 that are offered are not agreed to")
def offered(env, ip):
    srv = env.listen(ip)
    for opts in (SACK_OK + NOP + NOP, TS + NOP + NOP, b"\x22\x02" + NOP + NOP,
                 b"\x1e\x0c\x01\x81" + bytes(8), b"\x13\x12" + bytes(16) + NOP + NOP,
                 b"\xfd\x04\xf9\x89", b"\x05\x0a" + bytes(8) + NOP + NOP,
                 b"\x45\x04\0\0", SACK_OK + TS + b"\x1e\x0c\x01\x81" + bytes(8)):
        c = env.conn(ip, srv.getsockname()[1], mss=1200, ws=2)
        c.send("S", opts=mss(1200) + ws(2) + NOP + opts)
        p = c.expect("SA", ack=1)
        equal(p.tcp_opts, [2, 3], f"options that answer {opts.hex()}")
        c.send("A")
        env.accept(srv)


@test("40 bytes of options in a SYN: those that are known are found")
def full_options(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], mss=600, ws=1)
    c.send("S", opts=NOP * 33 + ws(1) + mss(600))
    c.expect("SA", ack=1, ws=lambda n: n is not None)
    c.send("A")
    s = env.accept(srv)
    s.sendall(pattern(3000))
    equal(take(c, 3000), pattern(3000), "data")


@test("what stands behind the end of options is none")
def behind_eol(env, ip):
    srv = env.listen(ip)
    for opts in (EOL + ws(7) + mss(1400), EOL + b"\2" + ws(7) + NOP + NOP + NOP,
                 NOP + EOL + b"\2" + mss(1400) + NOP, EOL * 4 + mss(1400) + NOP + ws(7)):
        c = env.conn(ip, srv.getsockname()[1], mss=0, ws=None)
        c.send("S", opts=opts)
        p = c.expect("SA", ack=1)
        equal(p.tcp_opts, [2], "options of the SYN-ACK")
        c.send("A")
        env.accept(srv).sendall(pattern(3000))
        equal(take(c, 3000), pattern(3000), "data in segments of the default size")


@test("window scale without MSS, and MSS without window scale")
def one_option(env, ip):
    srv = env.listen(ip)
    for opts, kw in ((ws(3) + NOP, {"mss": 0, "ws": 3}), (mss(900), {"mss": 900,
                                                                    "ws": None})):
        c = env.conn(ip, srv.getsockname()[1], **kw)
        c.send("S", opts=opts)
        c.expect("SA", ack=1)
        c.send("A")
        env.accept(srv).sendall(pattern(3000))
        equal(take(c, 3000), pattern(3000), "data")


@test("a window scale over 14 counts as 14")
def huge_scale(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], mss=1000, ws=14, wnd=1)
    c.send("S", opts=mss(1000) + ws(200) + NOP, wnd=65535)
    c.expect("SA", ack=1)
    c.send("A")
    env.accept(srv).sendall(pattern(40000))
    while len(c.data) < 16384:
        check(c.next(), f"stalled at {len(c.data)}")
    c.quiet("16384 bytes is what the window allows")
    c.send("A")
    take(c, 40000)


@test("timestamps and SACK blocks in segments are skipped, agreed to or not")
def options_in_segments(env, ip):
    c = env.connect(ip, mss=1000)
    block = NOP + NOP + b"\x05\x0a" + bytes(8)
    for i, opts in enumerate((NOP + NOP + TS, block, block + NOP + NOP + TS, EOL * 40)):
        c.send("PA", b"data", opts=opts)
        c.expect("A", ack=5 + 4 * i)
    equal(env.recv(c.peer, 16), b"data" * 4, "data")
    c.peer.sendall(pattern(5000))
    while len(c.data) < 5000:
        check(c.next(), f"stalled at {len(c.data)}")
    for _ in range(4):
        c.send("A", ack=1001, opts=NOP + NOP + b"\x05\x0a" +
               struct.pack("!II", c.irs + 2001 & 0xffffffff, c.irs + 5001 & 0xffffffff))
    p = c.soon()
    check(p and p.rel_seq == 1001, f"not resent after three duplicate ACKs: {p}")
    c.drain()
    c.send("A")
    c.quiet()


@test("no segment of ours but a SYN has options")
def plain_segments(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], mss=1460, ws=7)
    c.send("S", opts=mss(1460) + NOP + ws(7) + SACK_OK + TS)
    c.expect("SA", ack=1)
    c.send("A")
    s = env.accept(srv)
    c.send("PA", b"x", opts=NOP + NOP + TS)
    equal(c.expect("A", ack=2).tcp_opts, [], "options of an ACK")
    s.sendall(b"y")
    equal(c.expect("A", len=1).tcp_opts, [], "options of data")
    c.send("PA", b"z", seq=10)
    equal(c.expect("A", ack=2).tcp_opts, [], "options of a duplicate ACK")
    c.send("A")
    s.shutdown(socket.SHUT_WR)
    equal(c.expect("FA").tcp_opts, [], "options of a FIN")


def reserved(env, c, flags, **kw):
    """A segment of c with all reserved bits set"""
    raw = bytearray(c.frame(flags, **kw))
    at = 14 + c.ip.hdrlen
    raw[at + 12] |= 0x0f
    raw[at + 16:at + 18] = b"\0\0"
    sum16 = frames.l4csum(c.src, c.dst, frames.TCP, bytes(raw[at:]))
    env.guest.send(frames.put16(bytes(raw), at + 16, sum16))


@test("reserved bits, accurate ECN among them, are ignored")
def reserved_bits(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    reserved(env, c, "SEC")
    p = c.expect("SA", ack=1)
    equal(p.l4[12] & 15, 0, "reserved bits of the answer")
    reserved(env, c, "A")
    s = env.accept(srv)
    reserved(env, c, "PA", data=b"data")
    c.expect("A", ack=5)
    equal(env.recv(s, 4), b"data", "data")


@test("ECN marks of IP change nothing")
def ecn_marks(env, ip):
    c = env.connect(ip)
    for i, tos in enumerate((1, 2, 3)):
        seg = frames.tcp(ip.guest, ip.peer, c.sport, c.dport, c.iss + 1 + i, c.irs + 1,
                         ACK | PSH, 65535, b"x")
        env.send_ip(ip.guest, ip.peer, frames.TCP, seg, tos=tos)
        c.expect("A", ack=2 + i)
    equal(env.recv(c.peer, 3), b"xxx", "data")


# --- windows -----------------------------------------------------------------------------

@test("a SYN with a closed window: nothing comes before it is opened")
def syn_zero(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], wnd=0)
    c.handshake()
    s = env.accept(srv)
    s.sendall(b"held")
    c.quiet("the window is closed", 0.02)
    c.send("A", wnd=1)
    c.expect("A", seq=1, data=b"held", soon=True)


@test("a window of 100 bytes, without scale: 100 bytes at a time")
def window_100(env, ip):
    c = env.connect(ip, ws=None, wnd=100)
    c.peer.sendall(pattern(2000))
    for i in range(20):
        p = c.expect("A", seq=1 + 100 * i, len=100)
        check(p.flags & PSH, f"a full window without PSH: {p}")
        c.quiet("the window is full")
        c.send("A")
    equal(bytes(c.data), pattern(2000), "data")


@test("a window of one byte lets all data through")
def window_1(env, ip):
    c = env.connect(ip, ws=None, wnd=1)
    c.peer.sendall(b"bit by bit")
    for i in range(10):
        c.expect("A", seq=1 + i, len=1)
        c.send("A")
    equal(bytes(c.data), b"bit by bit", "data")


@test("a window of one segment: one segment at a time, at the pace of its ACKs")
def window_one_segment(env, ip):
    c = env.connect(ip, mss=536, ws=None, wnd=536)
    c.peer.sendall(pattern(5360))
    for i in range(10):
        c.expect("A", seq=1 + 536 * i, len=536)
        c.quiet("the window is full")
        c.send("A")
    equal(bytes(c.data), pattern(5360), "data")


@test("a window one byte short of a segment, and one byte over")
def window_odd(env, ip):
    for size in (999, 1001, 1999, 2001):
        c = env.connect(ip, mss=1000, ws=None, wnd=size)
        c.peer.sendall(pattern(10000))
        equal(take(c, 10000, every=2, delay=0.02), pattern(10000), "data")


@test("while data is in flight, a window that opens by a few bytes fetches none")
def silly(env, ip):
    c = env.connect(ip, mss=1000, ws=None, wnd=2000)
    c.peer.sendall(pattern(8000))
    while len(c.data) < 2000:
        check(c.next(), f"stalled at {len(c.data)}")
    for opened in (10, 100, 900):	# the second segment stays in flight
        c.send("A", ack=1001, wnd=1000 + opened)
        c.quiet(f"{opened} bytes are no segment")
    c.send("A", ack=1001, wnd=2000)
    c.expect("A", seq=2001, len=1000)
    c.wnd = 8000
    c.send("A")
    equal(take(c, 8000), pattern(8000), "data")


@test("the window shrinks with nothing in flight: less is sent, nothing twice")
def shrinks_idle(env, ip):
    c = env.connect(ip, mss=1000, ws=None, wnd=8000)
    c.send("A", wnd=1500)
    env.barrier()
    c.peer.sendall(pattern(4000))
    while len(c.data) < 1500:
        check(c.next(), f"stalled at {len(c.data)}")
    c.quiet("1500 bytes is what the window allows now")
    equal(c.bytes - c.twice, 1500, "bytes in flight")
    c.wnd = 8000
    c.send("A")
    equal(take(c, 4000), pattern(4000), "data")


@test("the window shrinks to less than what is in flight: it is resent, no more")
def shrinks_below(env, ip):
    c = env.connect(ip, mss=1000, ws=None, wnd=4000)
    c.peer.sendall(pattern(9000))
    while len(c.data) < 4000:
        check(c.next(), f"stalled at {len(c.data)}")
    c.rcv = 1001			# that was taken, and 500 bytes more fit
    del c.data[1000:]
    c.send("A", wnd=500)
    edge, end = 1501, time.monotonic() + 30
    c.wnd = 500
    while len(c.data) < 3000:
        p = c.next(RTO)
        check(p and time.monotonic() < end, f"stalled at {len(c.data)}")
        check(p.rel_seq + p.len <= edge, f"over the window: {p}")
        if c.rcv >= edge:
            c.send("A")
            edge = c.rcv + 500
    c.wnd = 9000
    c.send("A")
    while len(c.data) < 9000:
        check(c.next(RTO), f"stalled at {len(c.data)}")
        c.send("A")
    equal(bytes(c.data), pattern(9000), "data")


@test("a guest that closes its window after each segment and opens it later")
def stop_and_go(env, ip):
    c = env.connect(ip, mss=1000, ws=None, wnd=1000)
    c.peer.sendall(pattern(10000))
    for i in range(10):
        c.expect("A", seq=1 + 1000 * i, len=1000)
        c.send("A", wnd=0)
        c.quiet("the window is closed")
        c.send("A")
    equal(bytes(c.data), pattern(10000), "data")


@test("a closed window is probed later and later; each answer keeps the connection",
      only=("stream", "tun"))
def probes(env, ip):
    c = env.connect(ip)
    c.send("A", wnd=0)
    env.barrier()
    c.peer.sendall(b"held")
    last, least, begin = None, 0, time.monotonic()
    for _ in range(3):
        p = c.next(RTO)
        check(p and p.rel_seq == 0 and not p.len, f"no probe before the window: {p}")
        # between two: what it was at most, after what it was at least
        wait = p.at - (last.after if last else begin)
        check(wait > 1.5 * least, f"{wait:.3f} s after {least:.3f} s")
        least, last = p.after - (last.at if last else begin), p
        c.send("A", wnd=0)
    c.send("A")
    c.expect("A", seq=1, data=b"held", soon=True)


@test("a peer that resets while the guest's window is closed: RST behind its data")
def rst_zero_window(env, ip):
    c = env.connect(ip)
    c.send("PA", b"x")
    c.wait_ack(2)
    c.send("A", wnd=0)
    env.barrier()
    c.peer.sendall(b"last")
    env.recv(c.peer, 1)
    env.barrier()
    abort(c.peer)
    p = c.next(RTO)
    check(p and p.rel_seq == 0 and not p.len, f"no probe before the window: {p}")
    c.send("A")
    c.expect("A", seq=1, data=b"last", soon=True)
    c.send("A")
    p = c.next()
    check(p and p.flags & RST, f"no RST: {p}")
    equal((p.rel_seq, p.rel_ack), (5, 2), "its numbers")


@test("without window scale our window is opened again before it is too small to use")
def our_window_unscaled(env, ip):
    c = env.connect(ip, ws=None, mss=1460)
    data = pattern(300000)
    for i in range(0, len(data), 1000):
        c.send("PA", data[i:i + 1000])
        p = c.expect("A", ack=i + 1001)
        check(p.window >= 10000, f"window of {p.window}")
        equal(env.recv(c.peer, 1000), data[i:i + 1000], "data")


@test("300 KB in full segments, without window scale: no window stops the guest")
def put_unscaled(env, ip):
    c = env.connect(ip, ws=None, mss=1460)
    data, got = pattern(300000), b""
    for i in range(0, len(data), 100000):
        put(c, data[i:i + 100000], 1400, 64)
        got += env.recv(c.peer, 100000)
    equal(got, data, "data")


def close_our_window(env, c):
    """Send until the window is shut, nobody reads -> what was taken"""
    sent = bytearray()
    while True:
        room = c.edge - c.nxt
        if room > 0:
            part = random.Random(c.nxt).randbytes(min(room, c.their_mss, 1400))
            c.send("PA", part)
            sent += part
        while c.next(0.05 if room <= 0 else 0):
            pass
        if room <= 0 and c.acked == c.nxt and c.edge <= c.nxt:
            return sent
        check(len(sent) < 64 << 20, "the window never closes")


@test("our window is closed: probes of one byte are refused, the last one is not lost",
      only=STREAMS)
def probes_of_guest(env, ip):
    c = env.connect(ip, ws=None)
    sent = close_our_window(env, c)
    at = c.nxt
    for _ in range(3):			# the persist timer of the guest
        c.send("PA", b"!", seq=at)
        p = c.expect("A", ack=at, seq=1)
        check(p.window == 0, f"window of {p.window}, the byte was not taken")
    check(env.recv(c.peer, len(sent)) == bytes(sent), "data differs")
    p = c.expect("A", ack=at, skip=lambda p: not p.wnd)
    check(p.window >= 1000, f"reopened by {p.window} only")
    c.drain()
    c.send("PA", b"!")
    c.wait_ack(at + 1)
    equal(env.recv(c.peer, 1), b"!", "the byte of the probe")
    env.nothing(c.peer)


@test("our window is closed: a FIN right behind what was taken is, too", only=STREAMS)
def fin_at_closed_window(env, ip):
    c = env.connect(ip, ws=None)
    sent = close_our_window(env, c)
    c.send("FA")
    while c.acked < c.nxt:
        check(c.next(), "the FIN is not acknowledged")
    check(env.recv(c.peer, len(sent)) == bytes(sent), "data differs")
    env.eof(c.peer)


# --- acknowledgements of the guest -------------------------------------------------------

@test("ACKs of every second segment, or 200 ms late: nothing is sent again",
      only=("stream", "tun"))
def delayed_acks(env, ip):
    c = env.connect(ip, mss=1000, ws=None, wnd=3000)
    c.peer.sendall(pattern(9500))
    equal(take(c, 9500, every=2, delay=0.2), pattern(9500), "data")


@test("one ACK for a whole window")
def stretched_acks(env, ip):
    c = env.connect(ip, mss=500, ws=None, wnd=20000)
    c.peer.sendall(pattern(60000))
    equal(take(c, 60000, every=40, delay=0.1), pattern(60000), "data")


@test("ACKs in the middle of a segment: it goes on right there")
def ack_inside(env, ip):
    c = env.connect(ip, mss=1000, ws=None, wnd=2000)
    c.peer.sendall(pattern(6000))
    while len(c.data) < 2000:
        check(c.next(), f"stalled at {len(c.data)}")
    c.send("A", ack=1501)		# so many were read
    while len(c.data) < 3500:
        p = c.next()
        check(p, f"stalled at {len(c.data)}")
        check(p.rel_seq >= 2001 or p.late, f"sent again: {p}")
    c.quiet("the window is full")
    c.send("A", ack=3334)
    while len(c.data) < 5333:
        check(c.next(), f"stalled at {len(c.data)}")
    c.quiet("the window is full")
    c.wnd = 3000
    c.send("A")
    equal(take(c, 6000), pattern(6000), "data")
    equal(c.bytes - c.twice, 6000, "bytes in all")


@test("a guest that acknowledges with data only")
def piggyback(env, ip):
    c = env.connect(ip)
    for i in range(30):
        c.peer.sendall(b"ping%02d" % i)
        c.expect("A", data=b"ping%02d" % i, skip=lambda p: not p.len)
        c.send("PA", b"pong%02d" % i)
        equal(env.recv(c.peer, 6), b"pong%02d" % i, "answer")
    equal(c.bytes - c.twice, 180, "bytes in all")


@test("one byte at a time, each after the ACK of the last: none of ours is delayed")
def nagle(env, ip):
    c = env.connect(ip)
    took = []
    for i in range(100):
        begin = time.monotonic()
        c.send("PA", b"k")
        c.expect("A", ack=2 + i)
        took.append(time.monotonic() - begin)
    check(sorted(took)[50] < 0.02, "most ACKs are delayed")
    equal(env.recv(c.peer, 100), b"k" * 100, "data")


@test("data without PSH is delivered and acknowledged as well")
def no_push(env, ip):
    c = env.connect(ip)
    c.send("A", b"no hurry")
    c.expect("A", ack=9)
    equal(env.recv(c.peer, 8), b"no hurry", "data")


@test("what the peer wrote ends with PSH, whatever its size")
def push(env, ip):
    c = env.connect(ip, mss=1000, ws=None, wnd=10000)
    for size in (1, 999, 1000, 1001, 5000, 10000):
        c.data.clear()
        c.peer.sendall(pattern(size))
        while len(c.data) < size:
            check(c.next(), f"stalled at {len(c.data)} of {size}")
        check(c.last.flags & PSH, f"{size} bytes end without PSH")
        c.send("A")


@test("old ACKs after new ones are ignored")
def ack_goes_back(env, ip):
    c = env.connect(ip, mss=1000)
    c.peer.sendall(pattern(5000))
    take(c, 5000)
    for ack in (1, 1001, 4999, 5001, 2001):
        c.send("A", ack=ack)
    c.quiet("nothing is sent again")
    c.peer.sendall(b"next")
    c.expect("A", seq=5001, data=b"next")


# --- data of the guest -------------------------------------------------------------------

@test("segments in reverse order, again and again: all arrive, each byte once")
def reversed_order(env, ip):
    c = env.connect(ip)
    data = pattern(5000)
    for _ in range(6):
        for at in range(4000, -1, -1000):
            c.send("A", data[at:at + 1000], seq=1 + at)
        c.drain()
        if c.acked == 5001:
            break
    equal(c.acked, 5001, "acknowledged")
    equal(env.recv(c.peer, 5000), data, "data")
    env.nothing(c.peer)


@test("each segment twice, in one batch and one by one: delivered once")
def twice(env, ip):
    c = env.connect(ip)
    data = pattern(6000)
    with env.daemon.paused():
        for at in range(0, 3000, 500):
            c.send("A", data[at:at + 500])
            c.send("A", data[at:at + 500], seq=1 + at)
    c.wait_ack(3001)
    for at in range(3000, 6000, 500):
        c.send("A", data[at:at + 500])
        c.send("A", data[at:at + 500], seq=1 + at)
    c.wait_ack(6001)
    equal(env.recv(c.peer, 6000), data, "data")
    env.nothing(c.peer)


@test("overlaps of every kind: what came first stays")
def overlaps(env, ip):
    c = env.connect(ip)
    c.send("A", b"0123456789")
    c.wait_ack(11)
    for seq, data in ((1, b"XXXXXXXXXX"), (3, b"XX"), (6, b"XXXXXab"), (-4, b"XXXXXX"),
                      (12, b"XcX"), (1, b"X" * 13), (13, b"Xdef")):
        c.send("A", data, seq=seq)
        c.drain()
    p = c.last
    equal(p.rel_ack, 17, "acknowledged")
    equal(env.recv(c.peer, 16), b"0123456789abcXef", "data")
    env.nothing(c.peer)


@test("overlapping segments in one batch, longer and longer, are joined")
def growing(env, ip):
    c = env.connect(ip)
    data = pattern(3000)
    with env.daemon.paused():
        for end in range(100, 3001, 100):
            c.send("A", data[max(0, end - 350):end], seq=1 + max(0, end - 350))
    c.wait_ack(3001)
    equal(env.recv(c.peer, 3000), data, "data")
    env.nothing(c.peer)


@test("urgent data: the pointer inside, behind, at the edge or far outside")
def urgent(env, ip):
    c = env.connect(ip)
    for i, pointer in enumerate((0, 1, 4, 5, 65535)):
        seg = frames.tcp(ip.guest, ip.peer, c.sport, c.dport, c.iss + 1 + 4 * i,
                         c.irs + 1, ACK | PSH | frames.URG, 65535, b"abcd")
        seg = frames.put16(frames.put16(seg, 18, pointer), 16, 0)
        sum16 = frames.l4csum(ip.guest, ip.peer, frames.TCP, seg)
        env.send_ip(ip.guest, ip.peer, frames.TCP, frames.put16(seg, 16, sum16))
        c.expect("A", ack=5 + 4 * i)
    equal(env.recv(c.peer, 20), b"abcd" * 5, "data")


@test("urgent data of the peer stands where it was written")
def urgent_in(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"before ")
    c.peer.send(b"!", socket.MSG_OOB)
    c.peer.sendall(b" after")
    equal(take(c, 14), b"before ! after", "data")


@test("urgent data of the peer, and its end right behind: nothing is cut off")
def urgent_end(env, ip):
    c = env.connect(ip)
    with env.daemon.paused():
        c.peer.sendall(b"before ")
        c.peer.send(b"!", socket.MSG_OOB)
        c.peer.sendall(b" after")
        c.peer.shutdown(socket.SHUT_WR)
    equal(take(c, 14), b"before ! after", "data")
    if not c.last.fin:
        c.expect("FA", seq=15)


@test("sequence numbers of the guest wrap in a SYN, in data and in a FIN")
def guest_wraps(env, ip):
    for iss, size in ((2**32 - 1, 10), (2**32 - 2, 10), (2**32 - 11, 10),
                      (2**32 - 12, 10), (2**32 - 3000, 9000)):
        c = env.connect(ip, iss=iss)
        data = pattern(size)
        c.send("A", data[5:700], seq=6)	# out of order, over the wrap
        c.expect("A", ack=1)
        put(c, data, 700)
        c.send("FA")
        c.wait_ack(size + 2)
        c.send("A", data[-1:], seq=size)
        c.expect("A", ack=size + 2)
        equal(env.recv(c.peer, size), data, "data")
        env.eof(c.peer)


@test("our sequence numbers wrap: 4 GiB are near, data goes on", only=("stream-64k",))
def ours_wrap(env, ip):
    srv = env.listen(ip, backlog=600)
    conns = [env.conn(ip, srv.getsockname()[1]) for _ in range(250)]
    for c in conns:
        c.send("S")
    for c in conns:
        c.expect("SA")
    c = max(conns, key=lambda c: c.irs)
    env.guest.send_many([o.frame("R", seq=1) for o in conns if o is not c])
    for o in conns:
        o.reset = o is not c
    left, total = 2**32 - c.irs, 0
    if left > 120 << 20:
        raise harness.Skip(f"the nearest begins {left} bytes before")
    c.send("A")
    c.send("PA", b"me")
    while True:
        c.peer = env.accept(srv)
        try:
            equal(env.recv(c.peer, 2), b"me", "name")
            break
        except OSError:			# reset
            continue
    c.wait_ack()
    c.link.verify, block = False, pattern(1 << 20)
    try:
        while total < left + 100000:
            c.data.clear()
            c.peer.sendall(block)
            equal(take(c, len(block), every=4) == block, True, "data is right")
            total += len(block)
    finally:
        c.link.verify = True
    check((c.irs + c.rcv) >> 32 == 1, "no wrap")
    c.peer.close()
    c.expect("FA")
    c.send("FA")
    c.expect("A", ack=c.nxt)


# --- the end -----------------------------------------------------------------------------

@test("a FIN that comes again, with data, without, and with less of it")
def fin_again(env, ip):
    c = env.connect(ip)
    c.send("PA", b"last ")
    c.send("FPA", b"words")
    c.wait_ack(12)
    c.drain()
    for seq, data in ((1, b"last words"), (6, b"words"), (10, b"s"), (11, b"")):
        c.send("FPA", data, seq=seq)
        c.expect("A", ack=12)
    equal(env.recv(c.peer, 10), b"last words", "data")
    env.eof(c.peer)
    c.peer.sendall(b"still")
    equal(take(c, 5), b"still", "data after it")


@test("a FIN behind a hole waits for what is missing")
def fin_behind_hole(env, ip):
    c = env.connect(ip)
    c.send("FPA", b"BBB", seq=4)
    c.expect("A", ack=1)
    c.send("PA", b"AAA")
    c.wait_ack(4)
    env.recv(c.peer, 3)
    env.nothing(c.peer)
    c.send("FPA", b"BBB")
    c.wait_ack(8)
    equal(env.recv(c.peer, 3), b"BBB", "data")
    env.eof(c.peer)


@test("a guest that closes with RST after its FIN resets the peer")
def fin_then_rst(env, ip):
    c = env.connect(ip)
    c.send("FPA", b"bye")
    c.wait_ack(5)
    equal(env.recv(c.peer, 3), b"bye", "data")
    env.eof(c.peer)
    c.send("RA")
    env.barrier()
    with_error = None
    try:				# it knows with the next word
        c.peer.sendall(b"x")
    except OSError as e:
        with_error = e.errno
    check(with_error in (errno.EPIPE, errno.ECONNRESET), f"error {with_error}")


@test("a guest that answers our FIN with RST resets the peer")
def fin_answered_by_rst(env, ip):
    c = env.connect(ip)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA", seq=1)
    c.send("RA", ack=2)
    equal(error_of(c.peer), errno.ECONNRESET, "the peer reads")
    c.quiet("no answer to a RST")


@test("a FIN that acknowledges only a part of our data does not end it")
def fin_partial_ack(env, ip):
    c = env.connect(ip, mss=1000)
    c.peer.sendall(pattern(3000))
    c.peer.shutdown(socket.SHUT_WR)
    while c.rcv < 3002:
        check(c.next(), f"stalled at {c.rcv}")
    c.send("FA", ack=1001)
    c.wait_ack(2)
    p = c.next(RTO)
    check(p and p.rel_seq == 1001, f"not resent from there: {p}")
    env.eof(c.peer)
    c.send("A", ack=3002)
    c.drain()
    c.send("A", b"x")			# it has ended now
    c.expect("R")


@test("the guest's last FIN, sent again after the end, is answered at once")
def last_fin_again(env, ip):
    c = env.connect(ip)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA", seq=1)
    c.send("FA", ack=2)
    c.expect("A", seq=2, ack=2)
    c.send("FA", seq=1, ack=2)		# our ACK was lost
    c.expect("A", seq=2, ack=2, soon=True)


@test("RST with text in it, and RST with a wrong ACK number, reset all the same")
def rst_with_data(env, ip):
    for flags, data, ack in (("R", b"go away", 0), ("RA", b"", 1 << 30),
                             ("RPAF", b"x", None)):
        c = env.connect(ip)
        c.send(flags, data, ack=ack)
        equal(error_of(c.peer), errno.ECONNRESET, "the peer reads")
        c.quiet("no answer to a RST")


@test("RST one byte before or behind what is expected does not reset")
def rst_off_by_one(env, ip):
    c = env.connect(ip)
    c.send("PA", b"hello")
    c.wait_ack(6)
    c.send("R", seq=5)
    c.quiet("before the window: ignored")
    c.send("R", seq=7)
    c.expect("A", seq=1, ack=6)
    c.send("PA", b"alive")
    c.wait_ack(11)
    equal(env.recv(c.peer, 10), b"helloalive", "data")


# --- half-open connections ---------------------------------------------------------------

def reboot(env, ip, c, srv):
    """The guest forgets c and connects from the same port (RFC 9293, 3.5.1)"""
    new = env.conn(ip, c.dport, sport=c.sport)
    c.reset = True
    new.send("S")
    p = env.guest.wait(new.mine)
    check(p and p.flags == ACK, f"no challenge: {p}")
    new.send("R", seq=(p.ack - new.iss) & 0xffffffff)
    new.link.clear()
    new.send("S", seq=0)
    new.expect("SA", ack=1, skip=lambda p: not p.flags & SYN)
    new.send("A")
    new.peer = env.accept(srv)
    new.send("PA", b"anew")
    equal(env.recv(new.peer, 4), b"anew", "data")


@test("a guest that rebooted while data was on its way to it")
def reboot_in_flight(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1]).open(srv)
    c.peer.sendall(b"lost")
    c.expect("A", data=b"lost")
    reboot(env, ip, c, srv)
    equal(error_of(c.peer), errno.ECONNRESET, "the first connection")


@test("a guest that rebooted after its FIN, and one after ours")
def reboot_half_closed(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1]).open(srv)
    c.send("FA")
    c.expect("A", ack=2)
    reboot(env, ip, c, srv)
    c = env.conn(ip, srv.getsockname()[1]).open(srv)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA", seq=1)
    c.send("A")
    reboot(env, ip, c, srv)


@test("a guest that rebooted in the middle of a handshake")
def reboot_handshake(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S")
    c.expect("SA", ack=1)
    env.accept(srv)
    reboot(env, ip, c, srv)


@test("a guest that rebooted while we connect: the new SYN is the one that is answered")
def reboot_connecting(env, ip):
    port = env.next_port()
    c = env.conn(ip, port, dst=ip.silent, mss=1000, ws=None)
    c.send("S")
    far = env.far_syn(ip, port)
    new = env.conn(ip, port, dst=ip.silent, sport=c.sport, mss=700, ws=2)
    new.send("S")
    c.quiet("the peer has not answered")
    c.reset = True
    far.send("SA")
    new.expect("SA", ack=1, ws=lambda n: n is not None)
    new.send("A")
    far.expect("A", ack=1)
    far.send("PA", pattern(1400))
    while len(new.data) < 1400:
        check(new.next(), f"stalled at {len(new.data)}")


@test("a guest that lost its connection answers data with RST: the peer is reset")
def forgot(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"anybody?")
    p = c.expect("A", len=8)
    c.send("R", seq=p.rel_ack)		# RFC 9293, 3.10.7.1
    equal(error_of(c.peer), errno.ECONNRESET, "the peer reads")


@test("SYNs in the window, at its edges and far from it: challenged, each of them")
def syn_anywhere(env, ip):
    c = env.connect(ip)
    c.send("PA", b"x")
    c.wait_ack(2)
    for flags in ("S", "SA"):
        for seq in (0, 1, 2, 3, 30000, 1 << 31, -1):
            c.send(flags, seq=seq)
            c.expect("A", seq=1, ack=2)
    c.send("PA", b"y")
    c.wait_ack(3)
    equal(env.recv(c.peer, 2), b"xy", "data")


# --- servers in the guest ----------------------------------------------------------------

@test("the SYN to the guest can be read by the oldest stack: MSS, scale, no data")
def syn_to_guest(env, ip):
    s = dial(env, ip)
    s.sendall(b"early")
    p = syn_for(env, s)
    equal((p.flags, p.len, p.ack), (SYN, 0, 0), "flags, data, acknowledgement")
    equal(p.tcp_opts, [2, 3], "options")
    equal(len(p.l4) % 4, 0, "length of the header")
    equal(p.l4[12] >> 4, len(p.l4) // 4, "data offset")
    check(p.wnd > 1000, f"window of {p.wnd}")


@test("SYN-ACKs with nothing, a small MSS, a closed window, ECN, a RST behind")
def syn_acks(env, ip):
    for flags, opts, kw in (("SA", b"", {}), ("SA", mss(200), {"mss": 200}),
                            ("SAE", mss(1000), {"mss": 1000}),
                            ("SAP", NOP * 4, {})):
        s = dial(env, ip)
        c = answering(env, ip, syn_for(env, s), wnd=5000, **kw)
        c.send(flags, opts=opts or EOL * 4)
        c.expect("A", seq=1, ack=1)
        s.sendall(pattern(2000))
        equal(take(c, 2000), pattern(2000), "data")
        c.send("RA")
        equal(error_of(s), errno.ECONNRESET, "the peer reads")


@test("a guest that still has an old connection there: RST, then the SYN again",
      only=("stream", "tun"))
def old_connection_of_guest(env, ip):
    s = dial(env, ip)
    p = syn_for(env, s)
    old = answering(env, ip, p)
    old.send("A", seq=777, ack=12345)	# challenges our SYN
    r = old.fresh()
    check(r and r.flags == RST and r.rel_seq == 12345, f"no RST for it: {r}")
    old.reset = True
    again = syn_for(env, s, RTO)
    equal(again.seq, p.seq, "the SYN comes again")
    c = answering(env, ip, again)
    c.send("SA")
    c.expect("A", ack=1)
    s.sendall(b"x")
    equal(take(c, 1), b"x", "data")


@test("a guest that refuses, by each form of RST that is allowed")
def refuses(env, ip):
    for seq in (0, 1, 0x7fffffff):
        s = dial(env, ip)
        c = answering(env, ip, syn_for(env, s), iss=0)
        c.send("RA", seq=seq, ack=1)
        equal(error_of(s), errno.ECONNRESET, "the peer reads")
        c.quiet("no answer to a RST")


@test("a guest that ends the connection right with its SYN-ACK's ACK")
def server_closes_first(env, ip):
    s = dial(env, ip)
    c = answering(env, ip, syn_for(env, s), wnd=1000)
    c.send("SA")
    c.expect("A", ack=1)
    c.send("FPA", b"220 busy")
    c.wait_ack(10)
    equal(env.recv(s, 8), b"220 busy", "data")
    env.eof(s)
    s.close()
    c.expect("FA", ack=10)
    c.send("A")
    c.quiet()


main()
