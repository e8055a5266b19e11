#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
TCP dialogues: the guest by hand, the peer a socket or, where its acknowledgements
matter, by hand, too.  Numbers are relative: the first byte of data is 1.
"""

import contextlib
import copy
import errno
import fcntl
import hashlib
import os
import random
import select
import socket
import struct
import tempfile
import time

import frames
from frames import ACK, RST, SYN
from harness import (IP4, IP6, OUR_LL, STREAMS, TIMEOUT, TRIES, Failed, check,
                     equal, main, test, wait_until)

RTO = 10.0			# surely after the first retransmission
SIOCOUTQ = 0x5411
LINGER_RST = struct.pack("ii", 1, 0)


def abort(sock):
    """close() that sends a RST"""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
    sock.close()


def peer_error(sock):
    try:
        sock.recv(1)
    except TimeoutError:
        return None
    except OSError as e:
        return e.errno
    return 0


def unacked(sock):
    """Bytes that its peer, the daemon's socket, has not acknowledged"""
    return struct.unpack("i", fcntl.ioctl(sock, SIOCOUTQ, bytes(4)))[0]


def pattern(size, seed=1):
    return random.Random(seed).randbytes(size)


def full_segments(env, ip, count):
    """As many bytes as count segments to the guest take, at most half a buffer"""
    return min(env.mss(ip), 16384) * count


# --- handshake ---------------------------------------------------------------------------

@test("handshake: MSS is that of the MTU, window scale, a window to start with")
def handshake(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S")
    p = c.expect("SA", ack=1, mss=env.mss(ip), ws=lambda ws: ws is not None)
    check(p.wnd >= 10000, f"window of {p.wnd} in the SYN-ACK")
    c.send("A")
    s = env.accept(srv)
    c.quiet("nothing follows a handshake")
    check(p.ttl >= 32, "TTL")
    equal(s.getsockname()[0], ip.peer, "destination")


@test("no window scale unless the guest offered one")
def no_ws(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], ws=None)
    c.handshake()
    equal(c.their_ws, None, "window scale")
    s = env.accept(srv)
    data = pattern(50000)
    c.write(data)
    equal(env.recv(s, len(data)), data, "data")


@test("without an MSS option, segments have the default size")
def no_mss(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], mss=0, ws=None).open(srv)
    c.peer.sendall(pattern(5000))
    c.read(5000)


@test("unknown and padding options in a SYN are skipped")
def odd_options(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], mss=700, ws=3)
    opts = (b"\x1e\x04ab" + b"\x01\x01" + b"\x02\x04" + struct.pack("!H", 700)
            + b"\x08\x0a" + bytes(8) + b"\x04\x02" + b"\x03\x03\x03" + b"\x00")
    c.send("S", opts=opts + bytes(-len(opts) % 4))
    c.expect("SA", ack=1)
    c.send("A")
    s = env.accept(srv)
    s.sendall(pattern(3000))
    c.read(3000)


@test("a SYN that offers ECN gets an answer without it")
def ecn(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("SEC")
    c.expect("SA", ack=1)
    c.send("A")
    s = env.accept(srv)
    c.send("PAC", b"x")
    c.expect("A", ack=2)
    equal(env.recv(s, 1), b"x", "data")


@test("broken options in a SYN do no harm")
def broken_options(env, ip):
    srv = env.listen(ip)
    for opts in (b"\x02\x00\x00\x00", b"\x02\x01\x01\x01", b"\x02\x05\x01\x01",
                 b"\x01\x01\x01\x02", b"\x03\x28\x01\x01", b"\x02\x04\x00\x00",
                 b"\x03\x03\xff\x00", b"\x02\x02\x02\x02"):
        c = env.conn(ip, srv.getsockname()[1], mss=0)
        c.send("S", opts=opts)
        c.expect("SA", ack=1)
        c.ws = None
        c.send("A")
        s = env.accept(srv)
        s.sendall(b"x" * 2000)
        c.send("PA", b"y")
        equal(env.recv(s, 1), b"y", "data")
        c.read(2000)


@test("a refused port is answered with RST at once")
def refused(env, ip):
    with env.listen(ip) as srv:
        port = srv.getsockname()[1]
    c = env.conn(ip, port)
    c.send("S")
    c.expect("RA", ack=1)
    c.quiet()
    took = []
    for _ in range(TRIES):
        c = env.conn(ip, port, sport=c.sport)
        begin = time.monotonic()
        c.send("S")
        c.expect("RA", ack=1)
        took.append(time.monotonic() - begin)
    check(min(took) < 0.5, f"not at once, but after {min(took):.3f} s")


@test("the gateway's address is the host's loopback")
def gateway(env, ip):
    srv = env.listen(ip, ip.loop)
    c = env.conn(ip, srv.getsockname()[1], dst=ip.gw).open(srv)
    c.send("PA", b"to loopback")
    equal(env.recv(c.peer, 11), b"to loopback", "data")
    c.peer.sendall(b"and back")
    equal(c.read(8), b"and back", "data")
    equal(c.peer.getpeername()[0], ip.loop, "source")


@test("a refused port behind the gateway's address is answered with RST")
def gateway_refused(env, ip):
    with env.listen(ip, ip.loop) as srv:
        port = srv.getsockname()[1]
    c = env.conn(ip, port, dst=ip.gw)
    c.send("S")
    c.expect("RA", ack=1)


@test("our link-local address is the host's loopback, too", ip=(IP6,))
def link_local(env, ip):
    srv = env.listen(ip, ip.loop)
    c = env.conn(ip, srv.getsockname()[1], dst=OUR_LL).open(srv)
    c.send("PA", b"x")
    equal(env.recv(c.peer, 1), b"x", "data")


@test("our link-local address from the guest's own link-local one", ip=(IP6,))
def from_link_local(env, ip):
    ip = copy.copy(ip)
    ip.guest = "fe80::5054:ff:fe12:3456"
    srv = env.listen(ip, ip.loop)
    c = env.conn(ip, srv.getsockname()[1], dst=OUR_LL).open(srv)
    c.send("PA", b"x")
    equal(env.recv(c.peer, 1), b"x", "data")
    c.peer.sendall(b"y")
    equal(c.read(1), b"y", "data")


@test("a SYN to broadcast, multicast or impossible addresses does no harm")
def odd_destinations(env, ip):
    for dst in (("255.255.255.255", "198.51.100.255", "224.0.0.1", "0.0.0.0", "240.0.0.1")
                if ip.version == 4 else ("ff02::1", "::", "ff05::2", "::ffff:127.0.0.1")):
        c = env.conn(ip, 80, dst=dst)
        c.send("S")
        env.barrier()
        p = c.link.find(c.mine)
        check(not p or p.flags & RST, f"answered: {p}")


@test("the host's loopback itself can't be reached")
def loopback_is_private(env, ip):
    srv = env.listen(ip, ip.loop)
    c = env.conn(ip, srv.getsockname()[1], dst=ip.loop)
    c.send("S")
    c.send("S")
    env.barrier()
    r, _, _ = select.select([srv], [], [], 0)
    check(not r, "connected")
    p = env.guest.find(c.mine)
    check(not p or p.flags & RST, f"answered: {p}")


@test("a peer that never answers: neither SYN-ACK nor RST from us")
def silent(env, ip):
    port = env.next_port()
    c = env.conn(ip, port, dst=ip.silent)
    c.send("S")
    env.far_syn(ip, port)
    c.quiet("there is no answer to pass on", 0.3)
    c.send("S", seq=0)
    c.quiet("there is still none")


@test("a SYN that comes again while connecting makes no second connection")
def syn_again_while_connecting(env, ip):
    port = env.next_port()
    c = env.conn(ip, port, dst=ip.silent)
    c.send("S")
    far = env.far_syn(ip, port)
    for _ in range(3):
        c.send("S", seq=0)
    c.quiet()
    far.send("SA")
    c.expect("SA", ack=1)
    c.quiet("one SYN-ACK is enough")
    env.net.poll(0)
    for p in env.net.pending:
        check(p.kind != "tcp" or p.dport != port or p.sport == far.dport,
              "second connection to the peer")
    c.send("A")
    far.expect("A", ack=1)


@test("a connection that is killed on request: RST to both ends, in any state")
def killed(env, ip):
    folder = tempfile.TemporaryDirectory(prefix="frame.")
    env.stack.callback(folder.cleanup)
    path = os.path.join(folder.name, "control")
    shared = env.guest
    env.stack.callback(lambda: setattr(env, "guest", shared))
    d = env.spawn("-c", path)
    env.stack.callback(d.stop)
    env.guest = d.link

    def kill(port):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.bind("")			# a client with a name speaks words
            s.connect(path)
            s.sendall(b"kill proto tcp port %d\n" % port)
            check(s.recv(4096) == b'{"ok":true,"killed":1}\n', "one flow is killed")

    c = env.conn(ip, env.next_port(), dst=ip.silent)
    c.send("S")
    env.far_syn(ip, c.dport)
    kill(c.dport)
    c.expect("RA", ack=1)
    c = env.connect(ip)
    c.peer.sendall(b"not acknowledged")
    c.expect("PA")
    kill(c.dport)
    c.expect("RA")
    check(peer_error(c.peer) == errno.ECONNRESET, "the peer gets a RST")
    c.send("PA", b"late")
    c.expect("R")
    c.quiet()


@test("a name server of the other family: data both ways, no route is told by ICMP")
def other_family(env, ip):
    other, fwd = (IP4, "2001:db8:5::53") if ip is IP6 else (IP6, "169.254.1.1")
    shared = env.guest
    env.stack.callback(lambda: setattr(env, "guest", shared))
    for host in (other.peer, other.denied):
        d = env.spawn("--dns-forward", fwd, "--dns-host", host)
        env.stack.callback(d.stop)
        env.guest = d.link
        c = env.conn(ip, 53, dst=fwd)
        if host == other.peer:
            with env.listen(other, port=53) as srv:
                c.open(srv)
            c.send("PA", b"question")
            equal(env.recv(c.peer, 8), b"question", "data from the guest")
            c.peer.sendall(pattern(30000))
            equal(c.read(30000), pattern(30000), "data to the guest")
            continue
        c.send("S")
        p = env.guest.wait(lambda p: p.kind == "icmp")
        check(p, "no ICMP error")
        equal((p.type, p.dst), (3 if ip.version == 4 else 1, ip.guest), "type, to")
        equal(struct.unpack_from("!HHI", p.data[ip.hdrlen:]), (c.sport, 53, c.iss),
              "quoted ports and sequence")


@test("a peer that refuses by hand is refused to the guest")
def far_refused(env, ip):
    port = env.next_port()
    c = env.conn(ip, port, dst=ip.silent)
    c.send("S")
    far = env.far_syn(ip, port)
    far.send("RA", seq=0)
    c.expect("RA", ack=1)


@test("no route: the guest gets an ICMP error that quotes its SYN")
def no_route(env, ip):
    c = env.conn(ip, 80, dst=ip.denied)
    c.send("S")
    p = env.guest.wait(lambda p: p.kind == "icmp")
    check(p, "no ICMP error")
    equal(p.type, 3 if ip.version == 4 else 1, "type")
    check(p.code in ((0, 1) if ip.version == 4 else (0, 3)), f"code {p.code}")
    equal(p.dst, ip.guest, "it goes to")
    quoted = p.data[ip.hdrlen:]
    sport, dport, seq = struct.unpack_from("!HHI", quoted)
    equal((sport, dport, seq), (c.sport, 80, c.iss), "quoted ports and sequence")
    if ip.version == 4:
        equal(frames.csum(p.data[:20]), 0, "checksum of the quoted header")
    c.quiet("nothing but the error")


@test("a retransmitted SYN is answered again, with the same numbers")
def syn_again(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S")
    first = c.expect("SA", ack=1)
    for _ in range(2):
        c.send("S", seq=0)
        p = c.expect("SA", ack=1)
        equal(p.seq, first.seq, "initial sequence number")
        equal((p.mss, p.ws), (first.mss, first.ws), "options")
    c.send("A")
    s = env.accept(srv)
    c.send("PA", b"hello")
    equal(env.recv(s, 5), b"hello", "data")


@test("a SYN-ACK without an answer is sent again")
def synack_again(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S")
    first = c.expect("SA", ack=1)
    p = c.expect("SA", ack=1, timeout=RTO)
    equal(p.seq, first.seq, "initial sequence number")
    c.send("A")
    c.open_peer = env.accept(srv)
    c.open_peer.sendall(b"x")
    equal(c.read(1), b"x", "data")


@test("a wrong acknowledgement of our SYN is reset, the right one still works")
def wrong_ack(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S")
    c.expect("SA", ack=1)
    c.send("A", ack=77)
    p = c.expect("R")
    equal(p.rel_seq, 77, "sequence number of the RST")
    c.reset = False
    c.send("A")
    s = env.accept(srv)
    c.send("PA", b"x")
    equal(env.recv(s, 1), b"x", "data")


@test("data with the third segment of the handshake is taken")
def data_with_ack(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S")
    c.expect("SA")
    c.send("PA", b"early")
    c.wait_ack(6)
    equal(env.recv(env.accept(srv), 5), b"early", "data")


@test("the guest's FIN with the third segment of the handshake is taken")
def fin_with_ack(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S")
    c.expect("SA")
    c.send("FPA", b"all")
    c.wait_ack(5)
    s = env.accept(srv)
    equal(env.recv(s, 3), b"all", "data")
    env.eof(s)
    s.sendall(b"reply")
    equal(c.read(5), b"reply", "data")


@test("data in a SYN is lost at most, not mistaken")
def data_in_syn(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S", b"fast", seq=0)
    p = c.expect("SA")
    check(p.rel_ack in (1, 5), f"acknowledged {p.rel_ack}")
    c.nxt = 1
    c.send("PA", b"fast open")
    equal(env.recv(env.accept(srv), 9), b"fast open", "data")
    c.wait_ack(10)


@test("what the peer sends before the guest completes the handshake is kept")
def early_peer_data(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1])
    c.send("S")
    c.expect("SA")
    s = env.accept(srv)
    s.sendall(b"banner")
    s.shutdown(socket.SHUT_WR)
    c.quiet("no data before the handshake is complete", 0.02)
    c.send("A")
    equal(c.read(6), b"banner", "data")
    if not c.last.fin:
        c.expect("FA", seq=7)


# --- data ------------------------------------------------------------------------------------

@test("data of the guest is delivered and acknowledged")
def data_out(env, ip):
    c = env.connect(ip)
    c.send("PA", b"hello")
    c.expect("A", seq=1, ack=6)
    equal(env.recv(c.peer, 5), b"hello", "data")
    c.quiet("one segment, one ACK")


@test("data of the peer is delivered once, in sequence")
def data_in(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"hello")
    c.expect("A", seq=1, ack=1, data=b"hello")
    c.send("A")
    c.quiet()
    c.peer.sendall(b"more")
    c.expect("A", seq=6, ack=1, data=b"more")
    c.send("A")
    c.quiet()


@test("data in both directions at once")
def data_both(env, ip):
    c = env.connect(ip)
    for i in range(20):
        c.peer.sendall(b"down%04d" % i)
        c.send("PA", b"up%04d" % i)
        c.read(8 * (i + 1))
    c.wait_ack()
    equal(env.recv(c.peer, 120), b"".join(b"up%04d" % i for i in range(20)), "up")
    equal(bytes(c.data), b"".join(b"down%04d" % i for i in range(20)), "down")


@test("a batch of segments gets one ACK, of all of them")
def one_ack(env, ip):
    c = env.connect(ip)
    with env.daemon.paused():
        c.send_all(pattern(10000), 1000)
    c.expect("A", ack=10001)
    c.quiet("one ACK for the batch")
    equal(env.recv(c.peer, 10000), pattern(10000), "data")


def ask_by(env, conns):
    """A request on each connection, all in one batch"""
    with env.daemon.paused():
        conns[0].link.send_many([c.frame("PA", b"ask") for c in conns])
    for c in conns:
        equal(env.recv(c.peer, 3), b"ask", "request")


@test("an answer that comes at once carries the ACK, where several flows are busy")
def ack_carried(env, ip):
    carried = 0
    for _ in range(20):			# the answers may be late: something else runs
        conns = [env.connect(ip) for _ in range(5)]
        ask_by(env, conns)
        for c in conns:
            c.peer.sendall(b"answer")
        for c in conns:
            first = c.expect("A")
            carried += len(first.data) == 6
            if not first.data:
                c.expect("A", data=b"answer")
            equal(c.acked, 4, "acknowledged")
            c.send("A")
        if carried:
            break
    check(carried, "no answer carried the ACK")


@test("without an answer, a request is acknowledged soon all the same, once")
def ack_alone(env, ip):
    conns = [env.connect(ip) for _ in range(5)]
    for i in range(3):
        ask_by(env, conns)
        for c in conns:
            c.expect("A", seq=1, ack=1 + 3 * (i + 1), len=0, timeout=1.0)
    for c in conns:
        c.quiet("one ACK for a request")


@test("200 tiny segments in a row: few ACKs, all data")
def tiny(env, ip):
    c = env.connect(ip)
    data = pattern(200)
    with env.daemon.paused():
        c.send_all(data, 1)
    c.wait_ack()
    c.drain()
    equal(env.recv(c.peer, 200), data, "data")
    check(c.count - 1 <= 16, f"{c.count - 1} ACKs")


@test("many small writes of the peer come in one segment")
def coalesce(env, ip):
    c = env.connect(ip)
    with env.daemon.paused():
        for i in range(100):
            c.peer.sendall(b"%02d" % i)
        wait_until(lambda: unacked(c.peer) == 0, "peer's data acknowledged")
    p = c.expect("A", len=200)
    equal(p.data, b"".join(b"%02d" % i for i in range(100)), "data")
    c.send("A")
    c.quiet()


@test("data out of order is not delivered; the ACK asks for what is missing")
def out_of_order(env, ip):
    c = env.connect(ip)
    c.send("A", b"BBBB", seq=5)
    c.expect("A", ack=1)
    c.send("A", b"CCCC", seq=9)
    c.expect("A", ack=1)
    env.nothing(c.peer)
    c.send("PA", b"AAAABBBBCCCC")
    c.wait_ack(13)
    equal(env.recv(c.peer, 12), b"AAAABBBBCCCC", "data")
    env.nothing(c.peer)


@test("a gap inside a batch: what is before is taken, what is after is not")
def gap(env, ip):
    c = env.connect(ip)
    with env.daemon.paused():
        c.send("A", b"AAAA")
        c.send("A", b"CCCC", seq=9)
        c.send("A", b"DDDD", seq=13)
    c.wait_ack(5)
    segs = c.drain()
    check(all(p.rel_ack == 5 for p in segs), "an ACK beyond the gap")
    c.send("A", b"BBBBCCCCDDDD")
    c.wait_ack(17)
    equal(env.recv(c.peer, 16), b"AAAABBBBCCCCDDDD", "data")


@test("segments of a batch in the wrong order never deliver wrong data")
def shuffled(env, ip):
    c = env.connect(ip)
    data = pattern(8000)
    parts = [(i, data[i:i + 1000]) for i in range(0, 8000, 1000)]
    with env.daemon.paused():
        for i, part in (parts[0], parts[2], parts[1], *parts[3:]):
            c.send("A", part, seq=1 + i)
    c.next()
    c.drain()
    at = c.acked
    check(at in (2001, 3001, 8001, 1001), f"acknowledged {at}")
    for i, part in parts:
        if i >= at - 1:
            c.send("A", part, seq=1 + i)
    c.nxt = 8001
    c.wait_ack()
    equal(env.recv(c.peer, 8000), data, "data")
    env.nothing(c.peer)


@test("what overlaps is delivered once")
def overlap(env, ip):
    c = env.connect(ip)
    c.send("A", b"0123456789")
    c.wait_ack(11)
    c.send("A", b"56789abcde", seq=6)
    c.wait_ack(16)
    c.send("A", b"0123456789abcdeX", seq=1)
    c.wait_ack(17)
    equal(env.recv(c.peer, 16), b"0123456789abcdeX", "data")
    env.nothing(c.peer)


@test("data that was delivered before is acknowledged, not delivered again")
def duplicate(env, ip):
    c = env.connect(ip)
    c.send("A", b"hello")
    c.wait_ack(6)
    c.send("A", b"hello", seq=1)
    c.expect("A", ack=6)
    equal(env.recv(c.peer, 5), b"hello", "data")
    env.nothing(c.peer)


@test("data without the ACK flag is ignored")
def no_ack_flag(env, ip):
    c = env.connect(ip)
    c.send("P", b"never", seq=1)
    c.send("", b"never", seq=1)
    c.quiet("no answer to what has no ACK")
    env.nothing(c.peer)
    c.send("PA", b"valid")
    c.wait_ack(6)
    equal(env.recv(c.peer, 5), b"valid", "data")


@test("an ACK of what was never sent is answered, its data is not taken")
def ack_of_future(env, ip):
    c = env.connect(ip)
    c.send("A", b"never", seq=1, ack=1000)
    c.expect("A", ack=1, seq=1)
    env.nothing(c.peer)
    c.send("PA", b"valid")
    c.wait_ack(6)
    equal(env.recv(c.peer, 5), b"valid", "data")


@test("an old ACK does no harm, and its data is taken")
def old_ack(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"0123456789")
    c.read(10)
    c.send("A", b"hello", ack=3)
    c.wait_ack(6)
    equal(env.recv(c.peer, 5), b"hello", "data")
    c.quiet("nothing is sent again")
    c.peer.sendall(b"next")
    c.expect("A", seq=11, data=b"next")


@test("urgent data is data")
def urgent(env, ip):
    c = env.connect(ip)
    c.send("UPA", b"now!")
    c.wait_ack(5)
    equal(env.recv(c.peer, 4), b"now!", "data")


@test("sequence numbers wrap: data, FIN and RST of the guest")
def wrap(env, ip):
    for iss in (2**32 - 1, 2**32 - 2, 2**32 - 1000, 2**31 - 500):
        c = env.connect(ip, iss=iss)
        data = pattern(5000)
        c.send_all(data[:3000], 700)
        c.wait_ack()
        c.send("A", data[2500:3700], seq=2501)
        c.nxt = 3701
        c.wait_ack()
        c.send("A", data[3700:])
        c.send("FA")
        c.wait_ack(5002)
        equal(env.recv(c.peer, 5000), data, "data")
        env.eof(c.peer)


@test("4 MB from the guest: nothing is refused inside the window")
def bulk_out(env, ip):
    c = env.connect(ip)
    data = pattern(4 << 20)
    size = min(c.their_mss, 32000)
    digest, got, edge = hashlib.sha256(), 0, c.edge
    while c.acked < len(data) + 1:
        room = min(c.edge - c.nxt, len(data) + 1 - c.nxt, 16 * size)
        if room > 0:
            c.send_all(data[c.nxt - 1:c.nxt - 1 + room], size)
        before = c.acked
        p = c.next(0 if room > 0 else TIMEOUT)
        if p:
            check(p.rel_ack >= before, "ACK goes back")
            check(p.rel_ack + p.window > edge - (1 << c.their_ws),
                  "the right edge moves left")
            edge = max(edge, p.rel_ack + p.window)
        elif room <= 0:
            raise Failed(f"stalled at {c.acked}")
        while select.select([c.peer], [], [], 0)[0]:
            part = c.peer.recv(1 << 20)
            digest.update(part)
            got += len(part)
    digest.update(env.recv(c.peer, len(data) - got))
    equal(digest.digest(), hashlib.sha256(data).digest(), "checksum")


@test("4 MB to the guest: each byte once, never over its window or MSS")
def bulk_in(env, ip):
    c = env.connect(ip, ws=7, wnd=65535)
    data = pattern(4 << 20)
    wnd = env.burst()
    c.wnd = wnd >> 7
    c.send("A")
    c.peer.setblocking(False)
    sent = 0
    while len(c.data) < len(data):
        with contextlib.suppress(BlockingIOError):
            while sent < len(data):
                sent += c.peer.send(data[sent:sent + (256 << 10)])
        before, acked = c.rcv, c.rcv
        p = c.next()
        check(p, f"stalled at {before}")
        n = 0
        while p:
            n += 1
            check(p.rel_seq == before or not p.len, f"{p.rel_seq} comes again or early")
            check(p.rel_seq + p.len <= acked + wnd, "over the window")
            before = c.rcv
            p = c.next(0) if n < 20 else None
        c.send("A")
    equal(bytes(c.data), data, "data")


@test("an unsegmented frame of the guest is taken", only=("tun",))
def gso_out(env, ip):
    c = env.connect(ip)
    data = pattern(40000)
    c.send_gso(data, 1400)
    c.wait_ack(40001)
    equal(env.recv(c.peer, 40000), data, "data")
    c.send_gso(data[1400:2800] + data, 1400, seq=38601)	# the first segment is old
    c.nxt = 80001
    c.drain()
    c.send_gso(data[:3000], 1400, flags="FPA", seq=c.acked)
    c.nxt = c.acked + 3001
    c.wait_ack()
    at = c.nxt - 3002 - 40000
    equal(env.recv(c.peer, at + 3000), (data[1400:2800] + data)[1400:1400 + at] +
          data[:3000], "data")
    env.eof(c.peer)


@test("a small MSS of the guest: unsegmented frames are cut to it")
def gso_in(env, ip):
    c = env.connect(ip, mss=1000)
    c.peer.sendall(pattern(30000))
    equal(c.read(30000), pattern(30000), "data")


# --- MSS ------------------------------------------------------------------------------------

@test("segments keep to the guest's MSS, however small")
def small_mss(env, ip):
    for mss in (88, 100, 536, 1220):
        c = env.connect(ip, mss=mss)
        c.peer.sendall(pattern(4000))
        c.read(4000)


@test("an absurd MSS does no harm")
def absurd_mss(env, ip):
    for mss in (1, 8, 65535):
        c = env.connect(ip, mss=mss)
        c.peer.sendall(pattern(3000))
        equal(c.read(3000), pattern(3000), "data")


@test("an MSS over the MTU is limited to it")
def large_mss(env, ip):
    c = env.connect(ip, mss=65000)
    data = pattern(full_segments(env, ip, 6))
    c.peer.sendall(data)
    equal(c.read(len(data)), data, "data")


# --- closing ---------------------------------------------------------------------------------

def gone(env, c):
    """The flow has ended: what the guest still says is answered with RST"""
    env.barrier()
    c.send("A", b"new", seq=c.nxt)
    p = c.expect("R")
    equal(p.rel_seq, c.rcv, "sequence number of the RST")


def closed(env, c):
    """It has ended in order: what was acknowledged is acknowledged again"""
    env.barrier()
    c.send("A", seq=c.nxt)
    c.send("FA", seq=c.nxt - 1)
    c.expect("A", seq=c.rcv, ack=c.nxt)
    gone(env, c)


@test("the guest closes first, then the peer")
def close_guest_first(env, ip):
    c = env.connect(ip)
    c.send("FA")
    c.expect("A", ack=2)
    env.eof(c.peer)
    c.peer.close()
    c.expect("FA", seq=1, ack=2)
    c.send("A")
    closed(env, c)


@test("the peer closes first, then the guest")
def close_peer_first(env, ip):
    c = env.connect(ip)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA", seq=1, ack=1)
    c.send("A")
    c.quiet()
    c.send("FA")
    c.expect("A", seq=2, ack=2)
    env.eof(c.peer)
    closed(env, c)


@test("half-close by the peer: the guest can still send")
def half_close_peer(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"request")
    c.peer.shutdown(socket.SHUT_WR)
    equal(c.read(7), b"request", "data")
    if not c.last.fin:
        c.expect("FA", seq=8)
    c.send("A")
    data = pattern(200000)
    got = b""
    for i in range(0, len(data), 20000):
        c.write(data[i:i + 20000])
        got += env.recv(c.peer, 20000)
    equal(got, data, "data")
    c.send("FA")
    c.wait_ack()
    env.eof(c.peer)


@test("half-close by the guest: the peer can still send")
def half_close_guest(env, ip):
    c = env.connect(ip)
    c.send("PA", b"request")
    c.send("FA")
    c.wait_ack(9)
    equal(env.recv(c.peer, 7), b"request", "data")
    env.eof(c.peer)
    data = pattern(300000)
    c.peer.setblocking(False)
    sent = 0
    while len(c.data) < len(data):
        with contextlib.suppress(BlockingIOError):
            sent += c.peer.send(data[sent:])
        c.read(min(sent, len(c.data) + 1))
    equal(bytes(c.data), data, "data")
    c.peer.close()
    c.expect("FA", ack=9)
    c.send("A")
    closed(env, c)


@test("both close at the same time")
def simultaneous_close(env, ip):
    c = env.connect(ip)
    with env.daemon.paused():
        c.peer.shutdown(socket.SHUT_WR)
        c.send("FA")
    fin = acked = False
    while not (fin and acked):
        p = c.next()
        check(p, f"FIN {fin}, acknowledged {acked}")
        fin |= p.fin
        acked |= p.rel_ack == 2
    c.send("A")
    env.eof(c.peer)
    closed(env, c)


@test("both close at the same time, and neither FIN is acknowledged by the other")
def crossing_fins(env, ip):
    c = env.connect(ip)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA", seq=1)
    c.send("FA", ack=1)			# sent before ours came
    c.expect("A", ack=2)
    c.send("A", ack=2)
    env.eof(c.peer)
    closed(env, c)


@test("data and FIN in one segment of the guest")
def data_and_fin(env, ip):
    c = env.connect(ip)
    c.send("FPA", b"last words")
    c.wait_ack(12)
    equal(env.recv(c.peer, 10), b"last words", "data")
    env.eof(c.peer)


@test("a FIN beyond the expected sequence number is not accepted")
def fin_beyond(env, ip):
    c = env.connect(ip)
    c.send("FA", b"tail", seq=11)
    c.expect("A", ack=1)
    c.send("FA", seq=15)
    c.expect("A", ack=1)
    env.nothing(c.peer)
    c.send("PA", b"0123456789")
    c.wait_ack(11)
    equal(env.recv(c.peer, 10), b"0123456789", "data")
    env.nothing(c.peer)
    c.send("FPA", b"tail")
    c.wait_ack(16)
    equal(env.recv(c.peer, 4), b"tail", "data")
    env.eof(c.peer)


@test("a lost FIN of ours is sent again")
def fin_again(env, ip):
    c = env.connect(ip)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA", seq=1)
    c.expect("FA", seq=1, timeout=RTO)
    c.send("A", ack=2)
    c.quiet()


@test("a lost tail with its FIN is sent again, in order")
def tail_again(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"tail")
    c.peer.shutdown(socket.SHUT_WR)
    c.read(4, ack=False)
    if not c.last.fin:
        c.expect("FA", seq=5)
    p = c.next(RTO)
    check(p and p.rel_seq == 1 and p.data == b"tail", f"not the data again: {p}")
    if not p.fin:
        c.expect("FA", seq=5)
    c.send("A", ack=5)			# the data came, its FIN did not
    p = c.expect("FA", seq=5, timeout=RTO)
    c.send("A", ack=6)
    c.quiet()


@test("a FIN of the guest that comes again is acknowledged again")
def fin_retransmitted(env, ip):
    c = env.connect(ip)
    c.send("FPA", b"bye")
    c.wait_ack(5)
    c.drain()
    c.send("FPA", b"bye", seq=1)
    c.expect("A", ack=5)
    c.send("FA", seq=4)
    c.expect("A", ack=5)
    equal(env.recv(c.peer, 3), b"bye", "data")
    env.eof(c.peer)


@test("our last ACK is lost: the guest's tail and FIN are acknowledged again")
def last_ack_lost(env, ip):
    srv = env.listen(ip)
    port = srv.getsockname()[1]
    c = env.conn(ip, port).open(srv)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA", seq=1)
    c.send("A", ack=2)
    c.send("PA", b"tail")
    c.send("FA")
    c.wait_ack(6)
    equal(env.recv(c.peer, 4), b"tail", "data")
    env.eof(c.peer)
    env.barrier()			# the flow has ended
    c.drain()
    c.send("PA", b"tail", seq=1)
    c.expect("A", seq=2, ack=6)
    c.send("FA", seq=5)
    c.expect("A", seq=2, ack=6)
    again = env.conn(ip, port, sport=c.sport).open(srv)
    again.send("PA", b"another connection")
    equal(env.recv(again.peer, 18), b"another connection", "data")


@test("a guest put back to a state before the end is reset, and no ACKs go to and fro")
def put_back(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"before")
    c.read(6)
    then = c.nxt, c.rcv
    c.peer.sendall(b"after")
    c.read(11)
    c.send("PA", b"after")
    c.wait_ack()
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA")
    c.send("FA")
    c.expect("A", ack=c.nxt)
    env.barrier()			# the flow has ended
    c.nxt, c.rcv = then
    c.send("A")				# as to an ACK of what it has not sent yet
    c.expect("R", seq=c.rcv)
    c.send("PA", b"else")
    c.expect("R", seq=c.rcv)


@test("no room for the last ACK: it comes when there is", only=STREAMS)
def last_ack_late(env, ip):
    last = env.connect(ip)
    last.peer.shutdown(socket.SHUT_WR)
    last.expect("FA", seq=1)
    last.send("A", ack=2)
    conns = [env.connect(ip) for _ in range(40)]
    for c in conns:
        c.peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            c.peer.send(pattern(60000))
    stray = env.conn(ip, 9)
    env.guest.send_many([stray.frame("A", b"", ack=1)] * 1000)	# RSTs take what is left
    last.send("FA")
    env.eof(last.peer)
    for c in conns:
        equal(c.read(60000), pattern(60000), "data")
    last.expect("A", ack=2)


@test("data of the guest after its FIN is not delivered")
def data_after_fin(env, ip):
    c = env.connect(ip)
    c.send("FA")
    c.expect("A", ack=2)
    c.send("PA", b"zombie")
    p = c.next()
    check(p and (p.flags & RST or p.rel_ack == 2), f"got {p}")
    env.eof(c.peer)


@test("FIN behind a closed window: after the data, once it opens")
def fin_zero_window(env, ip):
    c = env.connect(ip)
    c.wnd = 0
    c.send("A")
    env.barrier()
    c.peer.sendall(b"0123456789")
    c.peer.shutdown(socket.SHUT_WR)
    c.quiet("neither data nor FIN into a closed window", 0.05)
    c.wnd = 500
    c.send("A")
    equal(c.read(10), b"0123456789", "data")
    if not c.last.fin:
        c.expect("FA", seq=11)
    c.send("A")
    c.quiet()


@test("FIN waits for the data that the window holds back")
def fin_behind_data(env, ip):
    c = env.connect(ip, ws=None, wnd=1000)
    c.peer.sendall(pattern(5000))
    c.peer.shutdown(socket.SHUT_WR)
    fin = False
    while not fin:
        p = c.next()
        check(p, f"stalled at {c.rcv}")
        fin = p.fin
        check(not fin or c.rcv == 5002, f"FIN at {p.rel_seq + p.len}")
        c.send("A")
    equal(bytes(c.data), pattern(5000), "data")


@test("after the guest's FIN its window is still followed, losses are resent")
def half_closed_window(env, ip):
    c = env.connect(ip, ws=None, wnd=2000)
    c.send("FA")
    c.expect("A", ack=2)
    c.peer.sendall(pattern(6000))
    while c.rcv < 2001:
        check(c.next(), f"only {c.rcv}")
    c.quiet("the window is full")
    c.send("A", ack=2001, wnd=0)
    c.quiet("the window is closed")
    c.send("A", ack=2001, wnd=1000)
    while c.rcv < 3001:
        check(c.next(), f"only {c.rcv}")
    c.quiet("the window is full")
    p = None				# never acknowledged: comes again
    while not p or not p.len:
        p = c.next(RTO)
        check(p, "not sent again")
    equal(p.rel_seq, 2001, "sent again from")
    c.wnd = 10000
    c.send("A")
    equal(c.read(6000), pattern(6000), "data")


# --- RST --------------------------------------------------------------------------------------

@test("a RST of the peer is a RST for the guest, not a FIN")
def rst_from_peer(env, ip):
    c = env.connect(ip)
    c.send("PA", b"x")
    c.wait_ack(2)
    abort(c.peer)
    p = c.next()
    check(p and p.flags & RST, f"got {p}")
    equal((p.rel_seq, p.rel_ack), (1, 2), "numbers")
    c.quiet("nothing after a RST")


@test("a RST of the peer ends a half-closed connection")
def rst_half_closed(env, ip):
    c = env.connect(ip)
    c.send("FA")
    c.expect("A", ack=2)
    env.eof(c.peer)
    abort(c.peer)
    p = c.next()
    check(p and p.flags & RST, f"got {p}")
    c = env.connect(ip)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA")
    c.send("A")
    env.barrier()
    abort(c.peer)
    p = c.fresh()
    check(p and p.flags & RST and p.rel_seq == 2, f"got {p}")


@test("close with unread data is a RST for the guest")
def rst_unread(env, ip):
    c = env.connect(ip)
    c.send("PA", b"never read")
    c.wait_ack(11)
    wait_until(lambda: select.select([c.peer], [], [], 0)[0], "data at the peer")
    c.peer.close()
    p = c.next()
    check(p and p.flags & RST, f"got {p}")


@test("an answer and a RST of the peer, while the guest sends on: the answer comes first")
def answer_then_rst(env, ip):
    c = env.connect(ip)
    with env.daemon.paused():
        c.peer.sendall(b"too large")
        abort(c.peer)
        for _ in range(4):
            c.send("PA", b"upload")
    c.read(9)
    equal(bytes(c.data), b"too large", "the answer")
    p = c.next()
    while p and not p.flags & RST:
        check(not p.fin, "a FIN before the RST")
        p = c.next()
    check(p and p.rel_seq == 10, f"no RST behind the answer: {p}")


@test("a guest with a closed window gets what the peer sent before its RST, once it opens")
def rst_waits_for_window(env, ip):
    c = env.connect(ip)
    c.send("A", wnd=0)
    env.barrier()
    c.peer.sendall(b"a" * 5000)
    abort(c.peer)
    env.barrier()
    p = c.next(0.2)
    check(not p or not p.flags & RST, f"RST before the data: {p}")
    c.send("A")
    c.read(5000)
    p = c.next()
    while p and not p.flags & RST:
        p = c.next()
    check(p and p.rel_seq == 5001, f"no RST behind the data: {p}")


@test("the guest's data and its RST in one batch: the peer reads the data first")
def data_and_guest_rst(env, ip):
    c = env.connect(ip)
    c.link.send_many([c.frame("PA", b"last words"), c.frame("R")])
    equal(env.recv(c.peer, 10), b"last words", "data")
    try:
        c.peer.recv(1)
        raise Failed("no reset for the peer")
    except ConnectionResetError:
        pass


@test("what the socket has not sent when the guest resets is sent before the RST")
def unsent_and_guest_rst(env, ip):
    c = env.connect(ip)
    size, sent = 60000, 0
    while sent < 3000000 and c.edge - c.nxt > size:
        c.send_all(pattern(size), c.their_mss and min(c.their_mss, 1400))
        sent += size
        c.wait_ack()
    check(sent > 500000, f"only {sent} bytes went into the socket")
    c.send("R")
    got = 0
    try:
        while True:
            n = len(c.peer.recv(65536))
            check(n, "the end, no reset")
            got += n
    except ConnectionResetError:
        pass
    equal(got, sent, "bytes before the reset")


@test("data, then a RST of the peer: never a FIN")
def data_then_rst(env, ip):
    c = env.connect(ip)
    with env.daemon.paused():
        c.peer.sendall(b"some data")
        abort(c.peer)
    while True:
        p = c.next()
        check(p, "no RST")
        check(not p.fin, "a FIN before the RST")
        if p.flags & RST:
            break


@test("RST of the guest with exactly the next number resets the peer")
def rst_exact(env, ip):
    c = env.connect(ip)
    c.send("PA", b"x")
    c.wait_ack(2)
    env.recv(c.peer, 1)
    c.send("R")
    equal(peer_error(c.peer), errno.ECONNRESET, "peer's error")
    c.quiet("no answer to a RST")
    gone(env, c)


@test("RST elsewhere in the window is challenged, the connection lives")
def rst_in_window(env, ip):
    c = env.connect(ip)
    c.send("R", seq=100)
    c.expect("A", seq=1, ack=1)
    c.send("PA", b"alive")
    c.wait_ack(6)
    equal(env.recv(c.peer, 5), b"alive", "data")


@test("RST outside the window is ignored")
def rst_out_of_window(env, ip):
    c = env.connect(ip)
    c.send("R", seq=(1 << 30))
    c.send("R", seq=-5000)
    c.quiet("no answer to a blind RST")
    c.send("PA", b"alive")
    c.wait_ack(6)
    equal(env.recv(c.peer, 5), b"alive", "data")


@test("RST while connecting ends the attempt")
def rst_connecting(env, ip):
    port = env.next_port()
    c = env.conn(ip, port, dst=ip.silent)
    c.send("S")
    far = env.far_syn(ip, port)
    c.send("R")
    c.quiet()
    far.send("SA")
    p = far.fresh()
    check(p and p.flags & RST, f"the attempt goes on: {p}")
    c.quiet("it was given up")


@test("a SYN right behind a RST, in the same batch, is a new connection")
def rst_then_syn(env, ip):
    srv = env.listen(ip)
    port = srv.getsockname()[1]
    c = env.conn(ip, port).open(srv)
    new = env.conn(ip, port, sport=c.sport)
    with env.daemon.paused():
        env.guest.send_many([c.frame("R"), new.frame("S")])
    new.expect("SA", ack=1)
    new.send("A")
    new.peer = env.accept(srv)
    equal(peer_error(c.peer), errno.ECONNRESET, "first connection")
    new.send("PA", b"second")
    equal(env.recv(new.peer, 6), b"second", "data")
    c.reset = True


@test("a SYN right behind the last ACK, in the same batch, is a new connection")
def fin_then_syn(env, ip):
    srv = env.listen(ip)
    port = srv.getsockname()[1]
    c = env.conn(ip, port).open(srv)
    c.send("FA")
    c.expect("A", ack=2)
    c.peer.close()
    c.expect("FA", seq=1)
    new = env.conn(ip, port, sport=c.sport, iss=(c.iss + 100000) & 0xffffffff)
    with env.daemon.paused():
        env.guest.send_many([c.frame("A"), new.frame("S")])
    p = new.next()
    if p and not p.flags & SYN:		# not done at the time: the guest tries again
        new.send("S", seq=0)
        p = new.next()
    check(p and p.flags & SYN and p.rel_ack == 1, f"got {p}")
    new.send("A")
    new.peer = env.accept(srv)
    new.send("PA", b"second")
    equal(env.recv(new.peer, 6), b"second", "data")
    c.reset = True


@test("a SYN on an established connection is challenged, not a reset")
def syn_established(env, ip):
    c = env.connect(ip)
    c.send("PA", b"x")
    c.wait_ack(2)
    c.send("S", seq=0)
    c.expect("A", seq=1, ack=2)
    c.send("S", seq=50000)
    c.expect("A", seq=1, ack=2)
    c.send("PA", b"y")
    c.wait_ack(3)
    equal(env.recv(c.peer, 2), b"xy", "data")


@test("a guest that forgot its connection can use the port again")
def rebooted(env, ip):
    srv = env.listen(ip)
    port = srv.getsockname()[1]
    c = env.conn(ip, port).open(srv)
    c.send("PA", b"before")
    c.wait_ack(7)
    new = env.conn(ip, port, sport=c.sport)
    new.send("S")
    p = env.guest.wait(new.mine)
    check(p and p.flags == frames.ACK, f"no challenge: {p}")
    # RFC 9293, 3.10.7.3: the RST has the number of the ACK
    new.send("R", seq=(p.ack - new.iss) & 0xffffffff)
    env.recv(c.peer, 6)
    equal(peer_error(c.peer), errno.ECONNRESET, "first connection")
    c.reset = True
    new.send("S", seq=0)
    new.expect("SA", ack=1)
    new.send("A")
    env.accept(srv)


@test("a segment without a connection gets a RST with the right numbers")
def unknown(env, ip):
    srv = env.listen(ip)
    port = srv.getsockname()[1]

    def stray(flags, data=b"", **kw):
        c = env.conn(ip, port, iss=1000)
        c.irs = 0
        c.send(flags, data, seq=1, **kw)
        return c

    stray("A", ack=5000).expect("R", seq=5000)
    stray("PA", b"hello", ack=5000).expect("R", seq=5000)
    stray("FA", ack=5000).expect("R", seq=5000)
    stray("SA", ack=5000).expect("R", seq=5000)
    stray("P", b"hello").expect("RA", seq=0, ack=6)
    stray("F").expect("RA", seq=0, ack=2)
    stray("F", b"hello").expect("RA", seq=0, ack=7)
    c = stray("R")
    stray("RA", ack=5000)
    c.quiet("no answer to a RST")


# --- the guest's window ---------------------------------------------------------------------

@test("the guest's window limits what is in flight, its ACK lets more go")
def guest_window(env, ip):
    c = env.connect(ip, ws=None, wnd=3000)
    c.peer.sendall(pattern(9000))
    for edge in (3000, 6000, 9000):
        while len(c.data) < edge:
            check(c.next(), f"stalled at {len(c.data)}, window ends at {edge}")
        c.quiet("the window is full")
        c.send("A")
    equal(bytes(c.data), pattern(9000), "data")


@test("a window that stays tiny lets all data through, bit by bit")
def tiny_window(env, ip):
    c = env.connect(ip)
    c.ws, c.their_ws = None, None
    c.send("A", wnd=2)			# scaled by 7: 256 bytes
    env.barrier()
    c.peer.sendall(pattern(3000))
    edge = 256
    while len(c.data) < 3000:
        p = c.next(RTO)
        check(p, f"stalled at {len(c.data)}")
        check(len(c.data) <= edge, f"{len(c.data)} bytes, the window ends at {edge}")
        c.send("A", wnd=2)
        edge = len(c.data) + 256
    equal(bytes(c.data), pattern(3000), "data")


@test("the guest's window scale is used, and not for its SYN")
def guest_scale(env, ip):
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], ws=3)
    c.send("S", wnd=500)
    c.expect("SA", ack=1)
    c.wnd = 1000
    c.send("A")
    s = env.accept(srv)
    s.sendall(pattern(20000))
    while len(c.data) < 8000:
        check(c.next(), f"stalled at {len(c.data)}")
    c.quiet("8000 bytes is what the window allows")
    equal(len(c.data), 8000, "bytes in flight")
    c.wnd = 2000
    c.send("A")
    c.read(20000)


@test("a closed window: no data, a probe; an update lets data flow")
def zero_window(env, ip):
    c = env.connect(ip)
    c.send("A", wnd=0)
    env.barrier()
    c.peer.sendall(b"patience")
    c.quiet("the window is closed", 0.05)
    p = c.next(RTO)
    check(p, "no probe")
    check(p.len <= 1, f"more than a probe: {p}")
    check(p.rel_seq in (0, 1), f"probe at {p.rel_seq}")
    c.data.clear()
    c.rcv = 1
    c.send("A", wnd=0)
    c.send("A")
    while c.rcv < 9:
        p = c.next(RTO)
        check(p, "no data after the update")
    equal(bytes(c.data), b"patience", "data")
    c.send("A")
    c.quiet()


@test("a window update that opens a closed window resumes at once")
def window_update(env, ip):
    c = env.connect(ip)
    c.send("A", wnd=0)
    env.barrier()
    c.peer.sendall(b"patience")
    c.quiet("the window is closed", 0.02)
    c.send("A")
    c.expect("A", data=b"patience", soon=True)


@test("the window shrinks to 0 with data in flight: not a loss, resent from there")
def shrink(env, ip):
    c = env.connect(ip, ws=None, wnd=4000)
    c.peer.sendall(pattern(6000))
    while len(c.data) < 4000:
        check(c.next(), f"stalled at {len(c.data)}")
    c.rcv = 1001			# only that was taken
    del c.data[1000:]
    c.send("A", wnd=0)
    c.quiet("closed", 0.05)
    p = c.next(RTO)
    check(p and p.len <= 1, f"not a probe: {p}")
    c.rcv = 1001
    del c.data[1000:]
    c.send("A", wnd=0)
    c.wnd = 6000
    c.send("A", wnd=6000)
    p = c.soon()
    check(p and p.rel_seq == 1001, f"not at once, or not from there: {p}")
    equal(c.read(6000), pattern(6000), "data")


@test("a keep-alive of the guest is answered with the current window")
def keepalive(env, ip):
    c = env.connect(ip)
    c.send("PA", b"x")
    c.wait_ack(2)
    c.drain()
    for data in (b"", b"\0"):
        c.send("A", data, seq=c.nxt - 1)
        p = c.expect("A", seq=1, ack=2)
        check(p.window >= 10000, f"window of {p.window}")
    c.quiet()


@test("no storm: pure ACKs of the guest are not answered")
def no_storm(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"hello")
    c.read(5)
    for _ in range(50):
        c.send("A")
    c.quiet("no answer to an ACK")


# --- losses towards the guest -----------------------------------------------------------------

@test("what the guest does not acknowledge is sent again, later and later")
def retransmit(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"lost")
    p = c.expect("A", seq=1, data=b"lost")
    q = c.expect("A", seq=1, data=b"lost", timeout=RTO)
    least, most = q.after - p.at, q.at - p.after	# who is asleep can't tell
    check(most > 0.15 and least < 1.2, f"first retransmission after {most:.3f} s")
    p = c.expect("A", seq=1, data=b"lost", timeout=RTO)
    second = p.at - q.after
    check(second > 1.5 * least, f"second one {second:.3f} s after the first")
    c.send("A")
    c.quiet()
    c.peer.sendall(b"next")
    c.expect("A", seq=5, data=b"next")


@test("three duplicate ACKs: resent once, at once")
def fast_retransmit(env, ip):
    c = env.connect(ip, mss=1000)
    c.peer.sendall(pattern(8000))
    while len(c.data) < 8000:
        check(c.next(), f"stalled at {len(c.data)}")
    for _ in range(1 + 3):
        c.send("A", ack=2001)
    p = c.soon()
    check(p and p.rel_seq == 2001, f"not resent at once from 2001: {p}")
    for _ in range(5):
        c.send("A", ack=2001)
    segs = c.drain()
    seen = [q.rel_seq for q in segs if not q.late]
    check(2001 not in seen, "resent twice")
    check(len(seen) == len(set(seen)), f"something is resent twice: {seen}")
    c.send("A", ack=8001)
    c.quiet()


@test("an ACK of a part, after a retransmission, goes on from there")
def partial_ack(env, ip):
    c = env.connect(ip, mss=1000)
    c.peer.sendall(pattern(5000))
    while len(c.data) < 5000:
        check(c.next(), f"stalled at {len(c.data)}")
    p = c.next(RTO)
    check(p and p.rel_seq == 1, f"not resent: {p}")
    c.drain()
    c.send("A", ack=3001)
    end = 3001
    while end < 5001:
        p = c.next(RTO)
        check(p, f"not resent from {end}")
        if p.rel_seq <= end:
            end = max(end, p.rel_seq + p.len)
    c.send("A", ack=5001)
    c.quiet()


@test("two duplicate ACKs resend nothing")
def two_dupacks(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"hello")
    c.expect("A", data=b"hello")
    c.send("A", ack=1)
    c.send("A", ack=1)
    c.quiet("nothing is resent yet")
    c.send("A")


@test("new data of the peer after a retransmission keeps its order")
def data_during_recovery(env, ip):
    c = env.connect(ip)
    c.peer.sendall(b"one ")
    c.expect("A", data=b"one ")
    c.expect("A", seq=1, timeout=RTO)
    c.peer.sendall(b"two ")
    c.send("A", ack=1)
    data = bytearray()
    while len(data) < 8:
        p = c.next(RTO)
        check(p, f"only {bytes(data)}")
        if p.rel_seq <= 1 + len(data):
            data += p.data[1 + len(data) - p.rel_seq:]
    equal(bytes(data), b"one two ", "data")
    c.rcv = 9
    c.send("A")
    c.quiet()


# --- our window ----------------------------------------------------------------------------

@test("slow peer: the window closes in whole steps, probes are answered, it reopens")
def slow_peer(env, ip):
    c = env.connect(ip)
    size, unit = min(c.their_mss, 16384), 1 << c.their_ws
    least = min(c.their_mss, 1460) - unit
    data, edge, closed = pattern(32 << 20), c.edge, False
    while not closed:			# as much as is allowed, nobody reads
        room = min(c.edge - c.nxt, 16 * size)
        if room > 0:
            c.send_all(data[c.nxt - 1:c.nxt - 1 + room], size)
        p = c.next(0)
        if not p and room <= 0:
            env.barrier(pause=0.05)
            p = c.next(0)
        if not p and room <= 0:
            equal(c.acked, c.nxt, "acknowledged")
            c.send("A", data[c.nxt - 2:c.nxt - 1], seq=c.nxt - 1)
            p = c.expect("A", ack=c.nxt)
            closed = not p.window
        if p:
            now = p.rel_ack + p.window
            check(now > edge - unit, f"the right edge moves left, to {now} from {edge}")
            check(now < edge + unit or now - edge >= least,
                  f"the window opens by {now - edge} bytes only")
            edge = max(edge, now)
        check(c.nxt < len(data), "the window never closes")
    end = c.nxt
    c.send("A", data[end - 1:end])
    p = c.expect("A", ack=lambda ack: ack in (end, end + 1))
    end = p.rel_ack
    check(env.recv(c.peer, end - 1) == data[:end - 1], "data differs")
    c.expect("A", ack=end, window=lambda w: w >= least)


@test("all that the window allows is taken, and delivered in the end")
def fill_window(env, ip):
    c = env.connect(ip)
    size = min(c.their_mss, 16384)
    data = pattern(2 << 20)
    while c.nxt < len(data):
        room = min(c.edge - c.nxt, len(data) + 1 - c.nxt)
        if room <= 0:
            if not c.next(0):
                env.barrier(pause=0.05)
                if not c.next(0):
                    break
            continue
        c.send_all(data[c.nxt - 1:c.nxt - 1 + room], size)
    end = c.nxt				# never sent again
    got = bytearray()
    while len(got) < end - 1:
        try:
            got += c.peer.recv(1 << 20)
        except TimeoutError:
            raise Failed(f"only {len(got)} of {end - 1} bytes are delivered") from None
    equal(bytes(got), data[:end - 1], "data")
    c.wait_ack(end)


@test("data beyond the window is cut off")
def beyond_window(env, ip):
    c = env.connect(ip, ws=None)
    wide = c.edge - 1
    data = pattern(wide + 300000)
    size = min(c.their_mss, 16384)
    with env.daemon.paused():
        for i in range(0, wide + 2 * size, size):
            c.send("A", data[i:i + size])
    c.next()
    c.drain()
    check(c.acked <= c.nxt, "acknowledged what was not sent")
    n = c.acked - 1
    if n:
        equal(env.recv(c.peer, n) == data[:n], True, "data is right")
    env.nothing(c.peer)


# --- a peer far away -----------------------------------------------------------------------

@test("far peer: the guest's data is acknowledged once the peer has")
def far_ack(env, ip):
    g, f = env.far_connect(ip)
    g.send("PA", pattern(1000))
    f.read(1000, ack=False)
    g.quiet("the peer has not acknowledged", 0.05)
    f.send("A")
    g.expect("A", ack=1001)


@test("far peer: an ACK of a part is passed on as such")
def far_partial(env, ip):
    g, f = env.far_connect(ip)
    g.send_all(pattern(4000), 1000)
    f.read(4000, ack=False)
    f.send("A", ack=2001)
    g.wait_ack(2001)
    equal(g.acked, 2001, "acknowledged")
    f.send("A", ack=4001)
    g.wait_ack(4001)


@test("far peer: an ACK that comes late is passed on soon")
def far_late(env, ip):
    g, f = env.far_connect(ip)
    took = []
    for end in (9, 17, 25)[:TRIES]:
        g.send("PA", b"patience")
        f.read(end - 1, ack=False)
        g.quiet("the peer has not acknowledged", 0.8)
        begin = time.monotonic()
        f.send("A")
        g.expect("A", ack=end)
        took.append(time.monotonic() - begin)
        if took[-1] < 0.3:
            return
    check(False, f"after {min(took):.3f} s")


@test("far peer: the guest's FIN is acknowledged once the peer has")
def far_fin(env, ip):
    g, f = env.far_connect(ip)
    g.send("FPA", b"bye")
    f.read(3, ack=False)
    if not f.last.fin:
        f.expect("FA", seq=4)
    g.quiet("the peer has not acknowledged", 0.05)
    f.send("A")
    g.wait_ack(5)
    f.send("FA")
    g.expect("FA", ack=5)
    g.send("A")
    gone(env, g)


@test("far peer: data down while data up is not acknowledged")
def far_both(env, ip):
    g, f = env.far_connect(ip)
    g.send("PA", b"up")
    f.read(2, ack=False)
    f.send("PA", b"down", ack=1)
    g.expect("A", data=b"down", ack=1)
    g.send("A")
    f.send("A", ack=3)
    g.wait_ack(3)


@test("far peer: a retransmission of the guest before that is not delivered twice")
def far_guest_retransmits(env, ip):
    g, f = env.far_connect(ip)
    g.send("PA", b"impatient")
    f.read(9, ack=False)
    for _ in range(3):
        g.send("PA", b"impatient", seq=1)
    for p in g.drain():
        equal(p.rel_ack, 1, "acknowledged")
    f.send("A")
    g.wait_ack(10)
    env.net.poll(0)
    p = f.fresh(0)
    while p and not p.len:
        p = f.fresh(0)
    check(not p, f"delivered twice: {p}")


@test("far peer: RST in the middle of data")
def far_rst(env, ip):
    g, f = env.far_connect(ip)
    g.send("PA", b"up")
    f.read(2, ack=False)
    f.send("R")
    p = g.next()
    check(p and p.flags & RST, f"got {p}")


@test("far peer: a guest that resets while data is unacknowledged resets the peer")
def far_guest_rst(env, ip):
    g, f = env.far_connect(ip)
    g.send("PA", b"up")
    f.read(2, ack=False)
    g.send("R")
    p = f.next()
    check(p and p.flags & RST, f"got {p}")


@test("far peer: one that takes long to answer is connected once it does")
def far_slow_connect(env, ip):
    g, f = env.far_connect(ip, delay=0.3)
    f.send("PA", b"hello")
    equal(g.read(5), b"hello", "data")


# --- many ------------------------------------------------------------------------------------

@test("100 connections at once")
def hundred(env, ip):
    srv = env.listen(ip)
    port = srv.getsockname()[1]
    conns = [env.conn(ip, port) for _ in range(100)]
    env.guest.send_many([c.frame("S") for c in conns])
    for c in conns:
        c.expect("SA", ack=1)
    env.guest.send_many([c.frame("A") for c in conns])
    env.guest.send_many([c.frame("PA", b"%04d" % i) for i, c in enumerate(conns)])
    peers = [env.accept(srv) for _ in conns]
    for s in peers:
        s.sendall(b"re " + env.recv(s, 4))
    for i, c in enumerate(conns):
        equal(c.read(7), b"re %04d" % i, "echo")
    for s in peers:
        s.close()
    for c in conns:
        c.expect("FA")
        c.send("FA")
    for c in conns:
        c.expect("A", ack=6)


@test("flows that have ended free their sockets")
def no_leak(env, ip):
    before = env.daemon.fds()
    for _ in range(20):
        c = env.connect(ip)
        c.send("FA")
        c.expect("A", ack=2)
        c.peer.close()
        c.expect("FA")
        c.send("A")
        c.reset = True
        c = env.connect(ip)
        abort(c.peer)
        c.next()
        c = env.connect(ip)
        c.send("R")
        c.reset = True
    with env.listen(ip) as srv:
        port = srv.getsockname()[1]
    for _ in range(20):
        c = env.conn(ip, port)
        c.send("S")
        c.expect("RA")
    env.barrier()
    wait_until(lambda: env.daemon.fds() <= before, f"{env.daemon.fds()} open, "
               f"{before} before")


def dial_many(env, ip, port, link, count):
    """Dial one after the other; return what is connected, and whose SYN was dropped"""
    conns, dropped = [], []
    for _ in range(count):
        c = env.conn(ip, port, link=link)
        c.send("S")
        p = c.next(timeout=0.1 if dropped else 1)
        if not p:
            dropped.append(c)
            continue
        check(not p.flags & RST, "a SYN without room for a flow is answered by a RST")
        c.send("A")
        conns.append(c)
    return conns, dropped


def dial_again(c):
    """Repeat a SYN that was dropped until it is answered"""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        c.send("S", seq=0)
        p = c.next(timeout=0.1)
        if p:
            equal(p.flags & (SYN | ACK | RST), SYN | ACK, "flags of the answer")
            return
    raise Failed("no answer to a repeated SYN")


@test("with a full flow table a SYN is dropped, and answered when there is room again",
      cut=False)
def table_full(env, ip):
    d = env.spawn_small()
    srv = env.listen(ip)
    conns, dropped = dial_many(env, ip, srv.getsockname()[1], d.link, 24)
    check(len(dropped) >= 8, f"{len(dropped)} dropped")
    check(len(conns) >= 8, f"{len(conns)} connected")
    conns[0].send("PA", b"still works")
    equal(env.recv(env.accept(srv), 11), b"still works", "data")
    conns[0].send("R")
    env.barrier(d.link)
    dial_again(dropped[0])


@test("a guest that does not read: no spin, and all arrives later", only=STREAMS)
def guest_sleeps(env, ip):
    conns = [env.connect(ip) for _ in range(40)]
    for c in conns:
        c.peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            c.peer.send(pattern(60000))
    begin = time.monotonic()
    check(not env.daemon.spins(0.3, 0.2), "the daemon spins while nobody reads")
    for c in conns:
        equal(c.read(60000), pattern(60000), "data")
    total = sum(c.bytes for c in conns)
    # Not what a timer sends again, and one may expire
    if time.monotonic() - begin < 1.0:
        check(total < 40 * 60000 * 1.5, f"{total} bytes, most of it twice")


@test("a link that loses, repeats and reorders: all data, both ways, and both FINs")
def lossy(env, ip):
    rnd = random.Random(ip.version)
    c = env.connect(ip, mss=1000, wnd=(64000 >> 7))
    up, down = pattern(150000, 1), pattern(150000, 2)
    got, sent, size = bytearray(), 0, 1000
    c.peer.setblocking(False)
    end, heard, resend, fin_at = time.monotonic() + 60, time.monotonic(), 0, len(up) + 1
    peer_eof, fin_seen, recover = False, False, 0
    while c.acked < fin_at + 1 or not fin_seen or not peer_eof:
        check(time.monotonic() < end, f"up {c.acked - 1}, down {len(c.data)} of 150000")
        if sent < len(down):
            with contextlib.suppress(BlockingIOError):
                sent += c.peer.send(down[sent:])
            if sent == len(down):
                c.peer.shutdown(socket.SHUT_WR)
        while not peer_eof and select.select([c.peer], [], [], 0)[0]:
            part = c.peer.recv(65536)
            got += part
            peer_eof = not part
        batch = []
        while c.nxt <= fin_at and c.nxt < c.edge and c.nxt < c.acked + 30 * size:
            if c.nxt == fin_at:
                batch.append(c.frame("FA"))
            else:
                n = min(size, fin_at - c.nxt)
                batch.append(c.frame("A", up[c.nxt - 1:c.nxt - 1 + n]))
        batch = [f for f in batch if rnd.random() > 0.03]
        if len(batch) > 2 and rnd.random() < 0.2:
            batch[1], batch[2] = batch[2], batch[1]
        if batch and rnd.random() < 0.1:
            batch.append(batch[0])
        if batch:
            env.guest.send_many(batch)
        p = env.guest.wait(c.mine, 0.01)
        if p and rnd.random() < 0.02:
            continue			# lost on its way to the guest
        if p:
            before, acked = c.rcv, c.acked
            c.learn(p)
            check(not c.reset, "reset")
            fin_seen |= p.fin and c.rcv == len(down) + 2
            if p.len or p.fin:
                c.send("A")
            resend = resend + 1 if c.acked == acked and not p.len else 0
            if c.acked > acked or c.rcv > before:
                heard = time.monotonic()
        late = time.monotonic() - heard > 0.1
        if c.acked < c.nxt and (late or resend >= 3 and c.acked >= recover):
            c.nxt, recover, heard = c.acked, c.nxt, time.monotonic()
    equal(bytes(got), up, "data to the peer")
    equal(bytes(c.data), down, "data to the guest")


@test("no descriptors left: SYNs are dropped, others live, later there is room again")
def no_descriptors(env, ip):
    d = env.spawn(nofile=48)
    env.stack.callback(d.stop)
    srv, u = env.listen(ip), env.udp_peer(ip)
    port, link = srv.getsockname()[1], d.link
    first = env.conn(ip, port, link=link).open(srv)
    conns, dropped = dial_many(env, ip, port, link, 60)
    check(len(conns) >= 10, f"only {len(conns)} connected")
    check(len(dropped) >= 20, f"only {len(dropped)} dropped")
    check(not d.spins(0.2, 0.15), "the daemon spins")
    for i in range(20):
        env.send_udp(ip, env.next_port(), ip.peer, u.getsockname()[1], b"%d" % i,
                     link=link)
        equal(u.recv(9), b"%d" % i, "datagram beside as many connections as there can be")
    first.send("PA", b"alive")
    equal(env.recv(first.peer, 5), b"alive", "data")
    link.send_many([c.frame("R", seq=1) for c in conns])
    env.barrier(link)
    dial_again(dropped[0])
    lines = len(d.output().splitlines())
    check(lines < 60 or env.verbose, f"{lines} lines in the log")


@test("connections that nobody answers give way to others, the oldest first")
def half_open(env, ip):
    d = env.spawn(nofile=48)
    env.stack.callback(d.stop)
    srv, link = env.listen(ip), d.link
    silent = [env.conn(ip, env.next_port(), dst=ip.silent, link=link) for _ in range(60)]
    link.send_many([s.frame("S") for s in silent])
    env.barrier(link)
    full = d.fds()
    c = env.conn(ip, srv.getsockname()[1], link=link)
    c.send("S")
    dial_again(c)
    c.send("A")
    peer = env.accept(srv)
    link.send_many([s.frame("S", seq=0) for s in silent])
    env.barrier(link)
    c.send("PA", b"stays")
    equal(env.recv(peer, 5), b"stays", "data of an established connection")
    check(d.fds() <= full, f"{d.fds()} descriptors, {full} before")


@test("what peers take their time for after a reset of the guest gives way to others")
def slow_readers(env, ip):
    d = env.spawn(nofile=48)
    env.stack.callback(d.stop)
    srv, link = env.listen(ip), d.link
    srv.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    port, peers = srv.getsockname()[1], []
    for _ in range(30):
        c = env.conn(ip, port, link=link)
        c.send("S")
        p = c.next(timeout=1)
        if not p:
            break
        c.send("A")
        peers.append(env.accept(srv))
        c.send_all(pattern(60000), 1000)
        env.barrier(link)
        c.send("R")
        c.reset = True
    check(len(peers) > 10, f"{len(peers)} connections")
    for _ in range(10):
        c = env.conn(ip, port, link=link)
        c.send("S")
        dial_again(c)
        c.send("R")


@test("the same port of the guest, used again after each kind of end")
def port_again(env, ip):
    srv = env.listen(ip)
    port, sport = srv.getsockname()[1], env.next_port()
    for end in ("guest", "peer", "RST", "guest", "peer"):
        c = env.conn(ip, port, sport=sport).open(srv)
        c.send("PA", b"hello")
        c.wait_ack()
        equal(env.recv(c.peer, 5), b"hello", "data")
        if end == "RST":
            c.send("R")
        elif end == "guest":
            c.send("FA")
            c.wait_ack()
            c.peer.close()
            c.expect("FA")
            c.send("A")
        else:
            c.peer.close()
            c.expect("FA")
            c.send("FA")
            c.wait_ack()
        c.reset = True


@test("port 0 can't be dialled")
def port_zero(env, ip):
    c = env.conn(ip, 0)
    c.send("S")
    env.barrier()
    p = c.link.find(c.mine)
    check(not p or p.flags & RST, f"answered: {p}")


@test("connections that wait for something do not keep the daemon busy")
def idle(env, ip):
    def shut():
        c = env.connect(ip)
        c.send("A", wnd=0)
        env.barrier()
        return c

    conns = [env.connect(ip) for _ in range(5)]
    c = shut()				# data, no window
    c.peer.sendall(b"blocked")
    c = shut()				# data and FIN, no window
    c.peer.sendall(b"blocked")
    c.peer.shutdown(socket.SHUT_WR)
    c = shut()				# FIN of both, no window
    c.send("FA", wnd=0)
    c.peer.shutdown(socket.SHUT_WR)
    c = shut()				# data of the guest that nobody reads
    c.write(pattern(20000))
    conns[1].send("FA")
    conns[2].peer.shutdown(socket.SHUT_WR)
    conns[2].expect("FA")
    conns[2].send("A")
    conns[3].peer.shutdown(socket.SHUT_WR)	# FIN, not acknowledged
    c = env.conn(ip, 80, dst=ip.silent)		# connecting
    c.send("S")
    g, f = env.far_connect(ip)			# peer with a shut window
    f.send("A", wnd=0)
    g.send("PA", b"stuck")
    env.barrier(pause=0.1)
    check(not env.daemon.spins(0.5, 0.11), "the daemon spins")


main()
