#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that change what the guest sees, each with a daemon of its own"""

import os
import select
import struct
import tempfile

import frames
from frames import BROADCAST, ETH_ARP, ICMP4, ICMP6, UDP, pton
from harness import (GUEST_MAC, IP4, IP6, OUR_MAC, TIMEOUT, check, equal, main, test)


def own(env, *args):
    d = env.spawn(*args)
    env.stack.callback(d.stop)
    return d.link


def ask_arp(env, link, tpa, spa=IP4.guest):
    link.send(frames.eth(BROADCAST, GUEST_MAC, ETH_ARP,
                         frames.arp(1, GUEST_MAC, spa, bytes(6), tpa)))
    env.barrier(link)
    return link.find(lambda p: p.kind == "arp" and p.op == 2)


def router_solicit(env, link):
    src = "fe80::5054:ff:fe12:3456"
    env.send_ip(src, "ff02::2", ICMP6, frames.icmp(src, "ff02::2", 133, 0, bytes(4)),
                link=link, ttl=255, dst_mac=frames.mcast_mac("ff02::2"))
    env.barrier(link)
    return link.find(lambda p: p.kind == "icmp" and p.type == 134)


def ping(env, ip, link, wait=TIMEOUT):
    proto = ICMP4 if ip.version == 4 else ICMP6
    env.send_ip(ip.guest, ip.peer, proto,
                frames.echo(ip.guest, ip.peer, 5, 1, b"x"), link=link)
    return link.wait(lambda p: p.kind == "icmp" and p.type in (0, 129), wait)


@test("--no-map-gw: the gateway is dialled itself, not the loopback")
def no_map_gw(env, ip):
    link = own(env, "--no-map-gw")
    srv = env.listen(ip, ip.loop)
    port = srv.getsockname()[1]
    c = env.conn(ip, port, dst=ip.gw, link=link)
    c.send("S")
    p = env.net.wait(lambda p: p.kind == "tcp" and p.dport == port)
    check(p, "no SYN on the host's network")
    equal(p.dst, ip.gw, "destination")
    r, _, _ = select.select([srv], [], [], 0)
    check(not r, "the loopback was reached")


@test("--map-host-loopback: that address is the loopback, the gateway is not")
def map_host_loopback(env, ip):
    addr = "198.51.100.99" if ip.version == 4 else "2001:db8:1::99"
    link = own(env, "--map-host-loopback", addr)
    srv = env.listen(ip, ip.loop)
    port = srv.getsockname()[1]
    c = env.conn(ip, port, dst=addr, link=link).open(srv)
    c.send("PA", b"hello")
    equal(env.recv(c.peer, 5), b"hello", "data")
    c = env.conn(ip, port, dst=ip.gw, link=link)
    c.send("S")
    check(env.net.wait(lambda p: p.kind == "tcp" and p.dport == port and
                       p.dst == ip.gw), "the gateway is not dialled")
    if ip.version == 4:
        check(ask_arp(env, link, addr, spa="0.0.0.0"), "a probe for it is not answered")


@test("--mtu: MSS, router advertisement, size of fragments")
def mtu(env, ip):
    env.mtu = 1280
    link = own(env, "-m", "1280")
    srv = env.listen(ip)
    c = env.conn(ip, srv.getsockname()[1], link=link, mss=9000)
    c.send("S")
    c.expect("SA", mss=1280 - ip.hdrlen - 20)
    c.send("A")
    s = env.accept(srv)
    s.sendall(bytes(10000))
    c.read(10000)
    if ip.version == 6:
        p = router_solicit(env, link)
        check(p, "no router advertisement")
        check(struct.pack("!BBHI", 5, 1, 0, 1280) in p.l4, "MTU option")
    u = env.udp_peer(ip)
    env.send_udp(ip, 999, ip.peer, u.getsockname()[1], b"x", link=link)
    u.sendto(bytes(3000), u.recvfrom(10)[1])
    p = env.expect_udp(999, ip.peer, u.getsockname()[1], bytes(3000), link=link)
    if not env.jumbo:
        equal(p.fragments, 3, "fragments")


@test("--mtu 0: no MTU is announced", ip=(IP6,))
def mtu_none(env, ip):
    link = own(env, "-m", "0")
    p = router_solicit(env, link)
    check(p, "no router advertisement")
    check(b"\x05\x01\x00\x00" not in p.l4[16:], "MTU option")
    srv = env.listen(ip)
    env.mtu = 65520
    env.conn(ip, srv.getsockname()[1], link=link, mss=1000).open(srv)


@test("--mac-addr: ours is that one")
def mac(env, ip):
    link = own(env, "-M", "02:00:00:00:00:77")
    mine = bytes.fromhex("020000000077")
    p = ask_arp(env, link, "198.51.100.77")
    equal((p.sha, p.eth_src), (mine, mine), "reply")
    srv = env.udp_peer(ip)
    env.send_udp(ip, 999, ip.peer, srv.getsockname()[1], b"x", link=link)
    srv.sendto(b"y", srv.recvfrom(10)[1])
    p = env.expect_udp(999, ip.peer, srv.getsockname()[1], b"y", link=link)
    equal((p.eth_src, p.eth_dst), (mine, GUEST_MAC), "addresses of the frame")


@test("--no-tcp, --no-udp, --no-icmp: nothing of that passes, the others do")
def no_protocols(env, ip):
    srv, u = env.listen(ip), env.udp_peer(ip)
    for off in ("tcp", "udp", "icmp"):
        link = own(env, "--no-" + off)
        c = env.conn(ip, srv.getsockname()[1], link=link)
        c.send("S")
        env.send_udp(ip, 999, ip.peer, u.getsockname()[1], off.encode(), link=link)
        answer = ping(env, ip, link, 0.2 if off == "icmp" else TIMEOUT)
        check(bool(answer) == (off != "icmp"), f"echo with --no-{off}")
        p = c.next(0.1 if off == "tcp" else TIMEOUT)
        check(bool(p and p.flags & frames.SYN) == (off != "tcp"), f"TCP with --no-{off}")
        r, _, _ = select.select([u], [], [], 0 if off == "udp" else TIMEOUT)
        check(bool(r) == (off != "udp"), f"UDP with --no-{off}")
        if r:
            equal(u.recv(10), off.encode(), "datagram")


@test("--ipv4-only, --ipv6-only: the other family gets no answer")
def one_family(env, ip):
    other = IP6 if ip.version == 4 else IP4
    link = own(env, f"-{ip.version}")
    srv, osrv, ou = env.listen(ip), env.listen(other), env.udp_peer(other)
    env.conn(ip, srv.getsockname()[1], link=link).open(srv)
    c = env.conn(other, osrv.getsockname()[1], link=link)
    c.send("S")
    env.send_udp(other, 999, other.peer, ou.getsockname()[1], b"x", link=link)
    check(not ping(env, other, link, 0.1), "echo of the other family")
    p = c.next(0.1)
    check(not p or p.flags & frames.RST, "TCP of the other family")
    r, _, _ = select.select([osrv, ou], [], [], 0)
    check(not r, "the other family gets through")
    if ip.version == 4:
        check(not router_solicit(env, link), "router advertisement without IPv6")
    else:
        check(not ask_arp(env, link, IP4.gw), "ARP reply without IPv4")


@test("--no-ndp: no neighbour or router advertisement; --no-ra: no router's", ip=(IP6,))
def no_ndp(env, ip):
    for option in ("--no-ndp", "--no-ra"):
        link = own(env, option)
        check(not router_solicit(env, link), f"router advertisement with {option}")
        dst = frames.solicited_node(ip.gw)
        env.send_ip(ip.guest, dst, ICMP6, frames.icmp(
            ip.guest, dst, 135, 0, bytes(4) + pton(ip.gw)), link=link, ttl=255)
        env.barrier(link)
        p = link.find(lambda p: p.kind == "icmp" and p.type == 136)
        equal(bool(p), option == "--no-ra", f"neighbour advertisement with {option}")


@test("--address and --gateway: own and ours follow", ip=(IP4,))
def address(env, ip):
    link = own(env, "-a", "192.0.2.15", "-n", "24", "-g", "192.0.2.1")
    check(ask_arp(env, link, "192.0.2.1", spa="0.0.0.0"), "a probe for the gateway")
    check(not ask_arp(env, link, "192.0.2.15", spa="0.0.0.0"), "a probe for the guest's own")
    check(not ask_arp(env, link, "192.0.2.255", spa="192.0.2.15"), "broadcast address")
    srv = env.listen(ip, ip.loop)
    port = srv.getsockname()[1]
    syn = frames.tcp("192.0.2.15", "192.0.2.1", 999, port, 5, 0, frames.SYN, 1000)
    env.send_ip("192.0.2.15", "192.0.2.1", frames.TCP, syn, link=link)
    p = link.wait(lambda p: p.kind == "tcp")
    check(p and p.flags == frames.SYN | frames.ACK and p.ack == 6, f"got {p}")


@test("--address: the first or last address of a network is a host's", ip=(IP4,))
def edge_address(env, ip):
    srv = env.listen(ip, ip.loop)
    port = srv.getsockname()[1]
    for guest in ("192.0.2.0", "192.0.2.255"):
        link = own(env, "-a", guest, "-n", "24", "-g", "192.0.2.1")
        check(ask_arp(env, link, "192.0.2.1", spa=guest), f"{guest}: the gateway")
        check(not ask_arp(env, link, guest, spa="0.0.0.0"), f"{guest}: a probe for it")
        syn = frames.tcp(guest, "192.0.2.1", 999, port, 5, 0, frames.SYN, 1000)
        env.send_ip(guest, "192.0.2.1", frames.TCP, syn, link=link)
        p = link.wait(lambda p: p.kind == "tcp")
        check(p and p.flags == frames.SYN | frames.ACK and p.ack == 6, f"{guest}: got {p}")


@test("--pcap: what went in and out, with whole checksums")
def pcap(env, ip):
    with tempfile.NamedTemporaryFile(prefix="frame.", suffix=".pcap") as f:
        os.chmod(f.name, 0o666)
        link = own(env, "-p", f.name)
        srv = env.listen(ip)
        c = env.conn(ip, srv.getsockname()[1], link=link).open(srv)
        c.peer.sendall(bytes(range(256)) * 20)
        c.read(5120)
        c.send("FA")
        c.expect("A", ack=2)
        env.barrier(link)
        data = f.read()
    magic, major, minor = struct.unpack_from("<IHH", data)
    check(magic in (0xa1b2c3d4, 0xa1b23c4d), "neither micro- nor nanoseconds")
    equal((major, minor), (2, 4), "version")
    equal(struct.unpack_from("<I", data, 20)[0], 1, "link type")
    at, sent, got = 24, 0, bytearray()
    while at < len(data):
        _, _, n, whole = struct.unpack_from("<IIII", data, at)
        equal(n, whole, "captured length")
        p = frames.parse(data[at + 16:at + 16 + n])
        check(not p.bad, f"in the capture: {p}")
        if p.kind == "tcp" and p.src == ip.guest:
            sent += 1
        elif p.kind == "tcp":
            got += p.data
        at += 16 + n
    equal(at, len(data), "end of the file")
    check(sent >= 4, f"{sent} segments of the guest")
    equal(bytes(got), bytes(range(256)) * 20, "data to the guest")


@test("each step of the offload ladder: data both ways, datagrams both ways",
      only=("tun",))
def ladder(env, ip):
    for step in ("uso", "tso", "csum", "vnet", "none"):
        link = own(env, "--tap-offload=" + step)
        c = env.connect(ip, link=link, mss=1400)
        c.peer.sendall(bytes(range(256)) * 200)
        equal(c.read(51200), bytes(range(256)) * 200, f"data with {step}")
        if step in ("csum", "vnet", "none"):
            check(not any(p.gso for _, _, arrow, p in link.log if arrow == "<-"),
                  f"unsegmented frames with {step}")
        c.write(bytes(range(256)) * 200)
        equal(env.recv(c.peer, 51200), bytes(range(256)) * 200, f"data with {step}")
        srv = env.udp_peer(ip)
        port = srv.getsockname()[1]
        for n in (0, 1, 1000, 30000):
            env.send_udp(ip, 999, ip.peer, port, bytes(n), link=link)
            data, frm = srv.recvfrom(65536)
            equal(len(data), n, f"datagram with {step}")
            srv.sendto(data, frm)
            env.expect_udp(999, ip.peer, port, bytes(n), link=link)


@test("any address of the guest may be used, several at once")
def many_addresses(env, ip):
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    for n in (50, 51, 52):
        src = f"198.51.100.{n}" if ip.version == 4 else f"2001:db8:1::{n}"
        env.send_ip(src, ip.peer, UDP, frames.udp(src, ip.peer, 4000, port, b"%d" % n))
        data, frm = srv.recvfrom(10)
        equal(data, b"%d" % n, "data")
        srv.sendto(b"re", frm)
        p = env.guest.wait(lambda p: p.kind == "udp" and p.dport == 4000)
        check(p, "no answer")
        equal(p.dst, src, "answer goes to")


@test("frames go to the MAC address that was seen last")
def guest_mac(env, ip):
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    for mac_ in (bytes.fromhex("5254000000bb"), GUEST_MAC):
        dg = frames.udp(ip.guest, ip.peer, 4001, port, b"x")
        env.guest.send(frames.eth(OUR_MAC, mac_, ip.ethertype,
                                  frames.ip(ip.guest, ip.peer, UDP, dg)))
        srv.sendto(b"y", srv.recvfrom(10)[1])
        p = env.expect_udp(4001, ip.peer, port, b"y")
        equal(p.eth_dst, mac_, "destination")


main()
