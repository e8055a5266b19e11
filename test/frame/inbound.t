#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Dialogues of TCP connections that the host side starts: a socket of the host, or a
peer made by hand, connects to a forwarded port, the guest is made by hand.
"""

import errno
import random
import socket
import struct

import frames
import harness
from frames import ACK, RST, SYN
from harness import (IP4, OUR_MAC, TIMEOUT, Conn, Failed, check, equal, main, test,
                     wait_until)

PORT = 9001			# forwarded
BEHIND_PORT = 9002		# forwarded to an address behind the guest
BEHIND = {4: "192.0.2.77", 6: "2001:db8:77::77"}
RTO = 10.0			# surely after the first retransmission
LINGER_RST = struct.pack("ii", 1, 0)

for _name, _args in harness.BACKENDS.items():
    _args += ["-t", str(PORT)]
    _args += ["-t", f"0.0.0.0/{BEHIND_PORT}:{BEHIND[4]}/80"]
    _args += ["-t", f"[::]/{BEHIND_PORT}:{BEHIND[6]}/80"]
    if _name in harness.TUNS:
        _args.append("--no-splice")


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


def pattern(size, seed=1):
    return random.Random(seed).randbytes(size)


def dial(env, ip, src=None, dst=None, sport=0, port=PORT):
    """A peer that is connected to the port"""
    s = env.stack.enter_context(socket.socket(ip.af, socket.SOCK_STREAM))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.settimeout(TIMEOUT)
    s.bind((src or ip.peer2, sport))
    s.connect((dst or ip.peer, port))
    env.dialled = s.getsockname()[1]
    return s


def next_syn(env, timeout=TIMEOUT, other_port=False):
    """Of the last dial(): earlier ones may still be tried"""
    p = env.guest.wait(lambda p: p.kind == "tcp" and p.dport == PORT
                       and p.flags & SYN
                       and (p.sport != env.dialled) == other_port, timeout)
    check(p, "no SYN for the guest")
    return p


def syn_came(env, ip, ws=7, mss=None, **kw):
    """The guest's end of what the next SYN begins"""
    p = next_syn(env, **kw)
    check(not p.flags & ACK, "SYN with ACK")
    c = Conn(env, env.guest, ip, p.dst, p.src, PORT, p.sport, OUR_MAC,
             env.mss(ip) if mss is None else mss or None, ws)
    c.meet(p)
    c.syn = p
    return c


def accept(env, ip, src=None, **kw):
    """An established connection: the guest's end, .peer the other"""
    peer = dial(env, ip, src)
    c = syn_came(env, ip, **kw)
    c.peer = peer
    c.send("SA")
    c.expect("A", ack=1, seq=1)
    return c


@test("the guest gets a SYN with the MSS of its MTU, from the peer's address and port")
def syn(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    p = c.syn
    equal((p.src, p.sport), s.getsockname()[:2], "source")
    equal(p.dst, ip.guest, "destination")
    equal(p.mss, env.mss(ip), "MSS")
    check(p.ws is not None, "no window scale")
    equal(p.ack, 0, "acknowledgement")
    check(p.wnd >= 10000, f"window of {p.wnd}")
    check(p.ttl >= 32, "TTL")
    c.quiet("once")


@test("data goes both ways after the handshake")
def data(env, ip):
    c = accept(env, ip)
    c.peer.sendall(b"hello")
    equal(c.read(5), b"hello", "data to the guest")
    c.send("PA", b"and back")
    equal(env.recv(c.peer, 8), b"and back", "data from the guest")
    c.wait_ack()


@test("what the peer sends before the guest answers comes right after the handshake")
def early_data(env, ip):
    s = dial(env, ip)
    s.sendall(b"early")
    c = syn_came(env, ip)
    c.quiet("no data before the handshake")
    c.send("SA")
    p = c.expect("A", ack=1)
    if not p.len:
        c.expect("A", seq=1, data=b"early")


@test("a guest that refuses resets the peer at once")
def refused(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    c.send("RA", seq=0, ack=1)
    equal(error_of(s), errno.ECONNRESET, "the peer reads")
    c.quiet()


@test("a RST that is not about our SYN is ignored")
def other_rst(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    c.send("RA", seq=0, ack=2)
    c.send("R", seq=0)
    c.send("R", seq=1000)
    c.quiet()
    c.send("SA")
    c.expect("A", ack=1)
    c.send("PA", b"x")
    equal(env.recv(s, 1), b"x", "data")


def icmp_about(env, ip, kind, code, quoted):
    env.send_ip(ip.guest, ip.peer2, frames.ICMP4 if ip.version == 4 else frames.ICMP6,
                frames.icmp(ip.guest, ip.peer2, kind, code, bytes(4) + quoted))


@test("a SYN that a firewall of the guest refuses by ICMP resets the peer at once")
def firewall(env, ip):
    kind = 3 if ip.version == 4 else 1
    for code in (2, 3, 9, 10, 13) if ip.version == 4 else (1, 4, 5, 6):
        s = dial(env, ip)
        c = syn_came(env, ip)
        head = ip.hdrlen + 8		# as much as RFC 792 asks for
        icmp_about(env, ip, kind, code, c.syn.raw[14:][:head if code & 1 else None])
        equal(error_of(s), errno.ECONNRESET, f"code {code}: the peer reads")
        s.close()
    c.quiet()


@test("other errors of ICMP do not end a connection")
def no_firewall(env, ip):
    hard = 3 if ip.version == 4 else 4
    kind = 3 if ip.version == 4 else 1
    peer = dial(env, ip)
    c = syn_came(env, ip)
    quoted = c.syn.raw[14:]
    tcp = ip.hdrlen

    def changed(at, to):
        return quoted[:at] + to + quoted[at + len(to):]

    for code in (0, 1, 4, 5) if ip.version == 4 else (0, 2, 3):
        icmp_about(env, ip, kind, code, quoted)		# may pass
    for other in (11, 12) if ip.version == 4 else (2, 3, 4):
        icmp_about(env, ip, other, hard, quoted)
    for wrong in (changed(tcp + 4, struct.pack("!I", c.syn.seq + 1 & 0xffffffff)),
                  changed(tcp, struct.pack("!H", c.syn.sport ^ 1)),
                  changed(tcp + 2, struct.pack("!H", PORT + 1)),
                  changed(9 if ip.version == 4 else 6, bytes([frames.UDP])),
                  changed(0, b"\x00"), changed(0, bytes([quoted[0] ^ 0x20])),
                  changed(6, b"\x20\x01") if ip.version == 4 else b"",
                  quoted[:tcp + 7], quoted[:tcp], quoted[:1], b""):
        icmp_about(env, ip, kind, hard, wrong)
    c.quiet()
    c.send("SA")
    c.expect("A", ack=1, seq=1)
    icmp_about(env, ip, kind, hard, quoted)		# established
    c.send("PA", b"x")
    equal(env.recv(peer, 1), b"x", "data")


@test("a wrong ACK gets a RST, and the right one still works")
def wrong_ack(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    for flags, ack in (("SA", 2), ("SA", 0), ("A", 7), ("SA", 1 << 31)):
        c.send(flags, seq=500, ack=ack)
        p = c.next()
        if p and p.flags == SYN:	# again, as the ACK before had no SYN
            p = c.next()
        check(p, "no answer")
        equal(p.flags, RST, "flags")
        equal((p.seq - c.irs) & 0xffffffff, ack, "sequence number of the RST")
    c.reset = False
    c.send("SA")
    c.expect("A", ack=1)
    c.send("PA", b"x")
    equal(env.recv(s, 1), b"x", "data")


@test("an ACK without SYN, a FIN, or no flag at all is not answered")
def no_syn(env, ip):
    dial(env, ip)
    c = syn_came(env, ip)
    c.send("A", seq=500, ack=1)
    c.send("FA", seq=500, ack=1)
    c.send("F", seq=500)
    c.send("", seq=500)
    c.quiet()
    c.send("SA")
    c.expect("A", ack=1)


@test("a SYN that is not answered is sent again, the same", only=("stream", "tun"))
def retried(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    p = next_syn(env, RTO)
    equal((p.seq, p.sport, p.mss, p.ws), (c.syn.seq, c.syn.sport, c.syn.mss, c.syn.ws),
          "the second SYN")
    next_syn(env, RTO)
    c.send("SA")
    c.expect("A", ack=1)
    s.sendall(b"late")
    equal(c.read(4), b"late", "data")


@test("both open at once: SYNs cross")
def simultaneous(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    c.nxt = 0
    c.send("S")
    c.expect("SA", seq=0, ack=1)
    c.send("SA", seq=0, ack=1)
    c.expect("A", ack=1)
    s.sendall(b"x")
    equal(c.read(1), b"x", "data to the guest")
    c.send("PA", b"y")
    equal(env.recv(s, 1), b"y", "data from the guest")


@test("both open at once, with a plain ACK to end it")
def simultaneous_ack(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    c.send("S")
    c.expect("SA", seq=0, ack=1)
    c.send("A", ack=1)
    s.sendall(b"x")
    equal(c.read(1), b"x", "data to the guest")


@test("without options in the SYN-ACK, segments have the default size")
def no_options(env, ip):
    c = accept(env, ip, mss=0, ws=None)
    c.peer.sendall(pattern(5000))
    equal(c.read(5000), pattern(5000), "data")


@test("the MSS of the guest holds")
def small_mss(env, ip):
    c = accept(env, ip, mss=700)
    c.peer.sendall(pattern(5000))
    equal(c.read(5000), pattern(5000), "data")


@test("without window scale, windows are not scaled")
def no_ws(env, ip):
    c = accept(env, ip, ws=None)
    c.write(pattern(100000))
    equal(env.recv(c.peer, 100000), pattern(100000), "data")


@test("a closed window in the SYN-ACK holds data back")
def no_window(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    s.sendall(b"held")
    c.send("SA", wnd=0)
    c.expect("A", ack=1, len=0)
    c.quiet()
    c.send("A", wnd=1000)
    c.expect("A", seq=1, data=b"held")


@test("a repeated SYN-ACK is acknowledged again")
def syn_ack_again(env, ip):
    c = accept(env, ip)
    c.send("SA", seq=0, ack=1)
    c.expect("A", ack=1, seq=1)
    c.peer.sendall(b"x")
    equal(c.read(1), b"x", "data")


@test("data and FIN in a SYN-ACK are taken when they come again")
def syn_ack_data(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    c.send("SAF", b"data", seq=0)
    c.expect("A", ack=1)
    c.nxt = 1
    c.send("FA", b"data")
    c.wait_ack()
    equal(env.recv(s, 4), b"data", "data")
    env.eof(s)


@test("a peer that ends before the guest answers: FIN after the handshake")
def early_fin(env, ip):
    s = dial(env, ip)
    s.sendall(b"all")
    s.shutdown(socket.SHUT_WR)
    c = syn_came(env, ip)
    c.quiet("no FIN before the handshake")
    c.send("SA")
    c.expect("A", seq=1, data=b"all", skip=None)
    c.expect("FA", seq=4)
    c.send("FA", b"bye", ack=5)
    equal(env.recv(s, 3), b"bye", "data from the guest")
    env.eof(s)


@test("a peer that resets before the guest answers: RST, and no flow is left")
def early_rst(env, ip):
    s = dial(env, ip)
    c = syn_came(env, ip)
    abort(s)
    p = c.fresh()
    check(p and p.flags == RST, f"no RST: {p}")
    equal(p.rel_seq, 1, "its sequence number")
    c.send("SA")
    p = c.next()
    check(p and p.flags & RST, "no RST for a late SYN-ACK")


@test("half-closed by the guest: the peer sends on")
def guest_ends(env, ip):
    c = accept(env, ip)
    c.send("FA", b"last")
    c.wait_ack()
    equal(env.recv(c.peer, 4), b"last", "data")
    env.eof(c.peer)
    c.peer.sendall(pattern(30000))
    equal(c.read(30000), pattern(30000), "data after the guest's end")
    c.peer.close()
    c.expect("FA")
    c.send("A", ack=c.rcv)
    c.quiet()


@test("half-closed by the peer: the guest sends on")
def peer_ends(env, ip):
    c = accept(env, ip)
    c.peer.shutdown(socket.SHUT_WR)
    c.expect("FA", seq=1)
    c.send("A")
    c.write(pattern(30000))
    equal(env.recv(c.peer, 30000), pattern(30000), "data after the peer's end")
    c.send("FA")
    c.wait_ack()
    env.eof(c.peer)


@test("the guest's RST resets the peer")
def guest_resets(env, ip):
    c = accept(env, ip)
    c.send("RA")
    equal(error_of(c.peer), errno.ECONNRESET, "the peer reads")


@test("the peer's RST resets the guest")
def peer_resets(env, ip):
    c = accept(env, ip)
    abort(c.peer)
    p = c.next()
    check(p and p.flags & RST, f"no RST: {p}")
    equal(p.rel_seq, 1, "its sequence number")


@test("a lost segment to the guest is sent again after three duplicate ACKs")
def fast_retransmit(env, ip):
    c = accept(env, ip, mss=1000)
    c.peer.sendall(pattern(5000))
    while c.bytes < 5000:
        check(c.next(), "data")
    c.send("A", ack=1)		# the window, scaled for the first time
    for _ in range(3):
        c.send("A", ack=1)
    c.expect("A", seq=1, soon=True)


@test("much data goes both ways", only=("stream", "stream-64k", "tun"))
def bulk(env, ip):
    c = accept(env, ip)
    data_in, data_out = pattern(env.burst()), pattern(300000, 2)
    c.peer.setblocking(False)
    sent = 0
    while len(c.data) < len(data_in):
        try:
            sent += c.peer.send(data_in[sent:sent + 20000])
        except BlockingIOError:
            pass
        c.read(sent)
    equal(bytes(c.data), data_in, "data to the guest")
    c.peer.settimeout(TIMEOUT)
    c.write(data_out[:60000])
    equal(env.recv(c.peer, 60000), data_out[:60000], "data from the guest")


@test("connections of several peers don't mix")
def several(env, ip):
    conns = [accept(env, ip) for _ in range(5)]
    for i, c in enumerate(conns):
        c.peer.sendall(b"%d" % i)
        c.send("PA", b"%d" % i)
    for i, c in enumerate(conns):
        equal(env.recv(c.peer, 1), b"%d" % i, "data from the guest")
        c.read(1)
        equal(bytes(c.data), b"%d" % i, "data to the guest")


@test("a client on the host's loopback is seen as the gateway")
def loopback(env, ip):
    s = dial(env, ip, ip.loop, ip.loop)
    c = syn_came(env, ip)
    equal((c.dst, c.dport), (ip.gw, s.getsockname()[1]), "source")
    c.send("SA")
    c.expect("A", ack=1)
    s.sendall(b"x")
    equal(c.read(1), b"x", "data")


def reaches_behind(env, ip, peer, shown):
    """The guest gets a connection for the target address, and may answer from there"""
    s = dial(env, ip, peer, ip.loop if peer == ip.loop else None, port=BEHIND_PORT)
    target = BEHIND[ip.version]
    p = env.guest.wait(lambda p: p.kind == "tcp" and p.dst == target and p.flags & SYN)
    check(p, "no SYN for the target")
    equal((p.src, p.sport, p.dport), (shown, s.getsockname()[1], 80), "addresses")
    equal(p.eth_dst, env.guest.mac, "MAC address")
    c = Conn(env, env.guest, ip, target, p.src, 80, p.sport, OUR_MAC, env.mss(ip), 7)
    c.meet(p)
    c.send("SA")
    c.expect("A", ack=1)
    s.sendall(b"there")
    equal(c.read(5), b"there", "data to the target")
    c.send("PA", b"back")
    equal(env.recv(s, 4), b"back", "data from the target")


@test("a connection to a target address goes to the guest's MAC address")
def behind(env, ip):
    reaches_behind(env, ip, ip.peer2, ip.peer2)


@test("the host's loopback reaches a target address as the gateway")
def behind_loopback(env, ip):
    reaches_behind(env, ip, ip.loop, ip.gw)


@test("clients that look the same to the guest get ports of their own", ip=(IP4,))
def same_port(env, ip):
    first = dial(env, ip, "127.0.0.1", ip.loop)
    a = syn_came(env, ip)
    a.send("SA")
    a.expect("A", ack=1)
    second = dial(env, ip, "127.0.0.2", ip.loop, sport=first.getsockname()[1])
    b = syn_came(env, ip, other_port=True)
    equal((a.dst, b.dst), (ip.gw, ip.gw), "both are the gateway")
    check(b.dport >= 1024, "a port of a privileged client")
    b.send("SA")
    b.expect("A", ack=1)
    first.sendall(b"1")
    second.sendall(b"2")
    equal(a.read(1), b"1", "data to the first")
    equal(b.read(1), b"2", "data to the second")


@test("a peer whose address and port the guest has a connection to is refused")
def taken(env, ip):
    far_port = env.next_port()
    g = env.conn(ip, far_port, dst=ip.silent, sport=PORT)
    g.send("S")
    env.far_syn(ip, far_port)
    f = Conn(env, env.net, ip, ip.silent, ip.guest, far_port, PORT, env.host_mac,
             mss=1460, ws=7)
    f.send("S")
    f.expect("SA", ack=1, skip=lambda p: p.flags == SYN)
    f.send("A")
    while not f.reset:
        if not f.next():
            raise Failed("no RST for the peer")


def dial_again(env, ip, c):
    """A second connection from the port of the first"""
    sport = c.peer.getsockname()[1]
    c.peer.close()
    return dial(env, ip, sport=sport)


@test("a port that comes round: the number of the new SYN is above the old one's")
def comes_round(env, ip):
    c = accept(env, ip)
    size = 60000
    c.peer.sendall(bytes(size))
    c.read(size)
    c.send("FA")		# the guest closes first, and is in TIME-WAIT
    c.wait_ack()
    equal(c.peer.recv(1), b"", "the end for the peer")
    c.peer.shutdown(socket.SHUT_WR)
    fin = c.expect("FA")
    c.send("A")
    old = (c.irs + size + 2) & 0xffffffff
    equal(fin.rel_seq, size + 1, "sequence number of the FIN")
    dial_again(env, ip, c)
    p = next_syn(env)
    check(0 < (p.seq - old) & 0xffffffff < 1 << 31,
          f"number {p.seq} is not above {old}")


@test("a guest in TIME-WAIT gets our SYN again right after the RST")
def syn_after_ack(env, ip):
    dial(env, ip)
    c = syn_came(env, ip)
    c.send("A", seq=77, ack=5555)
    p = c.next(timeout=0.5)
    check(p and p.flags == RST, f"no RST: {p}")
    p = c.next(timeout=0.5)
    check(p and p.flags == SYN and p.seq == c.syn.seq, f"no SYN at once: {p}")
    c.send("A", seq=77, ack=5555)
    p = c.next(timeout=0.5)
    check(p and p.flags == RST, f"no second RST: {p}")
    p = c.next(timeout=0.3)
    check(p is None, f"a second SYN before the timer: {p}")
    c.send("SA")
    c.expect("A", ack=1, seq=1)


@test("ends of the descriptors: as many as before", only=("stream", "tun"))
def descriptors(env, ip):
    before = env.daemon.fds()
    for how in ("guest", "peer", "refused"):
        if how == "refused":
            s = dial(env, ip)
            syn_came(env, ip).send("RA", seq=0, ack=1)
            error_of(s)
            continue
        c = accept(env, ip)
        if how == "guest":
            c.send("RA")
            error_of(c.peer)
        else:
            abort(c.peer)
            c.next()
    wait_until(lambda: env.daemon.fds() <= before, "descriptors closed")


if __name__ == "__main__":
    main()
