# SPDX-License-Identifier: GPL-2.0-or-later
"""
harness.py - The daemon between a hand-made guest and the sockets of a host

    test: hand-made frames                        "host": namespaces of the test
      guest 198.51.100.1   == L2 == passt/pasta ==  lo  203.0.113.1, 2001:db8:2::1
            2001:db8:1::1                           eth0 198.51.100.1, 2001:db8:1::1
                                                     |   default via .254, ::fe
                                                    eth1 hand-made frames again

A test file registers functions with @test and ends with main().  It is executed
again in namespaces of its own once for each backend, all at the same time:

    stream      passt -F FD: frames over a socketpair, MTU 1500
    stream-64k  the same with the largest MTU, and without SO_PEEK_OFF
    tun         pasta -- COMMAND: COMMAND sends us a packet socket on the tap device,
                with virtio-net headers, and otherwise keeps the kernel there silent
    tun-plain   the same without any offload, MTU 1500
    stream-cut  as stream, with the largest MTU, and each frame in several pieces of
                memory: see scatter.c
    tun-cut     as tun, the same
    vhost       passt --vhost-user -F FD: frames in memory that is shared with a driver
                which knows all features, see vhost.py
    vhost-plain the same with a driver that knows none, MTU 1500

So everything runs in one process, in one thread: the guest's frames, peers that
are sockets, and peers that are made by hand (Env.net).  No test sleeps for luck:
a test waits for a frame or for a socket, and barrier() shows that nothing comes: it
is a question, and the daemon answers it after everything that came before.

A process that does not get its time acknowledges too late, and rightly gets a segment
twice.  So a test that fails while the machine stood still (Watch) runs once more,
since its result tells nothing about the daemon.

usage: NAME.t [-v] [-b BACKEND] [TEST...]	-v: print each dialogue
"""

import collections
import contextlib
import fcntl
import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import frames
import vhost
from frames import (ACK, ETH_ARP, ETH_IP4, ETH_IP6, FIN, PSH, RST, SYN, VNET, flags_of,
                    is4, letters_of)

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PASST = os.environ.get("PASST", os.path.join(TOP, "passt"))

TIMEOUT = 6.0			# seconds to wait for an expected frame or event
STILL = 0.1			# seconds without the CPU that may change a dialogue
TRIES = 3			# of a test that measures time: something else may run
REPEATS = 5			# tests repeated for that, in a run of a backend
GUEST_MAC = bytes.fromhex("525400123456")
OUR_MAC = bytes.fromhex("9a559a559a55")
FAR_MAC = bytes.fromhex("525400fefefe")
OUR_LL = "fe80::9855:9aff:fe55:9a55"	# RFC 4291, appendix A, of OUR_MAC

BACKENDS = {
    "stream": ["-m", "1500"],
    "stream-64k": ["--no-peek-off"],
    "tun": [],
    "tun-plain": ["--tap-offload=none", "-m", "1500"],
    "stream-cut": [],
    "tun-cut": [],
    "vhost": [],
    "vhost-plain": ["-m", "1500"],
}

STREAMS = [b for b in BACKENDS if b.startswith("stream")]
TUNS = [b for b in BACKENDS if b.startswith("tun")]
CUT = [b for b in BACKENDS if b.endswith("-cut")]
VHOST_FEATURES = {"vhost": ~0, "vhost-plain": 0}
SCATTER = os.path.join(TOP, "build/scatter/passt")
SMALL_FLOWS = 16          # entries of the flow table of build/small/passt

PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, SOL_PACKET = 15, 23, 263
SO_RCVBUFFORCE = 33


class Family:
    """Addresses of one family, and how to make sockets for it"""

    def __init__(self, version, guest, gw, peer, peer2, silent, loop, denied):
        self.version, self.guest, self.gw, self.peer = version, guest, gw, peer
        self.peer2, self.silent, self.loop, self.denied = peer2, silent, loop, denied
        self.af = socket.AF_INET if version == 4 else socket.AF_INET6
        self.hdrlen = 20 if version == 4 else 40
        self.ethertype = ETH_IP4 if version == 4 else ETH_IP6

    def __str__(self):
        return f"IPv{self.version}"


# guest: our address and, as with pasta's defaults, one of the host, too.  gw: stands for
# the host's loopback.  peer, peer2: other addresses of the host.  silent: an address
# behind the gateway, where only a test answers.  denied: an address without a route
IP4 = Family(4, "198.51.100.1", "198.51.100.254", "203.0.113.1", "203.0.113.2",
             "203.0.113.77", "127.0.0.1", "192.0.2.1")
IP6 = Family(6, "2001:db8:1::1", "2001:db8:1::fe", "2001:db8:2::1", "2001:db8:2::2",
             "2001:db8:2::77", "::1", "2001:db8:dead::1")


class Failed(Exception):
    """A test did not find the expected result"""


class Skip(Exception):
    """The test can't run here; the argument is the reason"""


def check(condition, text):
    if not condition:
        raise Failed(text)


def equal(got, wanted, what):
    if got != wanted:
        def short(v):
            s = repr(v)
            return s if len(s) < 200 else s[:150] + f"... {len(v)} long"
        raise Failed(f"{what}: got {short(got)}, expected {short(wanted)}")


def wait_until(condition, what, timeout=TIMEOUT):
    """Poll a condition without a descriptor to wait for"""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"timeout: {what}")
        time.sleep(0.002)


# --- links that frames go through -----------------------------------------------------

class Link:
    """Frames out and in.  Received frames are kept, in order, until a test waits for them"""

    def __init__(self, name, mac, verify=True):
        self.name, self.mac, self.verify = name, mac, verify
        self.pending = collections.deque()
        self.frags = {}
        self.log = []
        self.closed = False
        self.only6 = False		# barriers need a neighbour solicitation
        self.wants_ra = False		# router advertisements nobody asked for
        self.empty_at = time.monotonic()	# when there was nothing last

    # of the backends
    def fileno(self):
        return self.sock.fileno()

    def read_raw(self):
        """-> list of (frame, vnet header or None); [] if there is nothing, now"""
        raise NotImplementedError

    def write_raw(self, raws, vnet):
        raise NotImplementedError

    def note(self, arrow, p):
        if len(self.log) < 10000:
            self.log.append((time.monotonic(), self.name, arrow, p))

    def send(self, raw, vnet=None):
        self.send_many([raw], vnet)

    def send_many(self, raws, vnet=None):
        """Send several frames, with one call if the link can do that"""
        for raw in raws:
            self.note("->", frames.parse(raw, vnet and VNET.unpack(vnet)))
        self.write_raw(raws, vnet)

    def take(self, raw, vnet):
        p = frames.parse(raw, vnet)
        p.after, p.at = self.empty_at, time.monotonic()	# sent in between
        self.note("<-", p)
        if p.kind == "frag":
            key = (p.src, p.dst, p.proto, p.frag_id)
            self.frags.setdefault(key, []).append(p)
            if self.verify and p.bad:
                raise Failed(f"bad fragment: {p}")
            whole = frames.reassemble(self.frags[key])
            if not whole:
                return
            del self.frags[key]
            p = whole
        if self.verify and p.bad:
            raise Failed(f"bad frame: {p}: {p.raw[:120].hex()}")
        if p.kind == "icmp" and p.type == 134 and p.dst == "ff02::1" \
                and not self.wants_ra:
            return
        self.pending.append(p)

    def poll(self, timeout):
        """Receive all frames that are there, wait if there are none; False on timeout"""
        begin = time.monotonic()
        got = self.read_raw()
        if not got:
            self.empty_at = begin
        if not got and timeout > 0:
            select.select([self], [], [], timeout)
            got = self.read_raw()
        for raw, vnet in got:
            self.take(raw, vnet)
        return bool(got)

    def find(self, match):
        for i, p in enumerate(self.pending):
            if match(p):
                del self.pending[i]
                return p
        return None

    def wait(self, match, timeout=TIMEOUT):
        """The first frame that matches, or None"""
        end = time.monotonic() + timeout
        while True:
            p = self.find(match)
            if p:
                return p
            left = end - time.monotonic()
            if left <= 0 or self.closed:
                return None
            self.poll(min(left, 0.05))	# to know when a frame was not there yet

    def clear(self):
        with contextlib.suppress(Failed, OSError):
            while self.poll(0):
                pass
        self.wants_ra = False
        self.pending.clear()
        self.frags.clear()
        self.log.clear()


class StreamLink(Link):
    """A UNIX stream socket, each frame after its length"""

    def __init__(self, name, mac, sock):
        super().__init__(name, mac)
        self.sock = sock
        self.buf = b""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                        struct.pack("ll", 10, 0))

    def read_raw(self):
        try:
            part = self.sock.recv(1 << 20, socket.MSG_DONTWAIT)
            self.closed = not part
        except BlockingIOError:
            return []
        except ConnectionResetError:
            self.closed = True
            return []
        buf, out, at = self.buf + part, [], 0
        while len(buf) - at >= 4:
            (n,) = struct.unpack_from("!I", buf, at)
            if n < 14 or n > 65549:
                raise Failed(f"frame of {n} bytes on the stream")
            if len(buf) - at - 4 < n:
                break
            out.append((buf[at + 4:at + 4 + n], None))
            at += 4 + n
        self.buf = buf[at:]
        return out

    def write_raw(self, raws, vnet):
        data = b"".join(struct.pack("!I", len(raw)) + raw for raw in raws)
        if len(data) < 100000:
            self.sock.sendall(data)
            return
        # The daemon may wait for us while we wait for it
        view = memoryview(data)
        while view:
            r, w, _ = select.select([self], [self], [], 10)
            check(r or w, "daemon takes no frames")
            if w:
                with contextlib.suppress(BlockingIOError):
                    view = view[self.sock.send(view, socket.MSG_DONTWAIT):]
            if r:
                self.poll(0)


class PacketLink(Link):
    """A packet socket on a device, with virtio-net headers"""

    def __init__(self, name, mac, sock, verify=True):
        super().__init__(name, mac, verify)
        self.sock = sock
        with contextlib.suppress(OSError):	# root of a user namespace may not
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)

    def read_raw(self):
        out = []
        while len(out) < 64:
            try:
                raw = self.sock.recv(70000, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:		# link down: the namespace is gone
                self.closed = True
                break
            out.append((raw[VNET.size:], VNET.unpack_from(raw)))
        return out

    def write_raw(self, raws, vnet):
        head = vnet or bytes(VNET.size)
        for raw in raws:
            self.sock.send(head + raw)


class VhostLink(Link):
    """Queues in shared memory; self.sock is the connection of the front-end"""

    def __init__(self, name, mac, sock, features):
        super().__init__(name, mac)
        self.sock, self.features = sock, features
        self.front = vhost.FrontEnd(sock)
        self.driver = None

    def begin(self):
        self.front.hello(self.features)
        self.driver = vhost.Driver(self.front)
        check(not self.driver.start(), "the queues start")
        # The daemon asks who we are, all in one turn
        self.wait(lambda p: p.kind == "arp" or (p.kind == "icmp" and p.type == 135), 1)
        self.front.order(vhost.SET_OWNER)
        self.clear()

    def fileno(self):
        return self.front.call[0]

    def read_raw(self):
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.front.call[0])
        out = [(raw, VNET.unpack(head)) for raw, head in self.driver.receive()]
        if not out and select.select([self.sock], [], [], 0)[0]:
            with contextlib.suppress(OSError):
                self.closed = not self.sock.recv(1, socket.MSG_PEEK)
        return out

    def write_raw(self, raws, vnet):
        head = vnet or bytes(VNET.size)
        self.driver.send([(head, raw) for raw in raws])


def mac_of(ifname):
    """SIOCGIFHWADDR: /sys may show another namespace"""
    with socket.socket() as s:
        return fcntl.ioctl(s, 0x8927, struct.pack("16s240x", ifname.encode()))[18:24]


def packet_socket(ifname):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    with contextlib.suppress(OSError):
        s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.bind((ifname, 3))		# ETH_P_ALL
    return s


# --- the daemon -----------------------------------------------------------------------

def sysctl(path, value):
    with contextlib.suppress(OSError):
        with open("/proc/sys/net/" + path, "w", encoding="ascii") as f:
            f.write(str(value))


def sh(command):
    r = subprocess.run(command, shell=True, capture_output=True, text=True,
                       check=False)
    if r.returncode:
        raise RuntimeError(f"{command}: {r.stderr.strip()}")


def run_delay(pid):
    """Seconds that a process waited for a CPU"""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[1]) / 1e9
    return 0.0


class Watch:
    """Longest time that this process and the daemons stood still since start(), seconds"""

    STEP = 0.02

    def __init__(self):
        self.longest, self.ours, self.daemons = 0.0, 0.0, {}
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        """Compare with the clock, too: it alone shows that a hypervisor took the CPU away"""
        while True:
            before = time.monotonic()
            time.sleep(self.STEP)
            self.longest = max(self.longest, time.monotonic() - before - self.STEP)

    def start(self):
        Daemon.running = [d for d in Daemon.running if d.alive()]
        self.longest, self.ours = 0.0, run_delay("self")
        self.daemons = {d: d.waited() for d in Daemon.running}

    def still(self):
        return max(self.longest, run_delay("self") - self.ours,
                   *(d.waited() - self.daemons.get(d, 0.0) for d in Daemon.running))


class Daemon:
    """A running passt or pasta, and the link to it"""

    running = []

    def __init__(self, backend, *args, program=None, verbose=False, nofile=None):
        self.stderr = tempfile.TemporaryFile()
        self.limits = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                  (nofile, nofile))) if nofile else None
        self.program = program or (SCATTER if backend in CUT else PASST)
        self.args = [*args, "-f"]
        if verbose:
            self.args.append("-d")
        if backend.startswith("stream"):
            self.start_stream()
        elif backend in VHOST_FEATURES:
            self.start_vhost(VHOST_FEATURES[backend])
        else:
            self.start_tun()
        Daemon.running.append(self)

    def start_passt(self, *args):
        """-> our end of its connection"""
        ours, theirs = socket.socketpair()
        with theirs:
            self.proc = subprocess.Popen(
                [self.program, "-F", str(theirs.fileno()), *args, *self.args],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                stdout=self.stderr, stderr=self.stderr, preexec_fn=self.limits)
        return ours

    def start_stream(self):
        self.link = StreamLink("guest", GUEST_MAC, self.start_passt())

    def start_vhost(self, features):
        self.link = VhostLink("guest", GUEST_MAC, self.start_passt("--vhost-user"),
                              features)
        self.link.begin()

    def start_tun(self):
        with tempfile.TemporaryDirectory(prefix="frame.") as d:
            os.chmod(d, 0o755)
            pasta = os.path.join(d, "pasta")
            os.symlink(self.program, pasta)
            with socket.socket(socket.AF_UNIX) as srv:
                srv.bind(os.path.join(d, "s"))
                os.chmod(os.path.join(d, "s"), 0o666)
                srv.listen(1)
                self.proc = subprocess.Popen(
                    [pasta, "-I", "tap9", "-t", "none", "-u", "none", "-T", "none",
                     "-U", "none", *self.args, "--", sys.executable, "-SEB",
                     os.path.join(HERE, "harness.py"), os.path.join(d, "s")],
                    stdin=subprocess.DEVNULL, stdout=self.stderr,
                    stderr=self.stderr, preexec_fn=self.limits)
                sock = self.receive(srv)
        self.link = PacketLink("guest", GUEST_MAC, sock)

    def receive(self, srv):
        """The packet socket from the other namespace"""
        end = time.monotonic() + 30
        srv.settimeout(0.1)
        while True:
            try:
                self.control, _ = srv.accept()
                break
            except TimeoutError:
                if self.proc.poll() is not None or time.monotonic() > end:
                    raise Failed(f"no start: {self.output()}") from None
        self.control.settimeout(30)
        _, fds, _, _ = socket.recv_fds(self.control, 1, 1)
        check(fds, f"no socket from inside: {self.output()}")
        return socket.socket(fileno=fds[0])

    def output(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")

    def alive(self):
        return self.proc.poll() is None

    @contextlib.contextmanager
    def paused(self):
        """Stop the daemon, so that frames sent meanwhile reach it as one batch"""
        os.kill(self.proc.pid, signal.SIGSTOP)
        with open(f"/proc/{self.proc.pid}/stat", encoding="ascii") as f:
            wait_until(lambda: f.seek(0) or f.read().rsplit(")")[-1].split()[0] == "T",
                       "stopped")
        try:
            yield
        finally:
            os.kill(self.proc.pid, signal.SIGCONT)

    def cpu(self):
        """CPU time used so far, seconds"""
        with open(f"/proc/{self.proc.pid}/stat", encoding="ascii") as f:
            t = f.read().rsplit(")")[-1].split()
        return (int(t[11]) + int(t[12])) / os.sysconf("SC_CLK_TCK")

    def spins(self, seconds, limit):
        """Does the daemon use more CPU time than that in each of a few such spans?"""
        for _ in range(TRIES):
            before = self.cpu()
            select.select([], [], [], seconds)
            if self.cpu() - before < limit:
                return False
        return True

    def waited(self):
        """Seconds that the daemon was ready to run, but did not"""
        return run_delay(self.proc.pid)

    def fds(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    def stop(self):
        with contextlib.suppress(OSError):
            self.link.sock.close()
        if hasattr(self, "control"):
            self.control.close()
        try:
            self.proc.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.stderr.close()


def inside(path):
    """COMMAND of pasta: silence the kernel, lend a packet socket, stay"""
    name = "tap9"
    sysctl(f"ipv6/conf/{name}/disable_ipv6", 1)
    sysctl(f"ipv4/conf/{name}/arp_ignore", 8)
    if subprocess.run(["ip", "link", "set", name, "arp", "off", "up"],
                      check=False).returncode:
        sys.exit(1)
    s = packet_socket(name)
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(path)
        socket.send_fds(c, [b"x"], [s.fileno()])
        c.recv(1)


# --- the host ---------------------------------------------------------------------------

def set_stage():
    """Interfaces, addresses and routes of the host's namespace"""
    sysctl("ipv4/ping_group_range", "0 0")
    sysctl("ipv4/ping_group_range", "0 2147483647")
    sysctl("ipv6/conf/all/accept_dad", 0)
    sysctl("ipv6/conf/default/accept_dad", 0)
    sysctl("ipv6/conf/default/router_solicitations", 0)
    sysctl("ipv4/tcp_congestion_control", "reno")
    sysctl("ipv4/icmp_ratelimit", 0)
    sysctl("ipv4/icmp_msgs_per_sec", 100000)
    sysctl("ipv6/icmp/ratelimit", 0)
    sh(f"""
ip link set lo up
ip link add eth0 mtu 65520 type veth peer name eth1 mtu 65520 || exit
echo 1 > /proc/sys/net/ipv6/conf/eth1/disable_ipv6
ip link set eth0 arp off multicast off up
ip link set eth1 arp off up
ip addr add {IP4.guest}/24 dev eth0
ip addr add {IP6.guest}/64 dev eth0 nodad
for a in {IP4.peer} {IP4.peer2}; do ip addr add $a/32 dev lo; done
for a in {IP6.peer} {IP6.peer2}; do ip addr add $a/128 dev lo nodad; done
ip route add default via {IP4.gw} dev eth0
ip -6 route add default via {IP6.gw} dev eth0
ip route add unreachable 192.0.2.0/24
ip -6 route add unreachable 2001:db8:dead::/48
""")


def can_be_host():
    """None, or the reason why there can't be namespaces"""
    command = ["unshare", "-nm"] if os.getuid() == 0 else ["unshare", "-Urnm"]
    r = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    return (command, None if not r.returncode else r.stderr.strip())


# --- TCP by hand --------------------------------------------------------------------------

class Conn:
    """
    One end of a TCP connection, made by hand.  Sequence numbers are relative: seq to
    iss, ack to irs, so that the first byte of data is 1 in both directions.  Fields
    that are not given are those that a correct end would send next.
    """

    def __init__(self, env, link, ip, src, dst, sport, dport, dst_mac, mss=None,
                 ws=None, wnd=65535, iss=None):
        self.env, self.link, self.ip = env, link, ip
        self.src, self.dst, self.sport, self.dport = src, dst, sport, dport
        self.dst_mac = dst_mac
        self.iss = random.getrandbits(32) if iss is None else iss
        self.nxt = 0			# next to send, relative
        self.irs = None
        self.rcv = 0			# next expected, relative
        self.mss, self.ws, self.wnd = mss, ws, wnd
        self.their_mss = self.their_ws = None
        self.acked = 0			# highest ack received
        self.edge = 0			# right edge of their window
        self.last = None		# last segment received
        self.count = 0			# segments received
        self.bytes = 0			# of data in all of them
        self.data = bytearray()		# received in order
        self.reset = False
        self.spoke = time.monotonic()	# when we sent last
        self.firsts = collections.deque(maxlen=1000)	# (sequence number, not before)
        self.twice = 0			# bytes that a timer had the time to send again
        env.conns.append(self)

    # sending

    def frame(self, flags, data=b"", seq=None, ack=None, wnd=None, opts=b"", **kw):
        """Make a frame, but do not send it; nxt moves on unless seq is given"""
        bits = flags_of(flags)
        if bits & SYN and not opts:
            opts = frames.tcp_opts(self.mss, self.ws)
        at = self.nxt if seq is None else seq
        if seq is None:
            self.nxt += len(data) + bool(bits & SYN) + bool(bits & FIN)
        if ack is None:
            ack = self.rcv
        ack_abs = (self.irs or 0) + ack if bits & ACK else 0
        seg = frames.tcp(self.src, self.dst, self.sport, self.dport, self.iss + at,
                         ack_abs, bits, self.wnd if wnd is None else wnd, data, opts,
                         **kw)
        return frames.eth(self.dst_mac, self.link.mac, self.ip.ethertype,
                          frames.ip(self.src, self.dst, frames.TCP, seg))

    def send(self, flags, data=b"", **kw):
        self.spoke = time.monotonic()
        self.link.send(self.frame(flags, data, **kw))

    def send_gso(self, data, size, flags="PA", seq=None):
        """Send one unsegmented frame with a partial checksum"""
        raw = self.frame(flags, data, seq=seq)
        l4 = 14 + self.ip.hdrlen
        start = frames.pseudo(self.src, self.dst, frames.TCP, len(raw) - l4)
        raw = frames.put16(raw, l4 + 16, frames.csum_raw(start))
        kind = frames.GSO_TCP4 if self.ip.version == 4 else frames.GSO_TCP6
        self.link.send(raw, VNET.pack(frames.NEEDS_CSUM, kind, l4 + 20, size, l4, 16))

    def send_all(self, data, size, flags="A"):
        """Send data in segments of size bytes, in one batch"""
        self.link.send_many([self.frame(flags, data[i:i + size])
                             for i in range(0, len(data), size)])

    # receiving

    def mine(self, p):
        return (p.kind == "tcp" and p.sport == self.dport and p.dport == self.sport
                and p.src == self.dst and p.dst == self.src)

    def learn(self, p):
        self.last, self.count = p, self.count + 1
        self.bytes += p.len
        p.fin = bool(p.flags & FIN)
        begins = p.flags & SYN and p.seq != self.irs
        if begins:
            self.meet(p)
        base = p.seq if self.irs is None else self.irs
        p.rel_seq = (p.seq - base) & 0xffffffff
        p.rel_ack = (p.ack - self.iss) & 0xffffffff
        if p.rel_seq > 1 << 31:
            p.rel_seq -= 1 << 32
        if p.flags & RST:
            self.reset = True
            return p
        p.late = not begins and self.again(p)
        if p.flags & ACK:
            shift = self.their_ws if self.ws is not None and self.their_ws and \
                not p.flags & SYN else 0
            p.window = p.wnd << shift
            if self.acked < p.rel_ack < 1 << 31:
                self.acked = p.rel_ack
            self.edge = max(self.edge, p.rel_ack + p.window)
        if p.len and p.rel_seq <= self.rcv < p.rel_seq + p.len:
            self.data += p.data[self.rcv - p.rel_seq:]
            self.rcv = p.rel_seq + p.len
        if p.fin and p.rel_seq + p.len == self.rcv:
            self.rcv += 1
        self.sane(p)
        return p

    def meet(self, p):
        """Take over sequence number and options of the other end's SYN"""
        self.irs, self.rcv, self.their_mss, self.their_ws = p.seq, 1, p.mss, p.ws
        self.firsts.append((0, p.after))

    def again(self, p):
        """
        Is this a repeated segment, or a probe of our window, that a timer may rightly
        have sent in the time since we last sent something?
        """
        timer = 0.18 if self.link.mac == FAR_MAC else 0.36	# the kernel's, ours
        if not p.len and p.rel_seq == self.rcv - 1 and not p.flags & (SYN | FIN):
            return p.at - self.spoke > timer
        if not p.len and not p.flags & (SYN | FIN):
            return False
        if p.rel_seq + p.len + p.fin > self.rcv:
            self.firsts.append((p.rel_seq, p.after))
            return False
        first = next((t for seq, t in reversed(self.firsts) if seq <= p.rel_seq), p.at)
        if p.at - first <= timer:
            return False
        self.twice += p.len
        return True

    def sane(self, p):
        """Check the rules for every segment but a RST and a repeated SYN"""
        if not self.link.verify or (p.flags == SYN and p.seq == self.irs):
            return
        check(p.flags & ACK, f"segment without ACK: {p}")
        limit = min(self.mss or self.default_mss(), self.env.mtu - self.ip.hdrlen - 20)
        size = p.gso or p.len
        check(size <= max(limit, 88), f"segment of {size} bytes, MSS is {limit}: {p}")
        check(p.gso or p.l3_len <= self.env.mtu, f"larger than the MTU: {p}")

    def default_mss(self):
        return 536 if self.ip.version == 4 else 1220

    def next(self, timeout=TIMEOUT):
        """The next segment, or None"""
        p = self.link.wait(self.mine, timeout)
        return self.learn(p) if p else None

    def fresh(self, timeout=TIMEOUT):
        """The next segment that is no retransmission by a timer, or None"""
        p = self.next(timeout)
        while p and not p.flags & RST and p.late:
            p = self.next(timeout)
        return p

    def soon(self):
        """
        The next segment, or None, that comes as a direct answer: before the answers to
        questions that we send now, so no clock is needed
        """
        for _ in range(3):
            self.env.barrier(self.env.guest if self.link is self.env.net else self.link)
            p = self.fresh(0)
            if p:
                return p
        return None

    def expect(self, flags, timeout=TIMEOUT, skip=None, soon=False, **fields):
        """
        The next segment has exactly these flags (PSH is ignored) and fields: seq, ack
        (relative), len, wnd, data, mss, ws, window.  skip: segments to pass over
        """
        while True:
            p = self.soon() if soon else self.next(timeout)
            if not p:
                raise Failed(f"no answer {'' if soon else f'in {timeout} s, '}"
                             f"expected {flags} {fields}")
            if skip and skip(p):
                continue
            try:
                return self.match(p, flags, fields)
            except Failed:
                if p.flags & RST or not p.late:
                    raise

    def match(self, p, flags, fields):
        wanted = flags_of(flags)
        if (p.flags & ~PSH) != (wanted & ~PSH):
            raise Failed(f"got {letters_of(p.flags)}, expected {flags}: {p}")
        for name, value in fields.items():
            if name in ("seq", "ack"):
                got = getattr(p, "rel_" + name)
            else:
                got = getattr(p, name)
            if callable(value):
                check(value(got), f"{name} is {got}: {p}")
            else:
                equal(got, value, f"{name} of {p}")
        return p

    def wait_ack(self, ack=None, timeout=TIMEOUT):
        """Read segments until everything up to ack is acknowledged"""
        ack = self.nxt if ack is None else ack
        end = time.monotonic() + timeout
        while self.acked < ack:
            if not self.next(end - time.monotonic()):
                raise Failed(f"acknowledged {self.acked}, expected {ack}")
            check(not self.reset, "reset")
        return self.last

    def read(self, count, ack=True, timeout=TIMEOUT):
        """Read until count bytes have come in order, in all; acknowledge each segment"""
        end = time.monotonic() + timeout
        while len(self.data) < count:
            before = self.rcv
            if not self.next(end - time.monotonic()):
                raise Failed(f"{len(self.data)} bytes of data came, expected {count}")
            check(not self.reset, "reset")
            if ack and self.rcv != before:
                self.send("A")
        return bytes(self.data)

    def write(self, data, timeout=10.0):
        """Send data inside the other end's window, in segments of its MSS"""
        size = min(self.their_mss, 16384)
        end = time.monotonic() + timeout
        start = self.nxt
        while self.acked < start + len(data):
            room = min(self.edge - self.nxt, start + len(data) - self.nxt)
            if room > 0:
                at = self.nxt - start
                self.send_all(data[at:at + min(room, 32 * size)], size)
            if not self.next(0 if room > 0 else end - time.monotonic()) and room <= 0:
                raise Failed(f"stalled at {self.acked - start} of {len(data)}")
            check(not self.reset, "reset")

    def quiet(self, what="nothing is sent", pause=0.0):
        """Check that nothing comes until the daemon has answered a later question"""
        self.env.barrier(self.link, pause)
        p = self.fresh(0)
        check(not p, f"{what}, but got {p}")

    def drain(self):
        """Receive all segments up to a barrier -> segments"""
        self.env.barrier(self.link)
        out = []
        while True:
            p = self.link.find(self.mine)
            if not p:
                return out
            out.append(self.learn(p))

    # whole dialogues

    def handshake(self, **kw):
        self.send("S", **kw)
        p = self.expect("SA", ack=1)
        self.send("A")
        return p

    def open(self, srv):
        """Do the handshake, set peer to the accepted socket"""
        self.handshake()
        self.peer = self.env.accept(srv)
        return self

    def abort(self):
        """End the flow in any state"""
        if self.irs is None:
            self.send("R", seq=1)
        elif not self.reset:
            self.link.send_many([self.frame("R", seq=s)
                                 for s in {self.acked, self.nxt, 1}])


# --- tests ---------------------------------------------------------------------------------

class Env:
    """Argument of a test function: links of guest and host, and sockets to be closed"""

    def __init__(self, backend, verbose=False):
        self.backend, self.verbose = backend, verbose
        self.args = list(BACKENDS[backend])
        self.is_tun = backend.startswith("tun")
        self.jumbo = self.is_tun or backend == "vhost"	# takes packets over the MTU
        self.backend_mtu = self.mtu = \
            int(self.args[self.args.index("-m") + 1]) if "-m" in self.args else 65520
        self.conns, self.stack = [], contextlib.ExitStack()
        self.port = 20000
        self.net = PacketLink("net", FAR_MAC, packet_socket("eth1"), verify=False)
        self.host_mac = mac_of("eth0")
        self.daemon = None

    def start(self):
        """Start the daemon that all tests share, again if it is gone"""
        if self.daemon and self.daemon.alive() and not self.daemon.link.closed:
            return
        if self.daemon:
            self.daemon.stop()
        self.daemon = self.spawn()
        self.guest = self.daemon.link

    def spawn(self, *args, **kw):
        d = Daemon(self.backend, *self.args, *args, verbose=self.verbose, **kw)
        d.link.only6 = "-6" in args
        self.announce(d.link)
        return d

    def spawn_small(self):
        """Start a daemon with a small flow table, for one test"""
        program = os.path.join(TOP, "build/small/passt")
        if not os.access(program, os.X_OK):
            raise Skip("needs 'make frames'")
        d = self.spawn(program=program)
        self.stack.callback(d.stop)
        return d

    def announce(self, link):
        """Make our addresses known, check that the daemon answers"""
        self.barrier(link, timeout=30)
        link.send(frames.eth(OUR_MAC, link.mac, ETH_IP6, frames.ip6(
            IP6.guest, IP6.gw, frames.ICMP6, frames.echo(IP6.guest, IP6.gw, 1, 1))))
        link.wait(lambda p: p.kind == "icmp", 2)
        link.clear()

    def mss(self, ip):
        return self.mtu - ip.hdrlen - 20

    def burst(self):
        """Number of bytes to the guest that its link surely holds"""
        force = self.guest.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 1 << 20
        return 256 << 10 if force or not self.is_tun else 48 << 10

    def next_port(self):
        self.port += 1
        return self.port

    def barrier(self, link=None, pause=0.0, timeout=TIMEOUT):
        """Return once the daemon has handled all frames that were sent

        A device may lose a frame: without an answer, the question is sent once more."""
        link = link or self.guest
        if pause:
            select.select([], [], [], pause)
        p = self.ask(link, timeout / 2) or self.ask(link, timeout / 2)
        check(p, "the daemon answers nothing any more")

    def ask(self, link, timeout):
        """Send a question that is answered at once, about another address each time"""
        if link.only6:
            target, src = f"2001:db8:1::{random.randrange(0x100, 0xffff):x}", IP6.guest
            dst = frames.solicited_node(target)
            self.send_ip(src, dst, frames.ICMP6, frames.icmp(
                src, dst, 135, 0, bytes(4) + frames.pton(target)), link=link, ttl=255)
            return link.wait(lambda p: p.kind == "icmp" and p.type == 136 and
                             p.src == target, timeout)
        else:
            target = f"198.51.100.{random.randrange(100, 200)}"	# no test's own
            link.send(frames.eth(frames.BROADCAST, link.mac, ETH_ARP, frames.arp(
                1, link.mac, IP4.guest, bytes(6), target)))
            return link.wait(lambda p: p.kind == "arp" and p.op == 2 and
                             p.spa == target, timeout)

    # sockets of the host

    def listen(self, ip, addr=None, port=0, backlog=128):
        s = self.stack.enter_context(socket.socket(ip.af, socket.SOCK_STREAM))
        s.bind((addr or ip.peer, port))
        s.listen(backlog)
        s.settimeout(TIMEOUT)
        return s

    def accept(self, srv):
        try:
            s, _ = srv.accept()
        except TimeoutError:
            raise Failed("no connection to the peer") from None
        self.stack.enter_context(s)
        s.settimeout(TIMEOUT)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def udp_peer(self, ip, addr=None, port=0):
        s = self.stack.enter_context(socket.socket(ip.af, socket.SOCK_DGRAM))
        s.bind((addr or ip.peer, port))
        s.settimeout(TIMEOUT)
        return s

    def recv(self, sock, count):
        """Receive exactly count bytes"""
        out = bytearray()
        try:
            while len(out) < count:
                part = sock.recv(count - len(out))
                check(part, f"end of file after {len(out)} of {count} bytes")
                out += part
        except TimeoutError:
            raise Failed(f"peer got {len(out)} bytes, expected {count}") from None
        return bytes(out)

    def eof(self, sock):
        try:
            equal(sock.recv(10), b"", "peer reads")
        except TimeoutError:
            raise Failed("peer sees no end of file") from None

    def nothing(self, sock):
        """Check that there is nothing to read after a barrier"""
        self.barrier()
        r, _, _ = select.select([sock], [], [], 0)
        check(not r, "peer reads data that was not for it")

    # the guest

    def conn(self, ip, dport, dst=None, link=None, ws=7, mss=None, sport=None, **kw):
        """A TCP connection of the guest; mss: by default the one of its MTU"""
        if mss is None:
            mss = self.mss(ip)
        return Conn(self, link or self.guest, ip, ip.guest, dst or ip.peer,
                    sport or self.next_port(), dport, OUR_MAC, mss or None, ws, **kw)

    def connect(self, ip, **kw):
        """Establish a connection: .peer is the socket of the other end"""
        with self.listen(ip) as srv:
            return self.conn(ip, srv.getsockname()[1], **kw).open(srv)

    def send_ip(self, src, dst, proto, l4, link=None, **kw):
        link = link or self.guest
        link.send(self.ip_frame(src, dst, proto, l4, link=link, **kw))

    def ip_frame(self, src, dst, proto, l4, link=None, dst_mac=OUR_MAC, **kw):
        link = link or self.guest
        return frames.eth(dst_mac, link.mac, ETH_IP4 if is4(src) else ETH_IP6,
                          frames.ip(src, dst, proto, l4, **kw))

    def send_udp(self, ip, sport, dst, dport, data=b"", link=None, **kw):
        self.send_ip(ip.guest, dst, frames.UDP,
                     frames.udp(ip.guest, dst, sport, dport, data), link=link, **kw)

    def expect_udp(self, sport, src, dport, data=None, link=None, timeout=TIMEOUT):
        """Wait for a datagram to the guest"""
        p = (link or self.guest).wait(
            lambda p: p.kind == "udp" and p.dport == sport, timeout)
        check(p, f"no datagram to port {sport}")
        equal((p.src, p.sport), (src, dport), "it comes from")
        if data is not None:
            equal(p.data, data, "data")
        return p

    # hand-made peers behind the gateway of the host

    def far_syn(self, ip, dport, timeout=TIMEOUT):
        """The SYN of a connection that the daemon makes to ip.silent -> Conn"""
        p = self.net.wait(lambda p: p.kind == "tcp" and p.dport == dport
                          and p.flags & SYN, timeout)
        check(p, "no SYN on the host's network")
        c = Conn(self, self.net, ip, p.dst, p.src, dport, p.sport, self.host_mac,
                 mss=1460, ws=7)
        c.learn(p)
        return c

    def far_connect(self, ip, delay=0.005, **kw):
        """Connect the guest to a hand-made peer; the first answer takes delay seconds"""
        port = self.next_port()
        g = self.conn(ip, port, dst=ip.silent, **kw)
        g.send("S")
        f = self.far_syn(ip, port)
        select.select([], [], [], delay)
        f.send("SA")
        g.expect("SA", ack=1)
        f.expect("A", ack=1)
        g.send("A")
        return g, f

    def cleanup(self):
        with contextlib.suppress(Failed, OSError):
            for c in self.conns:
                if c.link is self.guest:
                    c.abort()
                elif c.irs is not None:
                    c.send("R")
        self.conns.clear()
        self.stack.close()
        self.mtu = self.backend_mtu


TESTS = []


def test(name, ip=(IP4, IP6), only=None, cut=True):
    """
    Register fn(env, ip).  name: a sentence; ip: families, () for fn(env); only: backends
    where the test makes sense, STREAMS, TUNS or a tuple of names; default: all.  A test
    for "stream" runs on "stream-cut", too, the same for "tun", unless cut is False
    """
    def suits(backend):
        whole = backend.removesuffix("-cut")
        return (not only or backend in only or whole in only) and (cut or backend == whole)

    def register(fn):
        for family in ip or (None,):
            TESTS.append((fn, name, family, suits))
        return fn
    return register


class Runner:
    """All tests on one backend; prints TAP without numbers"""

    def __init__(self, backend, verbose, wanted):
        self.backend, self.verbose, self.wanted = backend, verbose, wanted
        self.watch, self.repeats = None, REPEATS

    def run(self):
        set_stage()
        env = Env(self.backend, self.verbose)
        self.watch = Watch()
        for fn, name, family, suits in TESTS:
            if not suits(self.backend):
                continue
            title = f"{name}{f', {family}' if family else ''} ({self.backend})"
            if self.wanted and not any(w in title or w == fn.__name__
                                       for w in self.wanted):
                continue
            self.run_one(env, fn, family, title)
        if env.daemon:
            env.daemon.stop()

    def run_one(self, env, fn, family, title):
        for left in (2, 1, 0):
            begin = time.monotonic()
            why = self.attempt(env, fn, family, title)
            still = self.watch.still() if why else 0
            if still < STILL or not left or not self.repeats:
                break
            self.repeats -= 1
            print(f"# {title}: once more, {still:.3f} s were lost")
            self.explain(env, why)
            self.clean(env, why)
        if why == "":
            print(f"ok - {title}")
        elif why:
            print(f"not ok - {title}")
            self.explain(env, why)
        if self.verbose:
            print(f"# {time.monotonic() - begin:.3f} s")
            self.dialogue(env, 400)
        sys.stdout.flush()
        self.clean(env, why)

    def attempt(self, env, fn, family, title):
        """Run a test once -> text of the failure, "" for none, None if it was skipped"""
        try:
            env.start()
            env.guest.clear()
            env.net.clear()
            self.watch.start()
            fn(*((env, family) if family else (env,)))
            check(env.daemon.alive(), "the daemon ended")
            return ""
        except Skip as e:
            print(f"ok - {title} # SKIP {e}")
            return None
        except Exception as e:		# pylint: disable=broad-exception-caught
            why = str(e) if isinstance(e, Failed) else f"{type(e).__name__}: {e}"
            where = traceback.extract_tb(e.__traceback__)
            line = next((f for f in reversed(where)
                         if not f.filename.endswith(("harness.py", "frames.py"))), None)
            if line:
                why += f"\n{os.path.basename(line.filename)}:{line.lineno}: {line.line}"
            return why

    def clean(self, env, why):
        env.cleanup()
        if why and env.daemon:
            env.daemon.stop()		# the next test gets a new one
            env.daemon = None

    def explain(self, env, why):
        for text in why.splitlines():
            print("#", text)
        if not self.verbose:
            self.dialogue(env, 24)
        if env.daemon and not env.daemon.alive():
            print(f"# the daemon has ended: status {env.daemon.proc.returncode}")
        if env.daemon:
            lines = [s for s in env.daemon.output().splitlines() if s.strip()]
            for text in lines[-60 if self.verbose else -4:]:
                print("#   daemon:", text[:300])

    def dialogue(self, env, limit):
        log = env.net.log + (env.guest.log if env.daemon else [])
        log.sort(key=lambda entry: entry[0])
        if len(log) > limit:
            print(f"#   ... {len(log) - limit} before")
        for when, name, arrow, p in log[-limit:]:
            print(f"#   {when - log[0][0]:7.3f} {name:5} {arrow} {str(p)[:220]}")


def merge(files):
    """TAP of the backends, numbered; -> exit status"""
    n = failed = 0
    for backend, f, proc in files:
        proc.wait()
        f.seek(0)
        for line in f.read().splitlines():
            for start in ("ok - ", "not ok - "):
                if line.startswith(start):
                    n += 1
                    failed += start[0] == "n"
                    line = f"{start[:-3]} {n} - {line[len(start):]}"
                    break
            print(line)
        if proc.returncode:
            n, failed = n + 1, failed + 1
            print(f"not ok {n} - all tests ran ({backend})")
            print(f"# exit status {proc.returncode}")
    print(f"1..{n}")
    return 1 if failed else 0


def usable(backend):
    """None, or the reason why this backend can't run"""
    if backend.startswith("tun") and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun can't be opened"
    if backend in CUT and not os.access(SCATTER, os.X_OK):
        return "needs 'make frames'"
    return None


def main():
    args, verbose, backends = sys.argv[1:], False, list(BACKENDS)
    while args and args[0].startswith("-"):
        if args[0] == "-v":
            verbose = True
        elif args[0] == "-b":
            backends = [args.pop(1)]
        elif args[0] == "--inner":
            Runner(args[1], "-v" in args[:3], args[3:] if "-v" in args[:3]
                   else args[2:]).run()
            return
        args.pop(0)
    if not os.access(PASST, os.X_OK):
        print(f"Bail out! no program {PASST}")
        sys.exit(1)
    command, why_not = can_be_host()
    if why_not:
        print(f"1..0 # SKIP no namespaces: {why_not}")
        return
    files = []
    for backend in backends:
        f = tempfile.TemporaryFile("w+")
        why_not = usable(backend)
        inner = [sys.executable, "-B", sys.argv[0], "--inner", backend,
                 *(["-v"] if verbose else []), *args]
        if why_not:
            inner = ["echo", f"ok - {os.path.basename(sys.argv[0])} ({backend}) "
                     f"# SKIP {why_not}"]
        files.append((backend, f, subprocess.Popen(
            [*command, "--kill-child", "--fork", *inner] if not why_not else inner,
            stdout=f, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)))
    sys.exit(merge(files))


if __name__ == "__main__":
    inside(sys.argv[1])
