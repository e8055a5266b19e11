#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Traffic while the forwarding rules of a running pasta change

changes.py serve PORT		echo TCP connections and datagrams
changes.py connections CONTROL PORT N
				make N connections one after the other while 200 other
				rules come and go; print how many failed, and the changes
changes.py gaps CONTROL PORT NATIVE
				send a datagram each millisecond by a forwarded port and
				to another one directly while 1000 rules are added and
				removed; print the longest times without an answer, ms
changes.py crowd CONTROL PORT NATIVE
				the same, with nine clients at once: they are silent, send half
				a line or half a table, read no answers, and change rules
"""

import multiprocessing
import select
import socket
import sys
import threading
import time

FIRST = 20000			# port of the rules that come and go


def serve(port):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for s in udp, tcp:
        s.bind(('0.0.0.0', port))
    tcp.listen(64)
    while True:
        for s in select.select([udp, tcp], [], [])[0]:
            if s is udp:
                data, peer = udp.recvfrom(64)
                udp.sendto(data, peer)
                continue
            c, _ = tcp.accept()
            c.sendall(c.recv(64))
            c.close()


class Control:
    """Words to the control socket"""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.bind('')
        self.s.connect(path)
        self.f = self.s.makefile('rwb')

    def ask(self, *lines):
        """Send lines; False if one of them was refused"""
        self.f.write(b''.join(line.encode() + b'\n' for line in lines))
        self.f.flush()
        ok = 0
        for _ in lines:
            for answer in self.f:
                if b'"ok":' in answer:
                    ok += b'"ok":true' in answer
                    break
        return ok == len(lines)

    def change(self, word, n):
        """One transaction with rules for @n ports"""
        return self.ask('begin', *[f'{word} {("tcp", "udp")[i % 2]} 127.0.0.1/{FIRST + i}'
                                   for i in range(n)], 'commit')


def change_all_the_time(path, n, state):
    control = Control(path)
    while not state['stop']:
        for word in 'add', 'del':
            if not control.change(word, n):
                state['refused'] += 1
            state['changes'] += 1


def connect(port):
    with socket.create_connection(('127.0.0.1', port), 10) as s:
        s.sendall(b'x')
        return s.recv(1) == b'x' and s.recv(1) == b''


def connections(path, port, n):
    state = {'stop': False, 'changes': 0, 'refused': 0}
    other = threading.Thread(target=change_all_the_time, args=(path, 200, state))
    other.start()
    failed = 0
    for _ in range(n):
        try:
            failed += not connect(port)
        except OSError as e:
            print(e, file=sys.stderr)
            failed += 1
    state['stop'] = True
    other.join()
    print(failed, state['refused'], state['changes'])


def echo(port, stop, result):
    """A datagram each millisecond; the longest time without an answer, and how many"""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(('127.0.0.1', port))
    poll = select.poll()
    poll.register(s, select.POLLIN)
    last, longest, answers = time.monotonic(), 0.0, 0
    while not stop.is_set():
        s.send(b'x')
        end = time.monotonic() + 0.001
        while (left := end - time.monotonic()) > 0:
            if not poll.poll(left * 1000):
                break
            s.recv(64)
            answers += 1
            now = time.monotonic()
            if answers > 50:
                longest = max(longest, now - last)
            last = now
    result.put((port, max(longest, time.monotonic() - last), answers))


def dial(path, data):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)
    s.setblocking(False)
    try:
        while data:
            data = data[s.send(data):]
    except BlockingIOError:
        pass
    return s


def in_crowd(path):
    others = [dial(path, data) for data in (
        b'', b'hel', b'\x01\0\0\2\0' + bytes(40), b'rules\n' * 100000, b'rules\n' * 1000,
        b'x' * 1000000, b'add tcp 127.0.0.1/19999\ndel tcp 127.0.0.1/19999\n' * 20000)]
    state = {'stop': False, 'changes': 0, 'refused': 0}
    changer = threading.Thread(target=change_all_the_time, args=(path, 100, state))
    changer.start()
    time.sleep(0.5)
    ninth = dial(path, b'status\n')
    time.sleep(1)
    state['stop'] = True
    others[-1].close()			# the changer may wait for it
    changer.join()
    del ninth
    return state['changes'] > 0 and not state['refused']


def changed(path):
    control = Control(path)
    good = control.change('add', 1000)
    time.sleep(0.1)
    return control.change('del', 1000) and good


def crowd(path, port, native):
    gaps(path, port, native, in_crowd)


def gaps(path, port, native, load=changed):
    stop, result = multiprocessing.Event(), multiprocessing.Queue()
    both = [multiprocessing.Process(target=echo, args=(p, stop, result))
            for p in (port, native)]
    for e in both:
        e.start()
    time.sleep(0.3)
    good = load(path)
    time.sleep(0.1)
    stop.set()
    times = {p: (longest, answers) for p, longest, answers in (result.get(), result.get())}
    for e in both:
        e.join()
    print(int(good), *(round(times[p][0] * 1000, 1) for p in (port, native)), times[port][1])


if __name__ == '__main__':
    name, args = sys.argv[1], sys.argv[2:]
    globals()[name](*(int(a) if a.isdigit() else a for a in args))
