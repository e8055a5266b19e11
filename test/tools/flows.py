#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Many connections whose ends learn what has become of them, and checks of requests about
flows on the control socket

flows.py serve ADDR PORT:N...	accept N connections at each port
flows.py connect ADDR PORT:N...	open N connections to each port
	Both print "ready", wait for a line of input with ports, and print how many
	connections of these were reset, and how many of the others passed a byte each way:
	"reset=N alive=N".
flows.py NAME PATH [ARG...]	run the checks of that name, as control.py does
"""

import os
import resource
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from control import Client, check, error, wait_until  # noqa: E402


def ports(args):
    return [(int(p), int(n)) for p, n in (a.split(':') for a in args)]


def all_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def is_reset(s):
    try:
        return not s.recv(1) and False
    except (ConnectionResetError, BrokenPipeError):
        return True
    except TimeoutError:
        return False


def report(conns, serving):
    """Wait for the ports that were killed; count resets there, and bytes elsewhere"""
    print('ready', flush=True)
    killed = {int(p) for p in sys.stdin.readline().split()}
    for _, s in conns:
        s.settimeout(20)
    reset = sum(is_reset(s) for port, s in conns if port in killed)
    alive = 0
    others = [s for port, s in conns if port not in killed]
    try:
        if not serving:
            for s in others:
                s.sendall(b'x')
        for s in others:
            if s.recv(1) == b'x':
                alive += 1
            if serving:
                s.sendall(b'x')
    except OSError as e:
        print(f'error={e!r}', end=' ')
    print(f'reset={reset} alive={alive}', flush=True)
    sys.stdin.readline()                # keep them until told to end


def serve(addr, *args):
    conns = []
    listeners = []
    for port, n in ports(args):
        s = socket.create_server((addr, port), backlog=4096)
        listeners.append((port, n, s))
    print('listening', flush=True)
    for port, n, s in listeners:
        conns += [(port, s.accept()[0]) for _ in range(n)]
    report(conns, True)


def connect(addr, *args):
    report([(port, socket.create_connection((addr, port), timeout=30))
            for port, n in ports(args) for _ in range(n)], False)


# --- checks --------------------------------------------------------------------------------

def flows(path, text=''):
    c = Client(path, named=True)
    got = c.ask(('flows ' + text).rstrip())
    c.close()
    return got[:-1] if got[-1].get('ok') else None


def requests(path):
    """Requests that are wrong"""
    c = Client(path, named=True)
    for text in ('flows proto', 'flows proto sctp', 'flows proto tcp proto udp', 'flows x',
                 'flows rule -1', 'flows rule 1.0', 'flows port 0', 'flows src 1.2.3', 'flows dst ::/129',
                 'kill', 'kill 1', 'kill 1.', 'kill x', 'kill proto', 'events', 'events x',
                 'events flows,', 'events flows proto', 'stats x', 'metrics x'):
        check(error(c.ask(text)) == 'EINVAL', f'EINVAL: {text}')
    got = c.ask('flows dst 10.0.0.0/99')[0]
    check(got['text'] == "'10.0.0.0/99' is not valid: expected an address or network",
          'the wrong word is named')
    check(error(c.ask('kill 0.0')) == 'ENOENT' and error(c.ask('kill 30000.1')) == 'ENOENT',
          'ENOENT: a flow that there never was')
    check(c.ask('kill port 9') == [{'ok': True, 'killed': 0}], 'no flow may match')
    c.close()


def reused(path, inside, addr, port):
    """A flow that has ended is not the one that has its number now"""
    code = ('import socket, sys\n'
            f's = socket.create_connection(("{addr}", {port}))\n'
            'try:\n'
            '    s.recv(1)\n'
            'except ConnectionResetError:\n'
            '    sys.exit(7)\n')

    def one():
        p = subprocess.Popen(inside.split() + ['python3', '-c', code])
        wait_until(lambda: flows(path, f'dst {addr} port {port}'))
        return p, flows(path, f'dst {addr} port {port}')[0]['flow']

    first, name = one()
    c = Client(path, named=True)
    check(c.ask(f'kill {name}') == [{'ok': True, 'killed': 1}], 'a flow is killed by its name')
    check(first.wait(10) == 7, 'its client gets a reset')
    check(error(c.ask(f'kill {name}')) == 'ENOENT', 'then its name is unknown')
    second, again = one()
    check(again.split('.')[0] == name.split('.')[0] and again != name,
          'the next flow has the number, and another generation')
    check(error(c.ask(f'kill {name}')) == 'ENOENT' and second.poll() is None,
          'the old name does not hit it')
    c.ask(f'kill {again}')
    second.wait(10)
    c.close()


def opened(port):
    """A connection to a server that sends back all that it gets"""
    s = socket.create_connection(('127.0.0.1', port), timeout=20)
    s.sendall(b'x')
    return s if s.recv(1) == b'x' else None


def is_alive(s):
    s.sendall(b'x')
    return s.recv(1) == b'x'


def former(path, port, other):
    """A flow of a rule that was removed is not one of the rule that has its number now"""
    port, other = int(port), int(other)
    c = Client(path, named=True)
    old = c.ask(f'add tcp 127.0.0.1/{port}')[0]
    number = old['rule']
    first = opened(port)
    c.ask(f'del {number}')
    got = flows(path, f'rule {number}')
    check([(f['rule'], f['made']) for f in got] == [(number, old['made'])],
          'a flow is listed by the number of its former rule')
    new = c.ask(f'add tcp 127.0.0.1/{other}:{port}')[0]
    check(new['rule'] == number and new['made'] != old['made'],
          'another rule gets the number')
    second = opened(other)
    check(len(flows(path, f'rule {number}')) == 1, 'the number means that rule alone then')
    check(c.ask(f'kill rule {number}') == [{'ok': True, 'killed': 1}],
          'so flows can be killed by it')
    check(is_reset(second) and is_alive(first), 'and those of the former rule are spared')
    check(c.ask(f'kill rule {number}.{old["made"]}') == [{'ok': True, 'killed': 1}] and
          is_reset(first), 'these are killed by number and generation')
    c.ask(f'del {number}')
    for s in (first, second, c):
        s.close()


def udp(path, inside, addr, port):
    """A guest whose flow is killed learns it by ICMP"""
    code = ('import socket, sys\n'
            's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n'
            f's.connect(("{addr}", {port}))\n'
            's.settimeout(20)\n'
            's.send(b"x")\n'
            'try:\n'
            '    s.recv(1)\n'
            'except ConnectionRefusedError:\n'
            '    sys.exit(7)\n')
    p = subprocess.Popen(inside.split() + ['python3', '-c', code])
    check(wait_until(lambda: flows(path, f'proto udp port {port}')), 'a UDP flow is listed')
    got = flows(path, f'proto udp port {port}')[0]
    check((got['proto'], got['dst'], got['dport'], got['path'], got['state'], got['out'],
           got['rule']) == ('udp', addr, int(port), 'tap', 'ACTIVE', 1, None),
          'with its ends and bytes')
    c = Client(path, named=True)
    check(c.ask(f'kill proto udp port {port}') == [{'ok': True, 'killed': 1}], 'and killed')
    check(p.wait(20) == 7, 'the guest is told that the port is unreachable')
    c.close()


def slow(path, inside, addr, port, n):
    """A subscriber that does not read learns how many events it has lost"""
    n = int(n)
    late = Client(path, named=True)
    late.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    check(late.ask(f'events flows proto tcp port {port}') == [{'ok': True}],
          'a client subscribes to flows')
    fast = Client(path, named=True)
    fast.ask(f'events flows,rules,host port {port}')
    code = ('import socket\n'
            f'for _ in range({n}):\n'
            f'    s = socket.create_connection(("{addr}", {port}))\n'
            '    s.close()\n')
    p = subprocess.Popen(inside.split() + ['python3', '-c', code])
    got = [fast.line() for _ in range(2 * n)]
    names = [(g['event'], g['flow']) for g in got if 'event' in g]
    check(len(names) == 2 * n and len(set(names)) == 2 * n,
          'a reader that keeps up gets each event, once')
    check({g['event'] for g in got} == {'opened', 'closed'} and
          all(g['dport'] == int(port) for g in got), 'of the flows that it wants')
    p.wait()
    late.s.settimeout(2)
    lines = lost = 0
    try:
        while lines + lost < 2 * n:
            g = late.line()
            lost += g.get('lost', 0)
            lines += 'event' in g
    except TimeoutError:
        pass
    check(lost > 0, f'a slow reader is told that it has lost events ({lost} of {2 * n})')
    check(lines + lost == 2 * n, 'the lost ones and the others are all')
    late.send('hello\n')
    check(late.is_closed(), 'another request ends the subscription')
    fast.close()
    c = Client(path, named=True)
    check(wait_until(lambda: c.ask('status')[0]['clients'] == 1),
          'a subscriber that leaves gives its place back')
    c.close()


def rules(path):
    """Rules that come, wait and go"""
    c = Client(path, named=True)
    sub = Client(path, named=True)
    sub.ask('events rules,denied,host')
    c.ask('add tcp 127.0.0.1/7301')
    got = sub.line()
    check((got['event'], got['kind'], got['state'], got['first'], got['bound']) ==
          ('rule', 'tcp', 'bound', 7301, 1), 'a new rule is an event')
    rule = got['rule']
    c.ask(f'del {rule}')
    got = sub.line()
    check((got['rule'], got['state']) == (rule, 'removed'), 'and so is its end')
    taken = socket.create_server(('127.0.0.1', 7302))
    c.send('begin\nadd tcp 127.0.0.1/7302\ncommit partial\n')
    for _ in range(3):
        c.answer()
    got = sub.line()
    check((got['state'], got['error']) == ('waiting', 'EADDRINUSE'),
          'a rule that waits says why')
    taken.close()
    got = sub.line()
    check((got['state'], got['first'], got['bound']) == ('bound', 7302, 1),
          'and that it waits no more')
    c.ask('del tcp 127.0.0.1/7302')
    check('conns' not in got and 'error' not in got, 'events have no counters')
    for s in (c, sub):
        s.close()


def main():
    name, *args = sys.argv[1:]
    all_files()
    globals()[name](*args)


if __name__ == '__main__':
    main()
