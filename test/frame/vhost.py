# SPDX-License-Identifier: GPL-2.0-or-later
"""
vhost.py - The front-end of a virtual machine and its guest's driver, for passt --vhost-user

A FrontEnd shares two adjacent regions of memory and sends the messages of vhost-user, in
the order in which qemu sends them.  A Driver has the two queues of a network device in
that memory.  Buffers are where a real driver would not put them: frames from the guest
are cut into pieces of odd sizes, and some pieces cross from one region to the next.
"""

import contextlib
import mmap
import os
import select
import socket
import struct
import sys
import time

REGION = 32 << 20
GPA = 1 << 30			# of the first region; the second is adjacent
USER = (0x7e00 << 32, 0x7d00 << 32)	# where the front-end has them
RING_SIZE = 256
NEXT, WRITE, INDIRECT = 1, 2, 4

# Features: virtio 1.2
CSUM, GUEST_CSUM, MTU = 1 << 0, 1 << 1, 1 << 3
GUEST_TSO4, GUEST_TSO6, HOST_TSO4, HOST_TSO6 = 1 << 7, 1 << 8, 1 << 11, 1 << 12
MRG_RXBUF, INDIRECT_DESC, EVENT_IDX = 1 << 15, 1 << 28, 1 << 29
LOG_ALL = 1 << 26		# of vhost-user alone, no driver has it
PROTOCOL_FEATURES, VERSION_1 = 1 << 30, 1 << 32
GUEST_USO4, GUEST_USO6, HOST_USO = 1 << 54, 1 << 55, 1 << 56

# Requests
(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE,
 SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE,
 SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, GET_PROTOCOL_FEATURES,
 SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE, SEND_RARP,
 NET_SET_MTU) = range(1, 21)
RESET_DEVICE, GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG = 34, 36, 37, 38
SET_DEVICE_STATE_FD, CHECK_DEVICE_STATE = 42, 43
SAVE, LOAD = 0, 1		# directions of a state
STATE_TAKEN, STATE_REFUSED = 0x100, 0x101	# answers

VRING_F_LOG = 1			# flag of SET_VRING_ADDR
PAGE = 4096			# of a log of dirty pages

HEADER = struct.Struct("=III")		# request, flags, bytes of the payload
NEED_REPLY = 8


class FrontEnd:
    """The connection to the back-end, and memory that is shared with it"""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(10)
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, 2 * REGION)
        self.mem = mmap.mmap(self.fd, 2 * REGION)
        self.words = memoryview(self.mem).cast("H")
        self.kick = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2)]
        self.call = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2)]
        self.err = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.features = 0

    def close(self):
        for fd in (self.fd, self.err, *self.kick, *self.call):
            os.close(fd)
        self.sock.close()

    # messages

    def send(self, request, payload=b"", fds=(), flags=1):
        socket.send_fds(self.sock, [HEADER.pack(request, flags, len(payload)) + payload],
                        fds)

    def receive(self):
        """-> (request, payload) of an answer"""
        head = self.sock.recv(HEADER.size, socket.MSG_WAITALL)
        if len(head) < HEADER.size:
            raise ConnectionError("the back-end has closed the connection")
        request, _, size = HEADER.unpack(head)
        return request, self.sock.recv(size, socket.MSG_WAITALL) if size else b""

    def ask(self, request, payload=b"", fds=()):
        """Send a request that has an answer of 64 bits"""
        self.send(request, payload, fds)
        got, answer = self.receive()
        if got != request:
            raise ConnectionError(f"answer {got} to request {request}")
        return struct.unpack("=Q", answer)[0]

    def order(self, request, payload=b"", fds=()):
        """Send a request and wait until it is done; -> 0, or not 0 for an error"""
        self.send(request, payload, fds, 1 | NEED_REPLY)
        got, answer = self.receive()
        if got != request:
            raise ConnectionError(f"answer {got} to request {request}")
        return struct.unpack("=Q", answer)[0]

    def hello(self, wanted):
        """What a front-end does before the guest's driver is there"""
        self.offer = self.ask(GET_FEATURES)
        protocol = self.ask(GET_PROTOCOL_FEATURES)
        self.send(SET_PROTOCOL_FEATURES, struct.pack("=Q", protocol))
        self.send(SET_OWNER)
        self.features = self.offer & (wanted & ~LOG_ALL | VERSION_1 | PROTOCOL_FEATURES)
        for i in range(2):
            self.send(SET_VRING_CALL, struct.pack("=Q", i), [self.call[i]])
            self.send(SET_VRING_ERR, struct.pack("=Q", i), [self.err])
        for i in range(2):
            self.send(SET_VRING_ENABLE, struct.pack("=II", i, 1))

    def share_memory(self):
        table = struct.pack("=II", 2, 0)
        for i in range(2):
            table += struct.pack("=QQQQ", GPA + i * REGION, REGION, USER[i], i * REGION)
        return self.order(SET_MEM_TABLE, table, [self.fd, self.fd])

    def address(self, i, desc, avail, used, flags=0, log=None):
        """-> a payload of SET_VRING_ADDR; parts are at these offsets of the first region"""
        return struct.pack("=IIQQQQ", i, flags, USER[0] + desc, USER[0] + used,
                           USER[0] + avail, GPA + used if log is None else log)

    def share_log(self, fd, size, offset=0):
        """Share a log of dirty pages; it is answered in any case"""
        return self.ask(SET_LOG_BASE, struct.pack("=QQ", size, offset), [fd])

    def kick_queue(self, i, size, desc, avail, used, base=0, flags=0):
        """Start a queue whose parts are at these offsets of the first region, and keep its
        eventfd for calls"""
        self.send(SET_VRING_NUM, struct.pack("=II", i, size))
        self.send(SET_VRING_BASE, struct.pack("=II", i, base))
        self.send(SET_VRING_ADDR, self.address(i, desc, avail, used, flags))
        return self.order(SET_VRING_KICK, struct.pack("=Q", i), [self.kick[i]])

    def start_queue(self, i, *args, **kwargs):
        """Start a queue as kick_queue() does, and set its eventfd for calls"""
        failed = self.kick_queue(i, *args, **kwargs)
        return self.order(SET_VRING_CALL, struct.pack("=Q", i), [self.call[i]]) or failed

    def stop_queue(self, i):
        """-> index of the first chain that was not used"""
        return self.ask(GET_VRING_BASE, struct.pack("=II", i, 0)) >> 32

    # the state of the device, as it moves with a guest that stands still

    def state_fd(self, direction, fds, phase=0):
        return self.ask(SET_DEVICE_STATE_FD, struct.pack("=II", direction, phase), fds)

    def save_state(self):
        """-> the state; stops the queues"""
        for i in range(2):
            self.stop_queue(i)
        r, w = os.pipe()
        with open(r, "rb") as f:
            answer = self.state_fd(SAVE, [w])
            os.close(w)
            if answer != STATE_TAKEN:
                raise ValueError(f"answer {answer:x} to a request to save the state")
            state = f.read()
        if self.ask(CHECK_DEVICE_STATE):
            raise ValueError("the state was not saved")
        return state

    def load_state(self, state):
        """-> 0, or not 0 if it is refused; the queues are stopped"""
        r, w = os.pipe()
        answer = self.state_fd(LOAD, [r])
        os.close(r)
        if answer != STATE_TAKEN:
            raise ValueError(f"answer {answer:x} to a request to load a state")
        with contextlib.suppress(BrokenPipeError), open(w, "wb") as f:
            f.write(state)
        return self.ask(CHECK_DEVICE_STATE)

    # memory, by offset

    def put(self, offset, data):
        self.mem[offset:offset + len(data)] = data

    def get(self, offset, size):
        return self.mem[offset:offset + size]

    def put_word(self, offset, number):
        """Store 16 bits at once: pack_into() writes zeros first"""
        number &= 0xffff
        if sys.byteorder == "big":
            number = number >> 8 | (number & 0xff) << 8
        self.words[offset // 2] = number

    def word(self, offset):
        return struct.unpack_from("<H", self.mem, offset)[0]


class Queue:
    """One ring, as the driver sees it"""

    def __init__(self, front, index, size, at):
        self.front, self.index, self.size = front, index, size
        self.desc = at
        self.avail = at + 16 * size
        self.used = (self.avail + 6 + 2 * size + 3) & ~3
        self.end = self.used + 6 + 8 * size
        self.next_avail = self.last_used = 0
        self.event_idx = bool(front.features & EVENT_IDX)

    def reset(self):
        self.front.put(self.desc, bytes(self.end - self.desc))
        self.next_avail = self.last_used = 0

    def start(self):
        return self.front.start_queue(self.index, self.size, self.desc, self.avail,
                                      self.used)

    def describe(self, i, gpa, size, flags=0, following=0):
        self.front.put(self.desc + 16 * i,
                       struct.pack("<QIHH", gpa, size, flags, following))

    def offer(self, heads):
        """Make chains available, kick if the device wants that"""
        mem, before = self.front.mem, self.next_avail
        for head in heads:
            struct.pack_into("<H", mem, self.avail + 4 + 2 * (self.next_avail % self.size),
                             head)
            self.next_avail += 1
        self.front.put_word(self.avail + 2, self.next_avail)
        if self.event_idx:
            event = self.front.word(self.used + 4 + 8 * self.size)
            wanted = (self.next_avail - event - 1) & 0xffff < self.next_avail - before
        else:
            wanted = not self.front.word(self.used) & 1
        if wanted:
            os.eventfd_write(self.front.kick[self.index], 1)

    def collect(self):
        """-> list of (head, length) that the device has used"""
        out = []
        used = self.front.word(self.used + 2)
        while self.last_used & 0xffff != used:
            out.append(struct.unpack_from(
                "<II", self.front.mem, self.used + 4 + 8 * (self.last_used % self.size)))
            self.last_used += 1
        if self.event_idx:
            self.front.put_word(self.avail + 4 + 2 * self.size, self.last_used)
        return out


class Driver:
    """
    A network device's driver: frames out, each in pieces, and buffers for frames in

    Memory of the first region: rings, then indirect tables, then receive buffers; frames
    out have slots around the border of both regions.
    """

    TABLES, RX, SLOT = 0x40000, 0x100000, 72 << 10

    def __init__(self, front, *sizes):
        f = front.features
        self.front = front
        self.mergeable = bool(f & MRG_RXBUF)
        self.indirect = bool(f & INDIRECT_DESC)
        self.rx = Queue(front, 0, RING_SIZE, 0)
        self.tx = Queue(front, 1, min(4 * RING_SIZE, 1024), 0x20000)
        sizes = sizes or (1536,)
        if not self.mergeable:		# virtio 1.2, 5.1.6.3.1
            sizes = (65562 if f & (GUEST_TSO4 | GUEST_TSO6) else 1526,)
        self.step = 1 if self.mergeable else 2	# descriptors of a buffer
        self.buffers, at = [], self.RX	# (offset, size)
        for i in range(RING_SIZE // self.step):
            self.buffers.append((at, sizes[i % len(sizes)]))
            at += sizes[i % len(sizes)]
        self.slots = self.tx.size // 5
        self.tx_base = REGION - self.SLOT * self.slots // 2
        self.free = list(range(self.slots))
        self.cut = 0

    def start(self, stop=True):
        """Offer all receive buffers and start both queues, stopped before or not"""
        failed = self.front.order(SET_FEATURES, struct.pack("=Q", self.front.features))
        failed |= self.front.share_memory()
        for i in range(2 if stop else 0):
            self.front.stop_queue(i)
        self.rx.reset()
        self.tx.reset()
        self.free = list(range(self.slots))
        for i, (at, size) in enumerate(self.buffers):
            if self.mergeable:
                self.rx.describe(i, GPA + at, size, WRITE)
            else:			# the header has a descriptor of its own
                self.rx.describe(2 * i, GPA + at, 12, WRITE | NEXT, 2 * i + 1)
                self.rx.describe(2 * i + 1, GPA + at + 12, size - 12, WRITE)
        self.rx.offer(range(0, len(self.buffers) * self.step, self.step))
        return failed | self.rx.start() | self.tx.start()

    def receive(self):
        """-> list of (frame, header of 10 bytes)"""
        used, out, at = self.rx.collect(), [], 0
        while at < len(used):
            data, n, count = b"", None, 0
            while n is None or count < n:
                head, size = used[at]
                part = self.front.get(self.buffers[head // self.step][0], size)
                data += part
                at, count = at + 1, count + 1
                if n is None and len(data) >= 12:
                    n = struct.unpack_from("<H", data, 10)[0]
                    if not n or (n > 1 and not self.mergeable):
                        raise ValueError(f"a frame in {n} buffers")
            out.append((data[12:], data[:10]))
        if used:
            self.rx.offer([head for head, _ in used])
        return out

    def pieces(self, size):
        """Sizes to cut a frame into, others each time"""
        self.cut = (self.cut + 1) % 97
        first = [12] if self.cut % 3 else [5, 7]	# header alone, or cut itself
        odd = [s for s in (self.cut + 1, 1, 4096, 13) if s][:1 + self.cut % 4]
        out = []
        for s in first + odd:
            if size > s:
                out.append(s)
                size -= s
        return out + [size]

    def reclaim(self):
        for head, _ in self.tx.collect():
            self.free.append(head // 5)

    def send(self, frames):
        """Send (header of 10 bytes, frame), all made available at once if they fit"""
        heads = []
        for header, frame in frames:
            self.reclaim()
            if not self.free:
                self.tx.offer(heads)
                heads = []
                end = time.monotonic() + 10
                while not self.free:
                    select.select([self.front.call[1]], [], [], 0.05)
                    if time.monotonic() > end:
                        raise ValueError("the device uses no frame")
                    with contextlib.suppress(BlockingIOError):
                        os.eventfd_read(self.front.call[1])
                    self.reclaim()
            heads.append(self.fill(self.free.pop(0), header + b"\0\0" + frame))
        self.tx.offer(heads)

    def fill(self, slot, data):
        """Put a frame into a slot; -> head of its chain"""
        at = self.tx_base + slot * self.SLOT
        self.front.put(at, data)
        sizes = self.pieces(len(data))
        if len(sizes) > 5:
            sizes = sizes[:4] + [sum(sizes[4:])]
        entries, head = [], slot * 5
        for i, size in enumerate(sizes):
            last = i == len(sizes) - 1
            entries.append((GPA + at, size, 0 if last else NEXT))
            at += size
        if self.indirect and slot % 2:
            table = self.TABLES + slot * 128
            for i, (gpa, size, flags) in enumerate(entries):
                self.front.put(table + 16 * i,
                               struct.pack("<QIHH", gpa, size, flags, i + 1))
            self.tx.describe(head, GPA + table, 16 * len(entries), INDIRECT)
            return head
        for i, (gpa, size, flags) in enumerate(entries):
            self.tx.describe(head + i, gpa, size, flags, head + i + 1)
        return head
