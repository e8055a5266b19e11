#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
vhost-user itself: the life of a device, with drivers and front-ends that come and go, and
everything that a guest or a front-end must not do.  After each of these things the daemon
still serves a driver that starts anew.
"""

import contextlib
import mmap
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import tempfile

import frames
import harness
import vhost
from harness import (GUEST_MAC, IP4, TIMEOUT, VHOST_FEATURES, Daemon, VhostLink, check,
                     equal, main, test, wait_until)
from vhost import GPA, HEADER, INDIRECT, NEXT, REGION, USER, WRITE

PORT = 9004			# forwarded
MORE = 0x9000 << 32		# guest addresses of regions that tests add
LOG = (GPA + 2 * REGION) // 4096 // 8	# bytes of a log of dirty pages
FREE = 0x60000			# offset in memory where a test may write

for _name in set(harness.BACKENDS) - set(VHOST_FEATURES):
    del harness.BACKENDS[_name]


class SocketDaemon(Daemon):
    """One that listens on a UNIX socket; connect() makes a front-end, with a new link"""

    def start_vhost(self, features):
        self.features = features
        self.dir = tempfile.mkdtemp(prefix="frame.")
        os.chmod(self.dir, 0o777)
        self.path = os.path.join(self.dir, "s")
        self.proc = subprocess.Popen(
            [self.program, "--vhost-user", "-s", self.path, *self.args],
            stdin=subprocess.DEVNULL, stdout=self.stderr, stderr=self.stderr)
        wait_until(lambda: "You can now start qemu" in self.output()
                   or not self.alive(), "start", 30)
        self.connect().begin()

    def connect(self):
        """A front-end that has not said anything yet"""
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        self.link = VhostLink("guest", GUEST_MAC, s, self.features)
        return self.link

    def reconnect(self):
        """Close the connection, serve the next front-end"""
        self.link.front.close()
        for _ in range(200):		# turned away while the daemon does not know
            try:
                self.connect().begin()
                return self.link
            except (ConnectionError, OSError):
                select.select([], [], [], 0.02)
        raise harness.Failed("no new front-end is served")

    def stop(self):
        self.proc.terminate()
        super().stop()
        shutil.rmtree(self.dir)


def spawn(env, *args):
    d = SocketDaemon(env.backend, *env.args, *args, verbose=env.verbose)
    env.stack.callback(d.stop)
    env.announce(d.link)
    transfer(env, d)
    return d


def pattern(size, seed=1):
    return random.Random(seed).randbytes(size)


def arp_request():
    return frames.eth(b"\xff" * 6, GUEST_MAC, frames.ETH_ARP,
                      frames.arp(1, GUEST_MAC, IP4.guest, bytes(6), IP4.gw))


def transfer(env, d):
    """Data both ways over the link; always one flow, since others need descriptors"""
    srv = env.udp_peer(IP4)
    port, data, sport = srv.getsockname()[1], pattern(1400, env.next_port()), 7000
    env.send_udp(IP4, sport, IP4.peer, port, data, link=d.link)
    got, src = srv.recvfrom(2000)
    equal(got, data, "datagram from the guest")
    srv.sendto(data, src)
    env.expect_udp(sport, IP4.peer, port, data, link=d.link)


def works(env, d, what):
    """The daemon serves a driver that starts anew"""
    check(d.alive(), f"{what}: the daemon is alive: {d.output()[-300:]}")
    check(not d.link.driver.start(), f"{what}: a driver starts")
    d.link.clear()
    env.barrier(d.link)
    transfer(env, d)


# --- what a guest alone can do -----------------------------------------------------------

def rings(d):
    """The queue from the guest with one good chain in entry 0, made available later"""
    q = d.link.driver.tx
    q.describe(0, GPA + FREE, 100)
    return q


def bad_head(q):
    q.offer([q.size])


def bad_jump(q):
    q.next_avail += q.size + 1
    q.offer([0])


def bad_back(q):
    q.next_avail -= 2
    q.offer([0])


def bad_address(q):
    q.describe(0, GPA + 2 * REGION, 100)
    q.offer([0])


def bad_end(q):
    q.describe(0, GPA + 2 * REGION - 10, 100)
    q.offer([0])


def bad_wrap(q):
    q.describe(0, 2**64 - 10, 100)
    q.offer([0])


def bad_loop(q):
    q.describe(0, GPA + FREE, 10, NEXT, 1)
    q.describe(1, GPA + FREE, 10, NEXT, 0)
    q.offer([0])


def bad_empty(q):
    q.describe(0, GPA + FREE, 0)
    q.offer([0])


def bad_huge(q):
    q.describe(0, GPA, 0xffffffff)
    q.offer([0])


def bad_next(q):
    q.describe(0, GPA + FREE, 10, NEXT, q.size)
    q.offer([0])


def bad_direction(q):
    q.describe(0, GPA + FREE, 100, WRITE)
    q.offer([0])


def bad_table_odd(q):
    q.describe(0, GPA + FREE, 17, INDIRECT)
    q.offer([0])


def bad_table_empty(q):
    q.describe(0, GPA + FREE, 0, INDIRECT)
    q.offer([0])


def bad_table_cut(q):
    q.describe(0, GPA + 2 * REGION - 16, 32, INDIRECT)
    q.offer([0])


def bad_table_nested(q):
    q.front.put(FREE, struct.pack("<QIHH", GPA + FREE, 16, INDIRECT, 0))
    q.describe(0, GPA + FREE, 16, INDIRECT)
    q.offer([0])


def bad_table_next(q):
    q.front.put(FREE, struct.pack("<QIHH", GPA + FREE, 16, 0, 0))
    q.describe(0, GPA + FREE, 16, INDIRECT | NEXT, 1)
    q.offer([0])


GUEST = (bad_head, bad_jump, bad_back, bad_address, bad_end, bad_wrap, bad_loop, bad_empty,
         bad_huge, bad_next, bad_direction, bad_table_odd, bad_table_empty, bad_table_cut,
         bad_table_nested, bad_table_next)


@test("a driver that breaks a rule stops its queue alone, until it starts again", ip=())
def guest_rules(env):
    d = spawn(env)
    fds = d.fds()
    for bad in GUEST:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(d.link.front.err)
        bad(rings(d))
        os.eventfd_write(d.link.front.kick[1], 1)
        what = bad.__name__
        check(select.select([d.link.front.err], [], [], TIMEOUT)[0],
              f"{what}: the front-end is told")
        works(env, d, what)
    equal(d.fds(), fds, "descriptors")
    check("stands still until its driver starts it again" in d.output(), "that is logged")


@test("receive buffers that can't be used stop the queue alone", ip=())
def receive_rules(env):
    d = spawn(env)
    for flags, gpa, size in ((0, GPA + FREE, 2000), (WRITE, 0, 2000), (WRITE, GPA + FREE, 0),
                             (WRITE, GPA + FREE, 1)):
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(d.link.front.err)
        q = d.link.driver.rx
        d.link.front.stop_queue(0)
        q.reset()
        check(not q.start(), "the queue starts")
        for i in range(q.size):
            q.describe(i, gpa, size, flags)
        q.offer(range(q.size))
        d.link.send(arp_request())
        check(select.select([d.link.front.err], [], [], TIMEOUT)[0], "the front-end is told")
        works(env, d, f"buffers of {size} bytes at {gpa:x}, flags {flags}")


@test("frames of any content and length are dropped or handled", ip=())
def any_frame(env):
    d = spawn(env)
    r = random.Random(5)
    q = d.link.driver
    for size in (*range(0, 30), 60, 1514, 65549, 65550, 70000):
        raw = pattern(size, size)
        q.send([(bytes(10), raw[:64] + bytes(max(0, size - 64)))])
    for _ in range(200):
        head = r.randbytes(10)
        q.send([(head, r.randbytes(r.randrange(200)))])
    env.barrier(d.link)
    transfer(env, d)


# --- what a front-end can do -----------------------------------------------------------

def state(index, num):
    return struct.pack("=II", index, num)


def region(gpa, user, size, offset):
    return struct.pack("=QQQQQ", 0, gpa, size, user, offset)


def number(n):
    return struct.pack("=Q", n)


def log(size, offset):
    return struct.pack("=QQ", size, offset)


def refused(front):
    """-> (name, request, payload, descriptors) that get an error for an answer"""
    fd = [front.fd]
    kick = [front.kick[0]]
    ring = struct.pack("=QQQQ", USER[0], USER[0] + 8192, USER[0] + 16384, 0)
    table = struct.pack("=QQQQ", GPA, REGION, USER[0], 0)
    return (
        ("queue 255", vhost.SET_VRING_NUM, state(255, 256), ()),
        ("queue 2", vhost.SET_VRING_NUM, state(2, 256), ()),
        ("a size of 0", vhost.SET_VRING_NUM, state(0, 0), ()),
        ("a size of 3", vhost.SET_VRING_NUM, state(0, 3), ()),
        ("a size of 2048", vhost.SET_VRING_NUM, state(0, 2048), ()),
        ("base of queue 77", vhost.SET_VRING_BASE, state(77, 0), ()),
        ("a base of 65536", vhost.SET_VRING_BASE, state(0, 65536), ()),
        ("ring of queue 9", vhost.SET_VRING_ADDR, state(9, 0) + ring, ()),
        ("switch of queue 3", vhost.SET_VRING_ENABLE, state(3, 1), ()),
        ("a switch of 2", vhost.SET_VRING_ENABLE, state(0, 2), ()),
        ("kick of queue 5", vhost.SET_VRING_KICK, number(5), kick),
        ("no kick", vhost.SET_VRING_KICK, number(0x100), ()),
        ("a kick without its descriptor", vhost.SET_VRING_KICK, number(0), ()),
        ("a file for a kick", vhost.SET_VRING_KICK, number(0), fd),
        ("two kicks", vhost.SET_VRING_KICK, number(0), kick * 2),
        ("call of queue 200", vhost.SET_VRING_CALL, number(200), kick),
        ("a call without its descriptor", vhost.SET_VRING_CALL, number(0), ()),
        ("a file for a call", vhost.SET_VRING_CALL, number(0), fd),
        ("a file for errors", vhost.SET_VRING_ERR, number(0), fd),
        ("a short message", vhost.SET_VRING_ADDR, state(0, 0), ()),
        ("unknown features", vhost.SET_FEATURES, number(1 << 63), ()),
        ("unknown features of the protocol", vhost.SET_PROTOCOL_FEATURES, number(1 << 40), ()),
        ("an unknown request", 999, number(0), ()),
        ("request 0", 0, b"", ()),
        ("a log without its file", vhost.SET_LOG_BASE, log(LOG, 0), ()),
        ("a log in two files", vhost.SET_LOG_BASE, log(LOG, 0), fd * 2),
        ("an empty log", vhost.SET_LOG_BASE, log(0, 0), fd),
        ("a log smaller than memory", vhost.SET_LOG_BASE, log(LOG - 1, 0), fd),
        ("a log over its file", vhost.SET_LOG_BASE, log(2 * REGION, 1), fd),
        ("a log after its file", vhost.SET_LOG_BASE, log(LOG, 2 * REGION), fd),
        ("a log whose end wraps", vhost.SET_LOG_BASE, log(LOG, 2**64 - 1), fd),
        ("a log of 2^64 - 1 bytes", vhost.SET_LOG_BASE, log(2**64 - 1, 0), fd),
        ("a log in an eventfd", vhost.SET_LOG_BASE, log(LOG, 0), kick),
        ("half a log's size", vhost.SET_LOG_BASE, number(LOG), fd),
        ("a log's event without its descriptor", vhost.SET_LOG_FD, b"", ()),
        ("an MTU of 10", vhost.NET_SET_MTU, number(10), ()),
        ("a region of 0 bytes", vhost.ADD_MEM_REG, region(MORE, MORE, 0, 0), fd),
        ("a region over its file", vhost.ADD_MEM_REG,
         region(MORE, MORE, 3 * REGION, 0), fd),
        ("a region after its file", vhost.ADD_MEM_REG,
         region(MORE, MORE, 4096, 2 * REGION), fd),
        ("a region that wraps", vhost.ADD_MEM_REG,
         region(2**64 - 4096, MORE, 8192, 0), fd),
        ("a region over another", vhost.ADD_MEM_REG,
         region(GPA + 4096, MORE, 4096, 0), fd),
        ("a region over another of the front-end", vhost.ADD_MEM_REG,
         region(MORE, USER[0] + 4096, 4096, 0), fd),
        ("a region without its file", vhost.ADD_MEM_REG,
         region(MORE, MORE, 4096, 0), ()),
        ("a region of an eventfd", vhost.ADD_MEM_REG,
         region(MORE, MORE, 4096, 0), kick),
        ("removal of an unknown region", vhost.REM_MEM_REG,
         region(MORE, MORE, 4096, 0), ()),
        ("an empty table", vhost.SET_MEM_TABLE, state(0, 0), ()),
        ("a table of 9", vhost.SET_MEM_TABLE, state(9, 0) + table * 9, fd * 9),
        ("a table over the message", vhost.SET_MEM_TABLE, state(8, 0) + table, fd * 8),
        ("a table with too few files", vhost.SET_MEM_TABLE, state(2, 0) + table * 2, fd),
        ("a table that overlaps", vhost.SET_MEM_TABLE, state(2, 0) + table * 2, fd * 2),
        ("253 descriptors", vhost.SET_VRING_CALL, number(0), kick * 253),
    )


def goes_on(env, d, what, request, payload, descriptors=()):
    """A message is refused; the queues go on as if it had not come, and can start anew"""
    check(d.link.front.order(request, payload, descriptors), f"{what}: refused")
    check(d.alive(), f"{what}: the daemon is alive: {d.output()[-300:]}")
    transfer(env, d)
    works(env, d, what)


@test("a message that breaks a rule gets an error, and changes nothing", ip=())
def message_rules(env):
    d = spawn(env)
    fds = d.fds()
    for what, *message in refused(d.link.front):
        goes_on(env, d, what, *message)
    equal(d.fds(), fds, "descriptors")


@test("each request about a queue refuses one that is not there", ip=())
def no_such_queue(env):
    d = spawn(env)
    front = d.link.front
    for i in (2, 3, 127, 255, 256, 2**31 - 1, 2**31, 2**32 - 1):
        for request, payload in ((vhost.SET_VRING_NUM, state(i, 256)),
                                 (vhost.SET_VRING_BASE, state(i, 0)),
                                 (vhost.SET_VRING_ENABLE, state(i, 1)),
                                 (vhost.SET_VRING_ADDR, state(i, 0) + bytes(32))):
            check(front.order(request, payload), f"request {request}: queue {i} is refused")
        equal(front.stop_queue(i), 0, f"queue {i} stops at")
        for request in (vhost.SET_VRING_KICK, vhost.SET_VRING_CALL, vhost.SET_VRING_ERR):
            check(i > 255 or front.order(request, number(i), [front.call[0]]),
                  f"request {request}: queue {i} is refused")
        transfer(env, d)
    works(env, d, "queues that are not there")


@test("a region that does not fit into the address space is refused", ip=())
def huge_region(env):
    d = spawn(env)
    front = d.link.front
    huge = os.memfd_create("huge")
    os.ftruncate(huge, 1 << 47)
    goes_on(env, d, "one region", vhost.ADD_MEM_REG, region(MORE, MORE, 1 << 47, 0), [huge])
    table = struct.pack("=QQQQ", GPA, REGION, USER[0], 0)
    goes_on(env, d, "a table", vhost.SET_MEM_TABLE, state(2, 0) + table + struct.pack(
        "=QQQQ", MORE, 1 << 47, MORE, 0), [front.fd, huge])
    os.close(huge)


@test("a ring outside of memory is refused, and one that runs stays", ip=())
def ring_outside(env):
    d = spawn(env)
    for at in (2 * REGION, REGION - 64, 8):
        goes_on(env, d, f"a ring at {at:x}", vhost.SET_VRING_ADDR, struct.pack(
            "=IIQQQQ", 1, 0, USER[0] + at, USER[0] + at + 64, USER[0] + at, 0))
        front = d.link.front
        front.stop_queue(1)
        front.order(vhost.SET_VRING_ADDR, struct.pack(
            "=IIQQQQ", 1, 0, USER[0] + at, USER[0] + at + 64, USER[0] + at, 0))
        check(front.order(vhost.SET_VRING_KICK, number(1), [front.kick[1]]),
              f"a ring at {at:x} does not start")
        works(env, d, f"a start with a ring at {at:x}")


@test("a stream that is no message ends the connection alone", ip=())
def no_message(env):
    d = spawn(env)
    for what in (b"\0" * 12, b"\xff" * 12, HEADER.pack(1, 1, 4097), HEADER.pack(1, 2, 0)):
        d.link.sock.sendall(what)
        wait_until(lambda: not d.link.sock.recv(1), "closed")
        d.reconnect()
        works(env, d, f"{what.hex()}")


@test("a front-end may be gone at any byte of a message", ip=())
def half_message(env):
    d = spawn(env)
    message = HEADER.pack(vhost.SET_VRING_ADDR, 1, 40) + bytes(40)
    fds = d.fds()
    for n in range(1, len(message)):
        d.link.sock.sendall(message[:n])
        if n % 7 == 0:			# and with a descriptor of the next one
            socket.send_fds(d.link.sock, [message[n:n + 1]], [d.link.front.fd])
        d.reconnect()
    works(env, d, "half a message")
    equal(d.fds(), fds, "descriptors")


class Recorder(vhost.FrontEnd):
    """Keeps the messages of a front-end, as (bytes, descriptors)"""

    def __init__(self):
        super().__init__(socket.socket(socket.AF_UNIX))
        self.messages = []

    def send(self, request, payload=b"", fds=(), flags=1):
        self.messages.append((HEADER.pack(request, flags, len(payload)) + payload, fds))

    def receive(self):
        return HEADER.unpack(self.messages[-1][0][:HEADER.size])[0], number(0)


@test("a front-end may be gone at any byte of a start", ip=())
def half_start(env):
    d = spawn(env)
    told = Recorder()
    told.hello(~0)
    told.driver = vhost.Driver(told)
    told.driver.start(stop=False)
    fds, count = d.fds(), 0
    for i, (data, descriptors) in enumerate(told.messages):
        for n in range(1, len(data) + 1):
            for whole, with_it in told.messages[:i]:
                socket.send_fds(d.link.sock, [whole], with_it)
            socket.send_fds(d.link.sock, [data[:n]], descriptors)
            d.reconnect()
            count += 1
        transfer(env, d)
    check(count > 500, f"{count} prefixes of a start were tried")
    told.close()
    works(env, d, "half a start")
    equal(d.fds(), fds, "descriptors")


@test("10 000 messages with descriptors leave none", ip=())
def many_messages(env):
    d = spawn(env)
    front, fds = d.link.front, d.fds()
    more = region(MORE, MORE, 4096, 0)
    mix = ((vhost.SET_VRING_CALL, number(0), [front.call[0]]),
           (vhost.SET_VRING_ERR, number(1), [front.err]),
           (vhost.SET_VRING_KICK, number(1), [front.kick[1]]),
           (vhost.SET_VRING_KICK, number(0), [front.kick[0]] * 2),	# refused
           (vhost.SET_VRING_CALL, number(7), [front.call[0]]),
           (vhost.SET_MEM_TABLE, state(9, 0), [front.fd] * 32),
           (vhost.ADD_MEM_REG, more, [front.fd]),
           (vhost.ADD_MEM_REG, more, [front.fd]),		# overlaps
           (vhost.REM_MEM_REG, more, [front.fd] * 3),		# needs none
           (4711, b"", [front.fd, front.err]))
    for i in range(10000):
        front.send(*mix[i % len(mix)])
        if i % 100 == 0:
            front.ask(vhost.GET_FEATURES)
    front.ask(vhost.GET_FEATURES)
    equal(d.fds(), fds, "descriptors after all messages")
    transfer(env, d)
    works(env, d, "10 000 messages")
    equal(d.fds(), fds, "descriptors after another start")


@test("eventfds that are full, and would block, hinder nothing", ip=())
def full_eventfds(env):
    d = spawn(env)
    front = d.link.front
    full = [os.eventfd(0) for _ in range(3)]
    for i in range(2):
        check(not front.order(vhost.SET_VRING_CALL, number(i), [full[i]]), "a call")
        check(not front.order(vhost.SET_VRING_ERR, number(i), [full[2]]), "errors")
    front.call, old = [os.dup(full[0]), os.dup(full[1])], front.call
    for fd in old:
        os.close(fd)
    for _ in range(3):
        for fd in full:
            os.eventfd_read(fd) if select.select([fd], [], [], 0)[0] else None
            os.eventfd_write(fd, 2**64 - 2)
        env.barrier(d.link)
        transfer(env, d)
    bad_head(rings(d))
    os.eventfd_write(front.kick[1], 1)
    wait_until(lambda: "stands still" in d.output(), "the queue is found broken")
    for fd in full:
        os.close(fd)
    works(env, d, "full eventfds")


@test("memory without its file, behind good headers, is no payload", ip=())
def no_payload(env):
    d = spawn(env)
    front, q = d.link.front, d.link.driver.tx
    srv = env.udp_peer(IP4)
    gone = os.memfd_create("gone")
    os.ftruncate(gone, 1 << 20)
    check(not front.order(vhost.ADD_MEM_REG, region(MORE, MORE, 1 << 20, 0), [gone]),
          "plugged")
    os.ftruncate(gone, 0)
    head = frames.eth(harness.OUR_MAC, GUEST_MAC, frames.ETH_IP4, frames.ip4(
        IP4.guest, IP4.peer, frames.UDP, struct.pack(
            "!HHHH", 7000, srv.getsockname()[1], 8 + 1000, 0) + bytes(1000)))[:-1000]
    front.put(FREE, struct.pack("<BBHHHHH", 1, 0, 0, 0, 34, 6, 0) + head)	# no sum yet
    q.describe(0, GPA + FREE, 12 + len(head), NEXT, 1)
    q.describe(1, MORE, 1000)
    for _ in range(10):
        q.offer([0])
        os.eventfd_write(front.kick[1], 1)
        wait_until(lambda: front.word(q.used + 2) == q.next_avail & 0xffff, "it is used")
    works(env, d, "payload without memory")
    os.close(gone)


@test("frames that the guest sent before its front-end went are delivered", ip=())
def last_words(env):
    d = spawn(env)
    srv = env.udp_peer(IP4)
    port = srv.getsockname()[1]
    for _ in range(3):
        data = [pattern(1400, i) for i in range(50)]
        with d.paused():
            for i in data:
                env.send_udp(IP4, 7000, IP4.peer, port, i, link=d.link)
            # Without a kick the frames are seen only as the connection ends
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(d.link.front.kick[1])
            d.link.sock.close()
        equal([srv.recv(2000) for _ in data], data, "datagrams")
        d.reconnect()
        env.announce(d.link)
        transfer(env, d)


# --- migration: the log of dirty pages ---------------------------------------------------

class Log:
    """A log of dirty pages, in a file with room before it"""

    BEFORE = 4096 + 3

    def __init__(self, front):
        self.front = front
        self.fd = os.memfd_create("dirtylog")
        os.ftruncate(self.fd, self.BEFORE + LOG)
        self.bits = mmap.mmap(self.fd, self.BEFORE + LOG)

    def share(self):
        return self.front.share_log(self.fd, LOG, self.BEFORE)

    def pages(self):
        """-> pages of memory whose bits are set; no other bit may be"""
        first = GPA // vhost.PAGE
        equal(self.bits[:self.BEFORE + first // 8].count(0), self.BEFORE + first // 8,
              "bytes 0 before the bits of memory")
        bits = self.bits[self.BEFORE + first // 8:]
        return {i for i in range(8 * len(bits)) if bits[i // 8] >> i % 8 & 1}

    def clear(self):
        self.bits[:] = bytes(len(self.bits))


def queues(d):
    return d.link.driver.rx, d.link.driver.tx


def written(d):
    """-> ranges of memory that only the device writes: buffers and used rings"""
    q = d.link.driver
    return [(at, at + size) for at, size in q.buffers] + \
        [(r.used, r.end) for r in queues(d)]


def spread(ranges):
    return {page for a, b in ranges for page in range(a // vhost.PAGE, -(-b // vhost.PAGE))}


def changed(d, before):
    """-> pages that the device has changed since this copy of memory"""
    out = set()
    for a, b in written(d):
        for at in range(a - a % vhost.PAGE, b, vhost.PAGE):
            part = slice(max(a, at), min(b, at + vhost.PAGE))
            if d.link.front.mem[part] != before[part]:
                out.add(at // vhost.PAGE)
    return out


def logging(d, flags):
    """Turn it on or off while queues run, as qemu does"""
    front = d.link.front
    failed = front.order(vhost.SET_FEATURES, number(
        front.features | (vhost.LOG_ALL if flags else 0)))
    for r in queues(d):
        failed |= front.order(vhost.SET_VRING_ADDR, front.address(
            r.index, r.desc, r.avail, r.used, flags))
    check(not failed, f"logging is set to {flags}")


def restart_queues(d, flags):
    front = d.link.front
    for r in queues(d):
        base = front.stop_queue(r.index)
        check(not front.start_queue(r.index, r.size, r.desc, r.avail, r.used, base, flags),
              "a queue starts")


def traffic(env, d):
    """Frames of many sizes both ways, and some in a row"""
    srv = env.udp_peer(IP4)
    port, sport = srv.getsockname()[1], 7000
    env.send_udp(IP4, sport, IP4.peer, port, b"x", link=d.link)
    src = srv.recvfrom(10)[1]
    for size in (0, 1, 500, 1400, 1472, min(9000, env.mtu - 28), min(40000, env.mtu - 28)):
        data = [pattern(size, i) for i in range(3)]
        with d.paused():
            for i in data:
                srv.sendto(i, src)
        for i in data:
            env.expect_udp(sport, IP4.peer, port, i, link=d.link)
    transfer(env, d)


@test("while a guest migrates, each page that is written is logged", ip=())
def dirty_pages(env):
    d = spawn(env)
    front, fds = d.link.front, d.fds()
    log = Log(front)
    check(not log.share(), "the log is shared")
    before = bytes(front.mem)
    logging(d, vhost.VRING_F_LOG)
    for _ in range(3):
        traffic(env, d)
        pages = changed(d, before)
        check(pages <= log.pages(), f"not logged: {pages - log.pages()}")
    for i in range(2):
        front.stop_queue(i)
    pages, logged = changed(d, before), log.pages()
    check(len(pages) > 10, "many pages are written")
    check(pages <= logged, f"not logged at the end: {pages - logged}")
    check(logged <= spread(written(d)), "pages are logged that the device may not write")
    check(len(logged) < len(spread(written(d))), "all pages are logged")

    restart_queues(d, 0)
    logging(d, 0)
    log.clear()
    traffic(env, d)
    equal(log.pages(), set(), "pages logged after logging was turned off")
    equal(d.fds(), fds, "descriptors")


@test("buffers and used rings are logged by a switch each", ip=())
def log_switches(env):
    d = spawn(env)
    front, log = d.link.front, Log(d.link.front)
    check(not log.share(), "the log is shared")
    used = spread([(r.used, r.end) for r in queues(d)])
    buffers = spread([(at, at + size) for at, size in d.link.driver.buffers])
    transfer(env, d)
    equal(log.pages(), set(), "pages logged by the log alone")
    check(not front.order(vhost.SET_FEATURES, number(front.features | vhost.LOG_ALL)), "on")
    transfer(env, d)
    check(log.pages() and log.pages() <= buffers, f"of buffers: {log.pages()}")
    check(not front.order(vhost.SET_FEATURES, number(front.features)), "off")
    log.clear()
    for r in queues(d):
        check(not front.order(vhost.SET_VRING_ADDR, front.address(
            r.index, r.desc, r.avail, r.used, vhost.VRING_F_LOG)), "on")
    transfer(env, d)
    check(log.pages() and log.pages() <= used, f"of used rings: {log.pages()}")


@test("a new log has what was not fetched from the last one", ip=())
def log_replaced(env):
    d = spawn(env)
    fds, logs = d.fds(), [Log(d.link.front) for _ in range(2)]
    check(not logs[0].share(), "the log is shared")
    before = bytes(d.link.front.mem)
    logging(d, vhost.VRING_F_LOG)
    transfer(env, d)
    restart_queues(d, vhost.VRING_F_LOG)
    transfer(env, d)
    check(not logs[1].share(), "the next log is shared")
    logs[0].clear()
    transfer(env, d)
    pages = changed(d, before)
    check(pages <= logs[1].pages(), f"not logged: {pages - logs[1].pages()}")
    equal(logs[0].pages(), set(), "pages logged in the old one")
    check(d.link.front.share_log(d.link.front.err, LOG), "an eventfd is refused for a log")
    logs[1].clear()
    transfer(env, d)
    check(logs[1].pages(), "the last good log is in use")
    equal(d.fds(), fds, "descriptors")


@test("queues with a used ring to be logged wait for the log", ip=())
def log_late(env):
    d = spawn(env)
    front, log = d.link.front, Log(d.link.front)
    logging(d, vhost.VRING_F_LOG)
    before = [front.word(r.used + 2) for r in queues(d)]
    d.link.send(arp_request())
    front.order(vhost.SET_OWNER)
    equal([front.word(r.used + 2) for r in queues(d)], before, "indexes of used chains")
    check(not log.share(), "the log is shared")
    check(d.link.wait(lambda p: p.kind == "arp" and p.op == 2), "no answer")
    check(spread([(r.used, r.end) for r in queues(d)]) <= log.pages(), "rings are logged")
    transfer(env, d)


@test("what has no bit in the log is ignored, with a warning", ip=())
def log_outside(env):
    d = spawn(env)
    front, fds, log = d.link.front, d.fds(), Log(d.link.front)
    check(not log.share(), "the log is shared")
    logging(d, vhost.VRING_F_LOG)
    for at in (1 << 60, 2**64 - 8, GPA + 2 * REGION):
        for r in queues(d):
            check(not front.order(vhost.SET_VRING_ADDR, front.address(
                r.index, r.desc, r.avail, r.used, vhost.VRING_F_LOG, at)), "on")
        transfer(env, d)
    check("has no bit for address" in d.output(), "that is logged")
    check(not front.order(vhost.SET_LOG_FD, b"", [front.err]), "an event of the log")
    check(not front.order(vhost.ADD_MEM_REG, region(MORE, MORE, 4096, 0), [front.fd]),
          "memory without a bit is plugged")
    check(log.share(), "a log smaller than this is refused")
    check(not front.order(vhost.REM_MEM_REG, region(MORE, MORE, 4096, 0)), "unplugged")
    logging(d, vhost.VRING_F_LOG)
    transfer(env, d)
    equal(d.fds(), fds, "descriptors")
    with open(f"/proc/{d.proc.pid}/maps", encoding="ascii") as f:
        equal(f.read().count("dirtylog"), 1, "mappings of the log")
    d.reconnect()
    env.announce(d.link)
    transfer(env, d)
    with open(f"/proc/{d.proc.pid}/maps", encoding="ascii") as f:
        equal(f.read().count("dirtylog"), 0, "mappings of the log without its front-end")


# --- life ------------------------------------------------------------------------------

@test("a driver that stops and starts, with other features", ip=())
def restart(env):
    d = spawn(env)
    offer = d.link.front.features
    for without in (0, vhost.EVENT_IDX, vhost.MRG_RXBUF, vhost.INDIRECT_DESC,
                    vhost.GUEST_CSUM, vhost.GUEST_TSO4 | vhost.GUEST_TSO6,
                    vhost.EVENT_IDX | vhost.INDIRECT_DESC, vhost.CSUM, 0):
        for i in range(2):
            d.link.front.stop_queue(i)
        d.link.front.features = offer & ~without
        d.link.driver = vhost.Driver(d.link.front)
        works(env, d, f"without {without:x}")


@test("a queue that was turned off, not stopped, starts anew", ip=())
def turned_off(env):
    d = spawn(env)			# as cloud-hypervisor does it
    for _ in range(3):
        for i in range(2):
            d.link.front.order(vhost.SET_VRING_ENABLE, state(i, 0))
        check(not d.link.driver.start(stop=False), "a driver starts")
        for i in range(2):
            d.link.front.order(vhost.SET_VRING_ENABLE, state(i, 1))
        env.barrier(d.link)
        transfer(env, d)


@test("a driver that starts is asked who it is, and so is a guest that moves here", ip=())
def asked(env):
    d = spawn(env)
    check(not d.link.driver.start(), "a driver starts")
    check(d.link.wait(lambda p: p.kind == "arp" and p.op == 1), "a start raises no question")
    d.link.clear()
    check(not d.link.front.order(vhost.SEND_RARP, GUEST_MAC + bytes(2)), "it moves")
    check(d.link.wait(lambda p: p.kind == "arp" and p.op == 1), "a move raises no question")


# Has this eventfd been written to?
def drain(fd):
    try:
        return os.eventfd_read(fd)
    except BlockingIOError:
        return 0


@test("a queue that is stopped and continued goes on where it was", ip=())
def stop_and_continue(env):
    d = spawn(env)
    q = d.link.driver
    transfer(env, d)
    bases = [d.link.front.stop_queue(i) for i in range(2)]
    equal(bases, [d.link.front.word(r.used + 2) for r in (q.rx, q.tx)],
          "a queue stops at its used index")
    before = q.rx.last_used
    for i, r in enumerate((q.rx, q.tx)):
        check(not d.link.front.start_queue(i, r.size, r.desc, r.avail, r.used, bases[i]),
              "it starts there")
    transfer(env, d)
    check(q.rx.last_used > before, "frames pass")


@test("a driver is called when its queue starts, and when it gets another eventfd", ip=())
def called(env):
    d = spawn(env)
    q = d.link.driver
    transfer(env, d)
    for i, r in enumerate((q.rx, q.tx)):
        base = d.link.front.stop_queue(i)
        drain(d.link.front.call[i])
        check(not d.link.front.kick_queue(i, r.size, r.desc, r.avail, r.used, base),
              "it starts there")
        check(drain(d.link.front.call[i]), "a start is no call")
        new = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        old, d.link.front.call[i] = d.link.front.call[i], new
        check(not d.link.front.order(vhost.SET_VRING_CALL, struct.pack("=Q", i), [new]),
              "another eventfd")
        check(drain(new), "it is no call")
        os.close(old)
    transfer(env, d)


@test("a queue that is not enabled waits", ip=())
def disabled(env):
    d = spawn(env)
    front = d.link.front
    front.order(vhost.SET_VRING_ENABLE, state(1, 0))
    before = front.word(d.link.driver.tx.used + 2)
    d.link.send(arp_request())
    front.order(vhost.SET_OWNER)
    equal(front.word(d.link.driver.tx.used + 2), before, "chains used")
    front.order(vhost.SET_VRING_ENABLE, state(1, 1))
    check(d.link.wait(lambda p: p.kind == "arp" and p.op == 2), "no answer")


@test("memory is plugged and unplugged while queues run", ip=())
def plug(env):
    d = spawn(env)
    front = d.link.front
    for i in range(30):			# 32 in all
        check(not front.order(vhost.ADD_MEM_REG, region(
            MORE + i * 4096, MORE + i * 4096, 4096, i * 4096), [front.fd]), "plugged")
    check(front.order(vhost.ADD_MEM_REG, region(MORE - 4096, MORE - 4096, 4096, 0),
                      [front.fd]), "the 33rd region is refused")
    transfer(env, d)
    for i in range(30):
        check(not front.order(vhost.REM_MEM_REG, region(
            MORE + i * 4096, MORE + i * 4096, 4096, i * 4096)), "unplugged")
    transfer(env, d)
    check(not front.share_memory(), "the whole table is sent again")
    transfer(env, d)
    check(front.order(vhost.REM_MEM_REG, region(GPA, USER[0], REGION, 0)),
          "memory with rings in it is unplugged, and that is an error")
    d.link.driver.tx.offer([0])
    works(env, d, "memory without rings")
    check(front.order(vhost.SET_MEM_TABLE, state(1, 0) + struct.pack(
        "=QQQQ", GPA + REGION, REGION, USER[1], REGION), [front.fd]),
          "a table without the rings is an error")
    d.link.driver.tx.offer([0])
    works(env, d, "a table without the rings")


@test("another daemon goes on at the used index, with the same memory", ip=())
def replaced(env):
    d = spawn(env)
    link = d.link
    d.proc.kill()
    d.proc.wait()
    e = SocketDaemon(env.backend, *env.args, verbose=env.verbose)
    env.stack.callback(e.stop)
    e.link.front.close()
    q, front = link.driver, link.front
    front.sock.close()
    for _ in range(200):		# turned away while the daemon does not know
        try:
            front.sock = link.sock = socket.socket(socket.AF_UNIX)
            front.sock.connect(e.path)
            front.sock.settimeout(TIMEOUT)
            front.hello(link.features)
            break
        except (ConnectionError, OSError):
            select.select([], [], [], 0.02)
    check(not front.order(vhost.SET_FEATURES, number(front.features)), "features")
    check(not front.share_memory(), "memory")
    for r in (q.rx, q.tx):
        check(not front.start_queue(r.index, r.size, r.desc, r.avail, r.used,
                                    front.word(r.used + 2)), "a queue starts")
    e.link = link
    transfer(env, e)


@test("another front-end takes over; one more is turned away", ip=())
def takeover(env):
    d = spawn(env)
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(d.path)
        other.settimeout(TIMEOUT)
        equal(other.recv(1), b"", "a second front-end gets")
    transfer(env, d)
    fds = d.fds()
    for _ in range(5):
        d.reconnect()
        env.announce(d.link)
        transfer(env, d)
    equal(d.fds(), fds, "descriptors")


@test("a ring of each size, buffers of each size", ip=())
def sizes(env):
    d = spawn(env)
    for ring in (64, 256, 1024):
        for size in (1536, 4096, 9000):
            for i in range(2):
                d.link.front.stop_queue(i)
            vhost.RING_SIZE = ring
            d.link.driver = vhost.Driver(d.link.front, size)
            works(env, d, f"ring of {ring}, buffers of {size}")
    vhost.RING_SIZE = 256


@test("frames that need fewer buffers than were lent for them, one after the other", ip=())
def fewer(env):
    d = spawn(env)
    srv = env.udp_peer(IP4)
    port, sport = srv.getsockname()[1], 7000
    env.send_udp(IP4, sport, IP4.peer, port, b"x", link=d.link)
    src = srv.recvfrom(10)[1]
    for sizes in ((1536,), (40, 4096), (1, 2500), (13, 4096, 700)):
        d.link.driver = vhost.Driver(d.link.front, *sizes)
        works(env, d, f"buffers of {sizes}")
        data = [pattern(n, n) for n in (1, 1400, 7, 0, 900, 1472, 30, 2, 1000, 1300) * 3]
        with d.paused():		# so that they are received in batches
            for i in data:
                srv.sendto(i, src)
        for i in data:
            env.expect_udp(sport, IP4.peer, port, i, link=d.link)


# --- migration -------------------------------------------------------------------------

MOVER = "198.51.100.7"		# address of a guest that moves, not the assigned one
STATE_HEAD = struct.Struct("<QII")	# magic, version, bytes of the next part


def host_of(env, port):
    """A daemon that forwards a port to a guest; it has not heard of one"""
    d = SocketDaemon(env.backend, *env.args, "-t", str(port), verbose=env.verbose)
    env.stack.callback(d.stop)
    return d


def mover(env, d):
    """The guest uses its address, and is answered"""
    d.link.clear()
    d.link.send(frames.eth(b"\xff" * 6, GUEST_MAC, frames.ETH_ARP,
                           frames.arp(1, GUEST_MAC, MOVER, bytes(6), IP4.gw)))
    check(d.link.wait(lambda p: p.kind == "arp" and p.op == 2), "the guest is answered")


def dialled(env, d, port):
    """-> where a connection to the forwarded port goes, before the guest sends anything"""
    s = env.stack.enter_context(socket.socket())
    s.setblocking(False)
    s.bind((IP4.peer2, 0))
    with contextlib.suppress(BlockingIOError):
        s.connect((IP4.peer, port))
    p = d.link.wait(lambda p: p.kind == "tcp" and p.dport == port)
    check(p, "a connection reaches the guest")
    return p.dst


def stopped(d):
    for i in range(2):
        d.link.front.stop_queue(i)
    return d.link.front


def runs_again(d):
    check(not d.link.driver.start(), "the queues start")


@test("the state of a guest moves to another daemon, which knows its address", ip=())
def migrate(env):
    d, e = host_of(env, PORT), host_of(env, PORT + 1)
    mover(env, d)
    equal(dialled(env, d, PORT), MOVER, "address before")
    fds = d.fds(), e.fds()
    state = d.link.front.save_state()
    check(not stopped(e).load_state(state), "the state is loaded")
    equal((d.fds(), e.fds())[1], fds[1] - 2, "descriptors: two kicks less")
    runs_again(e)
    equal(dialled(env, e, PORT + 1), MOVER, "address after")
    check("The guest has moved here" in e.output(), "that is logged")
    d.reconnect()
    check("The guest has left" in d.output(), "it has left the first one")
    works(env, d, "another guest")
    works(env, e, "the guest that has moved")


@test("a migration that fails: the guest goes on where it was", ip=())
def migrate_back(env):
    d = host_of(env, PORT)
    mover(env, d)
    for _ in range(3):
        state = d.link.front.save_state()
        equal(d.link.front.save_state(), state, "saved twice")
        runs_again(d)
        equal(dialled(env, d, PORT), MOVER, "address")
    equal(d.output().count("it goes on here"), 1, "that is logged, once a second")
    transfer(env, d)


@test("a state that is not ours, or broken, is refused; the guest has a network", ip=())
def bad_states(env):
    d, e = host_of(env, PORT), host_of(env, PORT + 1)
    mover(env, d)
    state = d.link.front.save_state()
    magic, version, size = STATE_HEAD.unpack_from(state)
    rest = state[STATE_HEAD.size:]
    flipped = bytes([rest[40] ^ 4])
    bad = (
        ("nothing", b""),
        ("half of it", state[:len(state) // 2]),
        ("all but a byte", state[:-1]),
        ("a byte more", state + b"x"),
        ("a flipped bit", state[:56] + flipped + state[57:]),
        ("a later version", STATE_HEAD.pack(magic, version + 1, size) + rest),
        ("another program's", b"\xb1\xbb\x1d\x1b\x0b\xb1\xd1\xb0" + bytes(4096)),
        ("a MiB of it", pattern(1 << 20)),
    )
    for what, stream in bad:
        check(stopped(e).load_state(stream), f"{what}: refused")
        runs_again(e)
        equal(dialled(env, e, PORT + 1), IP4.guest, f"{what}: address")
        check(stopped(e).ask(vhost.CHECK_DEVICE_STATE), f"{what}: asked for again")
        runs_again(e)
    for why in ("No data available", "it is another program's, with magic 0xb0d1b10b1b1dbbb1",
                f"it has version {version + 1}, this program reads {version}"):
        check(f"State of the guest refused: {why}" in e.output(), f"the log says: {why}")
    transfer(env, e)


@test("a guest that never runs where its state was loaded leaves no trace", ip=())
def migrate_gone(env):
    d, e = host_of(env, PORT), host_of(env, PORT + 1)
    mover(env, d)
    state = d.link.front.save_state()
    for _ in range(2):
        check(not stopped(e).load_state(state), "the state is loaded")
    e.reconnect()
    equal(dialled(env, e, PORT + 1), IP4.guest, "address")
    check("has moved here" not in e.output(), "nobody has moved")


@test("requests about a state that break a rule are refused", ip=())
def state_rules(env):
    d = spawn(env)
    front, fds = d.link.front, d.fds()
    r, w = os.pipe()
    check(front.ask(vhost.CHECK_DEVICE_STATE), "a result without a state")
    for direction in (vhost.SAVE, vhost.LOAD):
        equal(front.state_fd(direction, [r if direction else w]), vhost.STATE_REFUSED,
              "while the queues run")
    stopped(d)
    with open(os.path.join(d.dir, "file"), "w+b") as f:
        for what, direction, phase, files in (
                ("no descriptor", vhost.SAVE, 0, ()), ("two", vhost.SAVE, 0, (w, w)),
                ("none to load from", vhost.LOAD, 0, ()), ("a file", vhost.SAVE, 0, (f,)),
                ("a file to load", vhost.LOAD, 0, (f,)), ("direction 7", 7, 0, (w,)),
                ("an eventfd", vhost.SAVE, 0, (front.err,)), ("phase 1", 0, 1, (w,)),
                ("253 pipes", vhost.LOAD, 0, (r,) * 253)):
            files = [i if isinstance(i, int) else i.fileno() for i in files]
            equal(front.state_fd(direction, files, phase), vhost.STATE_REFUSED, what)
            check(front.ask(vhost.CHECK_DEVICE_STATE), f"{what}: there is no result")
    for direction, fd in ((vhost.SAVE, r), (vhost.LOAD, w)):	# the wrong end
        equal(front.state_fd(direction, [fd]), vhost.STATE_TAKEN, "the wrong end is taken")
        check(front.ask(vhost.CHECK_DEVICE_STATE), "it can't be used")
    equal(front.state_fd(vhost.LOAD, [r]), vhost.STATE_TAKEN, "a state is announced")
    runs_again(d)			# without it
    os.close(r)
    check(front.ask(vhost.CHECK_DEVICE_STATE), "it came too late")
    with contextlib.suppress(BrokenPipeError):
        os.write(w, b"late")
        check(False, "nobody reads it any more")
    os.close(w)
    works(env, d, "requests about a state")
    equal(d.fds(), fds, "descriptors")


@test("a pipe that nobody reads or writes holds the daemon up for a limited time", ip=())
def slow_states(env):
    d, e, g = spawn(env), spawn(env), spawn(env)
    fds = d.fds(), e.fds(), g.fds()
    r, w = os.pipe()			# full
    os.set_blocking(w, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(w, bytes(4096))
    r2, w2 = os.pipe()			# empty
    equal(stopped(d).state_fd(vhost.SAVE, [w]), vhost.STATE_TAKEN, "save")
    equal(stopped(e).state_fd(vhost.LOAD, [r2]), vhost.STATE_TAKEN, "load")
    r3, w3 = os.pipe()			# and one whose front-end leaves
    equal(stopped(g).state_fd(vhost.LOAD, [r3]), vhost.STATE_TAKEN, "load")
    os.close(r3)
    works(env, g, "a state that does not come costs nothing")
    equal(stopped(g).state_fd(vhost.LOAD, [w3]), vhost.STATE_TAKEN, "load")
    g.reconnect()
    os.close(w3)
    works(env, g, "a state that did not come")
    for i in (d, e):
        i.link.front.sock.settimeout(30)
        i.link.front.send(vhost.CHECK_DEVICE_STATE)
    for i, what in ((d, "a full pipe"), (e, "a pipe that stays empty")):
        equal(struct.unpack("=Q", i.link.front.receive()[1])[0], 1, what)
        works(env, i, what)
    for i in (r, w, r2, w2):
        os.close(i)
    equal((d.fds(), e.fds(), g.fds()), fds, "descriptors")


if __name__ == "__main__":
    main()
