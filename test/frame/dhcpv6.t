#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCPv6: what clients send, and that nothing of it goes anywhere else"""

import struct

import frames
from frames import ETH_IP6, UDP, pton
from harness import GUEST_MAC, IP6, OUR_LL, OUR_MAC, check, equal, main, test

GUEST_LL = "fe80::5054:ff:fe12:3456"
SERVERS = "ff02::1:2"
CLIENT, SERVER = 546, 547

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
INFORMATION = 11
CLIENTID, SERVERID, IA_NA, IA_TA, IAADDR, ORO, PREFERENCE = range(1, 8)
STATUS, RAPID, DNS, SEARCH, IA_PD, FQDN = 13, 14, 23, 24, 25, 39
FOREVER = 0xffffffff
NO_ADDRS, NOT_ON_LINK, USE_MULTICAST = 2, 4, 5

XID = b"\xab\xcd\xef"


def opt(code, data=b""):
    return struct.pack("!HH", code, len(data)) + data


DUID = struct.pack("!HH", 3, 1) + GUEST_MAC
OUR_DUID = struct.pack("!HH", 3, 1) + OUR_MAC
CID, SID = opt(CLIENTID, DUID), opt(SERVERID, OUR_DUID)


def ia_na(iaid, *addrs):
    return opt(IA_NA, struct.pack("!III", iaid, 0, 0) + b"".join(
        opt(IAADDR, pton(a) + struct.pack("!II", 3600, 7200)) for a in addrs))


def oro(*codes):
    return opt(ORO, struct.pack(f"!{len(codes)}H", *codes))


def options(data):
    """-> list of (code, contents); all of it"""
    out = []
    while data:
        check(len(data) >= 4, "an option is cut short")
        code, n = struct.unpack_from("!HH", data)
        check(len(data) >= 4 + n, f"option {code} is cut short")
        out.append((code, data[4:4 + n]))
        data = data[4 + n:]
    return out


class Reply:
    """A message for the client, parsed"""

    def __init__(self, p):
        self.type, self.xid = p.data[0], p.data[1:4]
        self.opts = options(p.data[4:])

    def get(self, code, nth=0):
        found = [data for c, data in self.opts if c == code]
        return found[nth] if nth < len(found) else None

    def status(self):
        data = self.get(STATUS)
        return data and struct.unpack_from("!H", data)[0]

    def ia(self, nth=0):
        """-> (addresses with lifetimes, status or None) of an IA_NA"""
        inside = options(self.get(IA_NA, nth)[12:])
        addrs = [(frames.ntop(d[:16]), *struct.unpack_from("!II", d, 16))
                 for c, d in inside if c == IAADDR]
        status = [struct.unpack_from("!H", d)[0] for c, d in inside if c == STATUS]
        return addrs, status[0] if status else None


def send(env, kind, *opts, src=GUEST_LL, dst=SERVERS, link=None):
    link = link or env.guest
    mac = frames.mcast_mac(dst) if dst.startswith("ff") else OUR_MAC
    link.send(frames.eth(mac, GUEST_MAC, ETH_IP6, frames.ip6(
        src, dst, UDP, frames.udp(src, dst, CLIENT, SERVER,
                                  bytes([kind]) + XID + b"".join(opts)))))


def is_reply(p):
    return p.kind == "udp" and p.dport == CLIENT and p.sport == SERVER


def answer(env, kind, link=None, to=GUEST_LL):
    p = (link or env.guest).wait(is_reply)
    check(p, "no answer")
    equal((p.src, p.dst, p.eth_src, p.eth_dst), (OUR_LL, to, OUR_MAC, GUEST_MAC),
          "addresses")
    check(len(p.data) <= 1232, "too large")
    r = Reply(p)
    equal((r.type, r.xid), (kind, XID), "type, transaction")
    equal(r.get(SERVERID), OUR_DUID, "server")
    return r


def no_answer(env):
    env.barrier()
    p = env.guest.find(is_reply)
    check(not p, f"answered: {p}")


def gets_address(r):
    equal(r.ia(), ([(IP6.guest, FOREVER, FOREVER)], None), "IA_NA")


@test("SOLICIT, ADVERTISE, REQUEST, REPLY: the configured address, for ever", ip=())
def four(env):
    send(env, SOLICIT, CID, ia_na(7), oro(DNS, SEARCH))
    r = answer(env, ADVERTISE)
    equal(r.get(CLIENTID), DUID, "client")
    equal(r.get(PREFERENCE), b"\xff", "preference")
    gets_address(r)
    send(env, REQUEST, CID, SID, ia_na(7, IP6.guest))
    gets_address(answer(env, REPLY))


@test("a client with a global address is answered there, whichever it sends from", ip=())
def from_global(env):
    for src in (IP6.guest, "2001:db8:1:0:5054:ff:fe12:3456"):
        send(env, SOLICIT, CID, ia_na(7), src=src)
        gets_address(answer(env, ADVERTISE, to=src))
        send(env, REQUEST, CID, SID, ia_na(7, IP6.guest), src=src)
        gets_address(answer(env, REPLY, to=src))
        send(env, RENEW, CID, SID, ia_na(7, IP6.guest), src=src)
        gets_address(answer(env, REPLY, to=src))
        send(env, INFORMATION, CID, oro(DNS), src=src)
        answer(env, REPLY, to=src)


@test("rapid commit", ip=())
def rapid(env):
    send(env, SOLICIT, CID, opt(RAPID), ia_na(7))
    r = answer(env, REPLY)
    equal(r.get(RAPID), b"", "rapid commit")
    gets_address(r)


@test("RENEW and REBIND: again, and what is not ours ends", ip=())
def renew(env):
    for kind, ids in ((RENEW, CID + SID), (REBIND, CID)):
        send(env, kind, ids, ia_na(7, IP6.guest))
        gets_address(answer(env, REPLY))
        send(env, kind, ids, ia_na(7, "2001:db8:9::9"))
        equal(answer(env, REPLY).ia()[0],
              [(IP6.guest, FOREVER, FOREVER), ("2001:db8:9::9", 0, 0)], "IA_NA")


@test("CONFIRM: whether addresses belong here", ip=())
def confirm(env):
    send(env, CONFIRM, CID, ia_na(7, IP6.guest))
    equal(answer(env, REPLY).status(), 0, "status")
    send(env, CONFIRM, CID, ia_na(7, "2001:db8:9::9"))
    equal(answer(env, REPLY).status(), NOT_ON_LINK, "status")
    send(env, CONFIRM, CID, ia_na(7))
    no_answer(env)


@test("REQUEST for an address from elsewhere: not on this link", ip=())
def elsewhere(env):
    send(env, REQUEST, CID, SID, ia_na(7, "2001:db8:9::9"))
    equal(answer(env, REPLY).ia(), ([], NOT_ON_LINK), "IA_NA")


@test("RELEASE and DECLINE are accepted", ip=())
def release(env):
    for kind in (RELEASE, DECLINE):
        send(env, kind, CID, SID, ia_na(7, IP6.guest))
        equal(answer(env, REPLY).status(), 0, "status")


@test("a second IA_NA gets nothing", ip=())
def second(env):
    send(env, REQUEST, CID, SID, ia_na(7), ia_na(8))
    r = answer(env, REPLY)
    gets_address(r)
    equal(r.ia(1), ([], NO_ADDRS), "second IA_NA")


@test("to our unicast address: REQUEST is refused, SOLICIT dropped", ip=())
def unicast(env):
    for dst in (OUR_LL, IP6.gw):
        send(env, REQUEST, CID, SID, ia_na(7), dst=dst)
        r = answer(env, REPLY)
        equal((r.status(), r.get(IA_NA)), (USE_MULTICAST, None), "status, IA_NA")
        send(env, SOLICIT, CID, ia_na(7), dst=dst)
        no_answer(env)


@test("messages that are malformed, or not for us, are dropped", ip=())
def dropped(env):
    send(env, SOLICIT, ia_na(7))
    send(env, SOLICIT, CID, SID, ia_na(7))
    send(env, REQUEST, CID, ia_na(7))
    send(env, REQUEST, CID, opt(SERVERID, DUID), ia_na(7))
    send(env, SOLICIT, CID, opt(IA_NA, bytes(11)))
    send(env, SOLICIT, CID, struct.pack("!HH", IA_NA, 40), bytes(12))
    send(env, SOLICIT, CID, b"\0")
    send(env, INFORMATION, CID, ia_na(7))
    send(env, ADVERTISE, CID, SID)
    send(env, REPLY, CID, SID)
    send(env, 12, bytes(32), opt(9, b"\x01" + XID + CID))
    send(env, 99, CID)
    for src in ("::", "::1"):
        send(env, SOLICIT, CID, ia_na(7), src=src)
    env.send_ip(GUEST_LL, SERVERS, UDP, frames.udp(GUEST_LL, SERVERS, CLIENT, SERVER, b""))
    no_answer(env)


@test("nothing for the server leaves: not to the group, not to the host", ip=())
def stays(env):
    srv = env.udp_peer(IP6, addr="::1", port=SERVER)
    for dst in (SERVERS, OUR_LL, IP6.gw):
        for kind in (SOLICIT, 99):
            send(env, kind, CID, ia_na(7), dst=dst)
            send(env, kind, CID, ia_na(7), dst=dst, src=IP6.guest)
    env.nothing(srv)
    p = env.net.find(lambda p: p.kind == "udp" and p.dport == SERVER)
    check(not p, f"it left: {p}")


@test("information: servers, search list and name for who asks", ip=())
def information(env):
    dns = ("2001:db8:2::53", "2001:db8:2::54")
    args = ["--dhcp-dns", "--dhcp-search"] if env.is_tun else []
    d = env.spawn(*args, *(x for a in dns for x in ("-D", a)),
                  "-S", "example.com b.example", "--fqdn", "guest.example.com")
    env.stack.callback(d.stop)
    send(env, INFORMATION, oro(DNS, SEARCH), link=d.link)
    r = answer(env, REPLY, d.link)
    equal(r.get(DNS), b"".join(pton(a) for a in dns), "servers")
    equal(r.get(SEARCH), b"\7example\3com\0\1b\7example\0", "search list")
    check(not r.get(FQDN), "a name")
    send(env, SOLICIT, CID, ia_na(7), opt(FQDN, b"\1\1x\0"), link=d.link)
    r = answer(env, ADVERTISE, d.link)
    equal(r.get(FQDN), b"\6\5guest\7example\3com\0", "name, and flags N and O")
    check(not r.get(DNS) and not r.get(SEARCH), "more than was asked for")


@test("--no-dhcpv6: nothing, and the router says so", ip=())
def off(env):
    d = env.spawn("--no-dhcpv6")
    env.stack.callback(d.stop)
    send(env, SOLICIT, CID, ia_na(7), link=d.link)
    send(env, INFORMATION, oro(DNS), link=d.link)
    env.barrier(d.link)
    check(not d.link.find(is_reply), "answered")
    dst = "ff02::2"
    env.send_ip(GUEST_LL, dst, frames.ICMP6, frames.icmp(GUEST_LL, dst, 133, 0, bytes(4)),
                link=d.link, ttl=255)
    p = d.link.wait(lambda p: p.kind == "icmp" and p.type == 134)
    check(p, "no router advertisement")
    equal(p.l4[5], 0, "flags")


main()
