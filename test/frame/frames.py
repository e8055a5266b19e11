# SPDX-License-Identifier: GPL-2.0-or-later
"""
frames.py - Build and parse Ethernet frames, with struct alone, so that it is fast

Builders return bytes and compute every length and checksum that is not given;
parse() returns a Pkt with everything below as plain attributes.  Addresses are
text, MAC addresses 6 bytes, numbers in host order.
"""

import socket
import struct

ETH_IP4, ETH_ARP, ETH_IP6 = 0x0800, 0x0806, 0x86dd
ICMP4, TCP, UDP, ICMP6 = 1, 6, 17, 58
HOPOPTS, ROUTING, FRAGMENT, DSTOPTS = 0, 43, 44, 60
BROADCAST = b"\xff" * 6

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
FLAG_LETTERS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK, "U": URG,
                "E": ECE, "C": CWR}

# struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
VNET = struct.Struct("=BBHHHH")
NEEDS_CSUM = 1
GSO_NONE, GSO_TCP4, GSO_TCP6, GSO_UDP_L4 = 0, 1, 4, 5


def flags_of(letters):
    """'SA' -> SYN | ACK"""
    bits = 0
    for letter in letters:
        bits |= FLAG_LETTERS[letter]
    return bits


def letters_of(bits):
    return "".join(c for c, bit in FLAG_LETTERS.items() if bits & bit) or "-"


def is4(addr):
    return ":" not in addr


def pton(addr):
    return socket.inet_pton(socket.AF_INET if is4(addr) else socket.AF_INET6, addr)


def ntop(raw):
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def csum(data):
    """Internet checksum (RFC 1071) of bytes that are not all zero"""
    if len(data) & 1:
        data += b"\0"
    rest = int.from_bytes(data, "big") % 0xffff
    return 0xffff - rest if rest else 0


def csum_raw(data):
    """The sum of words, folded, not inverted"""
    return 0xffff - csum(data)


def pseudo(src, dst, proto, length):
    s, d = pton(src), pton(dst)
    if len(s) == 4:
        return s + d + struct.pack("!BBH", 0, proto, length)
    return s + d + struct.pack("!IHBB", length, 0, 0, proto)


def l4csum(src, dst, proto, data):
    return csum(pseudo(src, dst, proto, len(data)) + data)


def put16(data, offset, value):
    return data[:offset] + struct.pack("!H", value) + data[offset + 2:]


# --- builders, from the inside out ---------------------------------------------

def tcp_opts(mss=None, ws=None, extra=b""):
    o = b""
    if mss is not None:
        o += struct.pack("!BBH", 2, 4, mss)
    if ws is not None:
        o += struct.pack("!BBBB", 1, 3, 3, ws)
    o += extra
    return o + b"\1" * (-len(o) % 4)


def tcp(src, dst, sport, dport, seq, ack, flags, wnd, data=b"", opts=b"",
        checksum=None, doff=None):
    doff = (20 + len(opts)) // 4 if doff is None else doff
    seg = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff,
                      ack & 0xffffffff, doff << 4, flags, wnd, 0, 0) + opts + data
    if checksum is None:
        checksum = l4csum(src, dst, TCP, seg)
    return put16(seg, 16, checksum)


def udp(src, dst, sport, dport, data=b"", checksum=None, length=None):
    length = 8 + len(data) if length is None else length
    dg = struct.pack("!HHHH", sport, dport, length, 0) + data
    if checksum is None:
        checksum = l4csum(src, dst, UDP, dg) or 0xffff
    return put16(dg, 6, checksum)


def icmp(src, dst, kind, code, rest, checksum=None):
    """rest: bytes after the checksum"""
    msg = struct.pack("!BBH", kind, code, 0) + rest
    if checksum is None:
        checksum = csum(msg) if is4(src) else l4csum(src, dst, ICMP6, msg)
    return put16(msg, 2, checksum)


def echo(src, dst, ident, seq, data=b"", reply=False, checksum=None):
    kind = (0 if reply else 8) if is4(src) else (129 if reply else 128)
    return icmp(src, dst, kind, 0, struct.pack("!HH", ident, seq) + data, checksum)


def ip4(src, dst, proto, payload, ttl=64, tos=0, ident=0, frag=0x4000, opts=b"",
        checksum=None, total=None, ver_ihl=None):
    hlen = 20 + len(opts)
    hdr = struct.pack("!BBHHHBBH4s4s",
                      0x40 | hlen // 4 if ver_ihl is None else ver_ihl, tos,
                      hlen + len(payload) if total is None else total,
                      ident, frag, ttl, proto, 0, pton(src), pton(dst)) + opts
    return put16(hdr, 10, csum(hdr) if checksum is None else checksum) + payload


def ip6(src, dst, proto, payload, ttl=64, tos=0, flow=0, length=None, version=6):
    return struct.pack("!IHBB16s16s", version << 28 | tos << 20 | flow,
                       len(payload) if length is None else length, proto, ttl,
                       pton(src), pton(dst)) + payload


def ip(src, dst, proto, payload, **kw):
    return (ip4 if is4(src) else ip6)(src, dst, proto, payload, **kw)


def eth(dst, src, ethertype, payload):
    return dst + src + struct.pack("!H", ethertype) + payload


def arp(op, sha, spa, tha, tpa):
    return struct.pack("!HHBBH6s4s6s4s", 1, ETH_IP4, 6, 4, op, sha, pton(spa), tha,
                       pton(tpa))


def fragments(src, dst, proto, l4, size, ident, **kw):
    """IP packets with at most size (a multiple of 8) bytes of l4 each"""
    out = []
    for off in range(0, len(l4), size):
        part, more = l4[off:off + size], off + size < len(l4)
        out.append(fragment(src, dst, proto, part, off, more, ident, **kw))
    return out


def fragment(src, dst, proto, part, off, more, ident, **kw):
    if is4(src):
        return ip4(src, dst, proto, part, ident=ident,
                   frag=(0x2000 if more else 0) | off // 8, **kw)
    head = struct.pack("!BBHI", proto, 0, off | more, ident)
    return ip6(src, dst, FRAGMENT, head + part, **kw)


def solicited_node(addr):
    return ntop(pton("ff02::1:ff00:0")[:13] + pton(addr)[13:])


def mcast_mac(addr):
    raw = pton(addr)
    if len(raw) == 4:
        return b"\x01\x00\x5e" + bytes([raw[1] & 0x7f]) + raw[2:]
    return b"\x33\x33" + raw[12:]


# --- parsing --------------------------------------------------------------------

class Pkt:
    """One frame.  bad: list of its defects, as text"""

    # Absent fields read as None
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def __str__(self):
        where = f"{self.src} > {self.dst}" if self.src else ""
        extra = f" gso {self.gso}" if self.gso else ""
        if self.bad:
            extra += " BAD: " + ", ".join(self.bad)
        if self.kind == "tcp":
            opts = "".join(f" {k} {v}" for k, v in
                           (("mss", self.mss), ("ws", self.ws)) if v is not None)
            return (f"{where} tcp {self.sport}>{self.dport} "
                    f"{letters_of(self.flags)} {self.seq}:{self.seq + self.len}"
                    f"({self.len}) ack {self.ack} win {self.wnd}{opts}{extra}")
        if self.kind == "udp":
            return f"{where} udp {self.sport}>{self.dport} ({self.len}){extra}"
        if self.kind == "icmp":
            return f"{where} icmp {self.type}/{self.code} ({self.len}){extra}"
        if self.kind == "frag":
            return (f"{where} fragment {self.frag_off}+{self.len}"
                    f"{' more' if self.more else ''}{extra}")
        if self.kind == "arp":
            return f"arp {self.op} {self.spa} asks for or owns {self.tpa}{extra}"
        return f"{self.kind} {len(self.raw)} bytes{extra}"


def parse_tcp_opts(p, o):
    while o:
        if o[0] == 0:
            break
        if o[0] == 1:
            o = o[1:]
            continue
        if len(o) < 2 or o[1] < 2 or o[1] > len(o):
            p.bad.append("TCP options")
            break
        p.tcp_opts.append(o[0])
        if o[0] == 2 and o[1] == 4:
            p.mss = struct.unpack("!H", o[2:4])[0]
        elif o[0] == 3 and o[1] == 3:
            p.ws = o[2]
        o = o[o[1]:]


def check_l4(p, l4, csum_at):
    """Check the checksum, or its sum of the pseudo header if the device completes it"""
    ps = pseudo(p.src, p.dst, p.proto, len(l4))
    if p.vnet and p.vnet[0] & NEEDS_CSUM:
        start = len(p.raw) - p.pad - len(l4)
        if p.vnet[4:6] != (start, csum_at):
            p.bad.append("csum_start, csum_offset")
        have = struct.unpack_from("!H", l4, csum_at)[0]
        if not p.vnet[1] and have != csum_raw(ps):
            p.bad.append("partial checksum")
        if p.vnet[1] and have != csum_raw(ps):
            p.bad.append("partial checksum of GSO frame")
    elif csum(ps + l4):
        p.bad.append("checksum")


def parse_l4(p, l4):
    p.l4 = l4
    if p.proto == TCP and len(l4) >= 20:
        p.kind = "tcp"
        (p.sport, p.dport, p.seq, p.ack, doff, p.flags, p.wnd, _, _) = \
            struct.unpack_from("!HHIIBBHHH", l4)
        hlen = (doff >> 4) * 4
        p.data = l4[hlen:]
        p.len = len(p.data)
        p.tcp_opts = []			# kinds, without padding
        parse_tcp_opts(p, l4[20:hlen])
        check_l4(p, l4, 16)
    elif p.proto == UDP and len(l4) >= 8:
        p.kind = "udp"
        p.sport, p.dport, length, c = struct.unpack_from("!HHHH", l4)
        p.data = l4[8:]
        if length != len(l4) and not p.gso:
            p.bad.append("UDP length")
        if c or p.version == 6:
            check_l4(p, l4, 6)
    elif p.proto in (ICMP4, ICMP6) and len(l4) >= 8:
        p.kind = "icmp"
        p.type, p.code = l4[0], l4[1]
        p.ident, p.echo_seq = struct.unpack_from("!HH", l4, 4)
        p.word = struct.unpack_from("!I", l4, 4)[0]
        p.data = l4[8:]
        if csum(l4 if p.version == 4 else
                pseudo(p.src, p.dst, ICMP6, len(l4)) + l4):
            p.bad.append("checksum")
    else:
        p.kind = "other"
        p.data = l4
    p.len = len(p.data)


def parse_ip4(p, b):
    (vi, p.tos, total, p.ip_id, frag, p.ttl, p.proto, _, s, d) = \
        struct.unpack_from("!BBHHHBBH4s4s", b)
    hlen = (vi & 15) * 4
    p.version, p.src, p.dst = 4, ntop(s), ntop(d)
    if vi >> 4 != 4:
        p.bad.append("version")
    if csum(b[:hlen]):
        p.bad.append("IP checksum")
    if total > len(b):
        p.bad.append("IP length")
    p.l3_len, p.pad = total, len(b) - total
    p.df = bool(frag & 0x4000)
    if frag & 0x3fff:
        p.kind, p.frag_off, p.more = "frag", (frag & 0x1fff) * 8, bool(frag & 0x2000)
        p.data = b[hlen:total]
        p.len, p.frag_id = len(p.data), p.ip_id
    else:
        parse_l4(p, b[hlen:total])


def parse_ip6(p, b):
    vtf, plen, p.proto, p.ttl, s, d = struct.unpack_from("!IHBB16s16s", b)
    p.version, p.src, p.dst = 6, ntop(s), ntop(d)
    p.tos = vtf >> 20 & 0xff
    if vtf >> 28 != 6:
        p.bad.append("version")
    if plen > len(b) - 40:
        p.bad.append("IP length")
    p.l3_len, p.pad = plen + 40, len(b) - 40 - plen
    body = b[40:40 + plen]
    if p.proto == FRAGMENT:
        p.proto, _, off, p.frag_id = struct.unpack_from("!BBHI", body)
        p.kind, p.frag_off, p.more = "frag", off & 0xfff8, bool(off & 1)
        p.data = body[8:]
        p.len = len(p.data)
    else:
        parse_l4(p, body)


def parse(raw, vnet=None):
    """vnet: tuple of a virtio-net header, or None"""
    p = Pkt()
    p.raw, p.vnet, p.bad, p.kind = raw, vnet, [], "other"
    p.data, p.len = b"", 0
    p.gso = vnet[3] if vnet and vnet[1] else 0
    p.gso_type = vnet[1] if vnet else 0
    p.eth_dst, p.eth_src = raw[:6], raw[6:12]
    if len(raw) < 14:
        p.bad.append("no header")
        return p
    p.ethertype = struct.unpack_from("!H", raw, 12)[0]
    body = raw[14:]
    try:
        if p.ethertype == ETH_IP4:
            parse_ip4(p, body)
        elif p.ethertype == ETH_IP6:
            parse_ip6(p, body)
        elif p.ethertype == ETH_ARP:
            p.kind = "arp"
            (_, _, _, _, p.op, p.sha, spa, p.tha, tpa) = \
                struct.unpack_from("!HHBBH6s4s6s4s", body)
            p.spa, p.tpa = ntop(spa), ntop(tpa)
    except (struct.error, IndexError) as e:
        p.bad.append(f"cut short ({e})")
    return p


def reassemble(frags):
    """Reassemble the fragments of one datagram into one Pkt"""
    frags = sorted(frags, key=lambda f: f.frag_off)
    first, l4 = frags[0], b""
    for f in frags:
        if f.frag_off != len(l4):
            return None
        l4 += f.data
    if frags[-1].more:
        return None
    p = Pkt()
    p.raw, p.bad, p.vnet, p.gso = first.raw, [], None, 0
    p.version, p.src, p.dst, p.proto = first.version, first.src, first.dst, first.proto
    p.eth_dst, p.eth_src, p.ttl, p.tos = (first.eth_dst, first.eth_src, first.ttl,
                                          first.tos)
    for f in frags:
        p.bad += f.bad
    p.pad, p.fragments = 0, len(frags)
    parse_l4(p, l4)
    return p
