#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The messages of virtual machine monitors, each in its own order: cloud-hypervisor, libkrun
and qemu.  After each start, data passes both ways.  The monitors close the connection if an
answer has an unexpected size, so every answer is checked strictly, and so is that there is
only one.
"""

import os
import random
import select
import struct

import harness
import vhost
from harness import GUEST_MAC, IP4, Daemon, check, equal, main, test
from vhost import GPA, HEADER, NEED_REPLY, REGION, USER

GET_CONFIG = 24
(P_MQ, P_LOG_SHMFD, P_REPLY_ACK, P_NET_MTU, P_CONFIG, P_INFLIGHT, P_RESET_DEVICE,
 P_MEM_SLOTS) = (1 << bit for bit in (0, 1, 3, 4, 9, 12, 13, 15))
ANSWER = 5			# flags: version 1, an answer

for _name in set(harness.BACKENDS) - {"vhost"}:
    del harness.BACKENDS[_name]


class Monitor(vhost.FrontEnd):
    """A front-end that is strict about answers; subclasses know the order of messages"""

    def __init__(self, link):
        super().__init__(link.sock)
        os.close(link.front.fd)
        link.front = self
        self.link, self.owed, self.protocol = link, 0, 0

    def answer(self, request):
        """-> the 64 bits of the only answer to a request"""
        head = self.sock.recv(HEADER.size)
        equal(len(head), HEADER.size, f"bytes of the header that answers request {request}")
        equal(HEADER.unpack(head), (request, ANSWER, 8), f"answer to request {request}")
        return struct.unpack("=Q", self.sock.recv(8))[0]

    def ask(self, request, payload=b"", fds=()):
        """A request that is answered; NEED_REPLY asks for no second answer"""
        self.send(request, payload, fds, 1 | (self.protocol & P_REPLY_ACK and NEED_REPLY))
        return self.answer(request)

    def tell(self, request, payload=b"", fds=()):
        """A request without an answer of its own"""
        if not self.protocol & P_REPLY_ACK:
            self.send(request, payload, fds)
            return
        self.send(request, payload, fds, 1 | NEED_REPLY)
        equal(self.answer(request), 0, f"request {request} was handled: error")

    order = tell

    def silent(self):
        """All that was sent has been answered, once"""
        offer = self.ask(vhost.GET_FEATURES)
        check(not select.select([self.sock], [], [], 0)[0], "an answer too many")
        return offer

    def negotiate(self, known):
        """-> protocol features, of those the monitor knows"""
        self.offer = self.ask(vhost.GET_FEATURES)
        check(self.offer & vhost.PROTOCOL_FEATURES, "protocol features are offered")
        protocol = self.ask(vhost.GET_PROTOCOL_FEATURES) & known
        self.tell(vhost.SET_PROTOCOL_FEATURES, number(protocol))
        self.protocol = protocol

    def table(self):
        return state(2, 0) + b"".join(
            struct.pack("=QQQQ", GPA + i * REGION, REGION, USER[i], i * REGION)
            for i in range(2))

    # one message for a ring

    def num(self, q):
        self.tell(vhost.SET_VRING_NUM, state(q.index, q.size))

    def base(self, q, at=0):
        self.tell(vhost.SET_VRING_BASE, state(q.index, at))

    def addr(self, q):
        self.tell(vhost.SET_VRING_ADDR, struct.pack(
            "=IIQQQQ", q.index, 0, *(USER[0] + at for at in (q.desc, q.used, q.avail)), 0))

    def kicked(self, q):
        self.tell(vhost.SET_VRING_KICK, number(q.index), [self.kick[q.index]])

    def called(self, q):
        self.tell(vhost.SET_VRING_CALL, number(q.index), [self.call[q.index]])

    def enable(self, q, on=1):
        self.tell(vhost.SET_VRING_ENABLE, state(q.index, on))

    # a driver

    def load(self, size=256):
        """The guest's driver is there, with empty queues -> the queues"""
        vhost.RING_SIZE = size
        self.link.driver = vhost.Driver(self)
        vhost.RING_SIZE = 256
        return self.link.driver.rx, self.link.driver.tx

    def drive(self):
        """The driver offers its buffers, before the device is told of its queues"""
        d = self.link.driver
        d.rx.reset()
        d.tx.reset()
        d.free = list(range(d.slots))
        for i, (at, size) in enumerate(d.buffers):
            d.rx.describe(i, GPA + at, size, vhost.WRITE)
        d.rx.offer(range(len(d.buffers)))


class CloudHypervisor(Monitor):
    """Wants an answer to every message; the base follows the address; ENABLE is last"""

    KNOWN = P_MQ | P_MEM_SLOTS | P_REPLY_ACK | P_INFLIGHT | P_LOG_SHMFD
    DRIVER = (vhost.CSUM | vhost.GUEST_CSUM | vhost.GUEST_TSO4 | vhost.GUEST_TSO6 |
              vhost.HOST_TSO4 | vhost.HOST_TSO6 | vhost.MRG_RXBUF | vhost.EVENT_IDX |
              vhost.VERSION_1 | vhost.PROTOCOL_FEATURES)

    def hello(self, wanted=DRIVER):
        self.tell(vhost.SET_OWNER)
        self.negotiate(self.KNOWN)
        self.features = self.offer & wanted

    def start(self, queues):
        self.drive()
        self.tell(vhost.SET_FEATURES, number(self.features))
        self.tell(vhost.SET_MEM_TABLE, self.table(), [self.fd, self.fd])
        for q in queues:
            self.num(q)
        for q in queues:
            self.addr(q)
            self.base(q)
            self.called(q)
            self.kicked(q)
        for q in queues:
            self.enable(q)

    def pause(self, queues):
        for q in queues:
            self.enable(q, 0)


class Libkrun(Monitor):
    """Wants no answers; memory before features; one call descriptor for all queues"""

    KNOWN = P_CONFIG | P_MQ

    def hello(self, wanted=~0):
        self.tell(vhost.SET_OWNER)
        self.negotiate(self.KNOWN)
        self.features = self.offer & wanted
        os.close(self.call[1])
        self.call[1] = os.dup(self.call[0])

    def start(self, queues):
        self.drive()
        self.tell(vhost.SET_MEM_TABLE, self.table(), [self.fd, self.fd])
        self.tell(vhost.SET_FEATURES, number(self.features))
        for q in queues:
            self.num(q)
            self.base(q)
            self.addr(q)
            self.kicked(q)
            self.called(q)
            self.enable(q)

    pause = CloudHypervisor.pause


class Qemu(Monitor):
    """Resets and enables before there is a driver, and never again"""

    KNOWN = ~0

    def hello(self, wanted=CloudHypervisor.DRIVER | vhost.INDIRECT_DESC):
        self.negotiate(self.KNOWN)
        equal(self.ask(vhost.GET_MAX_MEM_SLOTS), 32, "regions")
        self.tell(vhost.SET_OWNER)
        self.offer = self.ask(vhost.GET_FEATURES)
        self.features = self.offer & wanted
        for i in range(2):
            self.tell(vhost.SET_VRING_CALL, number(i), [self.call[i]])
            self.tell(vhost.SET_VRING_ERR, number(i), [self.err])
        self.reset()

    def reset(self):
        for _ in range(4):
            self.tell(vhost.RESET_DEVICE)
            for i in range(2):
                self.tell(vhost.SET_VRING_ENABLE, state(i, 1))

    def start(self, queues, bases=(0, 0), region=True):
        if not any(bases):
            self.drive()
        self.tell(vhost.SET_FEATURES, number(self.features))
        for i in range(2 if region else 0):
            self.tell(vhost.ADD_MEM_REG, struct.pack(
                "=QQQQQ", 0, GPA + i * REGION, REGION, USER[i], i * REGION), [self.fd])
        for q in queues:
            self.num(q)
            self.base(q, bases[q.index])
            self.addr(q)
            self.kicked(q)
            self.called(q)

    def stop(self, queues):
        return [self.stop_queue(q.index) for q in queues]


def state(index, num):
    return struct.pack("=II", index, num)


def number(n):
    return struct.pack("=Q", n)


class Machine(Daemon):
    """A daemon whose front-end is a monitor; a link without a driver so far"""

    monitor = None

    def start_vhost(self, features):
        self.link = harness.VhostLink("guest", GUEST_MAC,
                                      self.start_passt("--vhost-user"), features)
        self.monitor = type(self).monitor(self.link)
        self.monitor.hello()


def machine(env, monitor):
    """-> daemon, monitor"""
    kind = type("Machine", (Machine,), {"monitor": monitor})
    d = kind(env.backend, *env.args, verbose=env.verbose)
    env.stack.callback(d.stop)
    return d, d.monitor


def passes(env, d, what):
    """Data passes both ways: datagrams, and a TCP connection with large frames"""
    check(d.alive(), f"{what}: the daemon is alive: {d.output()[-300:]}")
    d.link.clear()
    env.announce(d.link)
    srv = env.udp_peer(IP4)
    port, sport = srv.getsockname()[1], 7000	# one flow, since others need descriptors
    for size in (1, 1400):
        data = random.Random(size).randbytes(size)
        env.send_udp(IP4, sport, IP4.peer, port, data, link=d.link)
        got, src = srv.recvfrom(2000)
        equal(got, data, f"{what}: datagram from the guest")
        srv.sendto(data, src)
        env.expect_udp(sport, IP4.peer, port, data, link=d.link)
    c = env.connect(IP4, link=d.link)
    carries(env, c, what)
    c.abort()
    d.monitor.silent()


def carries(env, c, what):
    """An established connection carries data both ways"""
    data, have = random.Random(7).randbytes(100000), len(c.data)
    c.write(data)
    equal(env.recv(c.peer, len(data)), data, f"{what}: data from the guest")
    c.peer.sendall(data[:60000])
    equal(c.read(have + 60000)[have:], data[:60000], f"{what}: data to the guest")


def quiet(env, d):
    """Queues that are off take nothing from the guest"""
    at = d.link.driver.tx.used + 2
    before = d.link.front.word(at)
    env.send_udp(IP4, 7000, IP4.peer, 7000, b"late", link=d.link)
    d.monitor.silent()
    equal(d.link.front.word(at), before, "chains used by a queue that is off")


@test("cloud-hypervisor: each message is answered once, and data passes", ip=())
def cloud_hypervisor(env):
    d, m = machine(env, CloudHypervisor)
    equal(m.protocol & (P_REPLY_ACK | P_MEM_SLOTS), P_REPLY_ACK | P_MEM_SLOTS, "protocol")
    m.start(m.load())
    passes(env, d, "start")
    check(not m.protocol & (P_MQ | P_INFLIGHT), "offered: neither queues nor in-flight")


@test("cloud-hypervisor: a pause turns queues off, and connections go on after it", ip=())
def cloud_hypervisor_pause(env):
    d, m = machine(env, CloudHypervisor)
    queues = m.load()
    m.start(queues)
    passes(env, d, "start")
    c = env.connect(IP4, link=d.link)
    for _ in range(3):
        m.pause(queues)
        quiet(env, d)
        for q in queues:
            m.enable(q)
        carries(env, c, "after the pause")
    c.abort()


@test("cloud-hypervisor: a start on queues that were never stopped is a new one", ip=())
def cloud_hypervisor_restart(env):
    d, m = machine(env, CloudHypervisor)
    fds = None
    for size in (256, 64, 256, 128):
        queues = m.load(size)
        m.start(queues)
        passes(env, d, f"rings of {size}")
        fds = fds or d.fds()
        m.pause(queues)
    equal(d.fds(), fds, "descriptors")


@test("cloud-hypervisor: memory is plugged while data passes", ip=())
def cloud_hypervisor_plug(env):
    d, m = machine(env, CloudHypervisor)
    m.start(m.load())
    passes(env, d, "start")
    more = struct.pack("=QQQQQ", 0, 1 << 40, REGION, 1 << 41, 0)
    m.tell(vhost.ADD_MEM_REG, more, [m.fd])
    passes(env, d, "plugged")
    m.tell(vhost.REM_MEM_REG, more)
    passes(env, d, "unplugged")


@test("libkrun: memory comes before features, queues share a call descriptor", ip=())
def libkrun(env):
    d, m = machine(env, Libkrun)
    equal(m.protocol, 0, "protocol")
    queues = m.load()
    m.start(queues)
    passes(env, d, "start")
    for _ in range(2):
        m.pause(queues)
        quiet(env, d)
        queues = m.load()
        m.start(queues)
        passes(env, d, "start after a reset")


@test("a request for the configuration is refused, and the connection lives", ip=())
def config(env):
    space = struct.pack("=III", 0, 12, 0) + bytes(12)
    d, m = machine(env, Libkrun)
    m.start(m.load())
    m.send(GET_CONFIG, space)
    passes(env, d, "without REPLY_ACK")
    d, m = machine(env, CloudHypervisor)
    m.start(m.load())
    m.send(GET_CONFIG, space, flags=1 | NEED_REPLY)
    check(m.answer(GET_CONFIG), "an error is the answer")
    passes(env, d, "with REPLY_ACK")


@test("qemu: queues are enabled before they exist, and go on where they stopped", ip=())
def qemu(env):
    d, m = machine(env, Qemu)
    check(m.protocol & P_RESET_DEVICE and m.protocol & P_NET_MTU, "protocol")
    queues = m.load(1024)
    m.tell(vhost.NET_SET_MTU, number(1500))
    m.start(queues)
    passes(env, d, "start")
    c = env.connect(IP4, link=d.link, mss=1460)
    for _ in range(3):
        bases = m.stop(queues)
        equal(bases, [m.word(q.used + 2) for q in queues], "stopped at the used index")
        m.reset()
        m.start(queues, bases, region=False)
        carries(env, c, "continued")
    c.abort()
    m.stop(queues)
    m.reset()
    queues = m.load(256)
    m.start(queues, region=False)
    passes(env, d, "after a reset, with the same memory")


@test("an answer comes once, whatever the request and its flags", ip=())
def one_answer(env):
    d, m = machine(env, Qemu)
    for flags in (1, 1 | NEED_REPLY):
        for request in (vhost.GET_FEATURES, vhost.GET_PROTOCOL_FEATURES,
                        vhost.GET_QUEUE_NUM, vhost.GET_MAX_MEM_SLOTS):
            m.send(request, flags=flags)
            m.answer(request)
            m.silent()
        m.send(vhost.GET_VRING_BASE, state(1, 0), flags=flags)
        equal(m.answer(vhost.GET_VRING_BASE), 1, "queue 1, base 0")
        m.silent()
    m.send(vhost.SET_OWNER)
    m.silent()
    check(d.alive(), "the daemon is alive")


if __name__ == "__main__":
    main()
