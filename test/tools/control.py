#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Clients of the control socket that no well-behaved program is

control.py words PATH LINE...	send these lines, print the answers
control.py inherit PATH listening|pair|unbound -- COMMAND...
				run a command with a socket as descriptor 9
control.py adds PATH PORT	add a rule by tables
control.py NAME PATH		run the checks of that name: "0 TEXT" for each that passes,
				"1 TEXT" for each that fails
"""

import json
import os
import socket
import struct
import sys
import time

MAGIC = b'basil:s\0'
HELLO = MAGIC + struct.pack('>III', 2, 128, 16)
RULE = 56
HOST, SPLICE = 1, 3
NONE = bytes(16)


def v4(text):
    return bytes(10) + b'\xff\xff' + socket.inet_aton(text)


def rule(addr=NONE, first=80, last=0, to=0, target=NONE, ifname=b'', proto=6, flags=0):
    return addr + target + ifname.ljust(16, b'\0') + struct.pack(
        '>HHHBB', first, last or first, to or first, proto, flags)


def tables(host, splice=()):
    return (bytes([HOST]) + struct.pack('>I', len(host)) + b''.join(host) +
            bytes([SPLICE]) + struct.pack('>I', len(splice)) + b''.join(splice) + b'\0')


class Client:
    def __init__(self, path, named=False, greeted=True):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(20)
        if named:
            self.s.bind('')
        self.s.connect(path)
        self.rest = b''
        if not named and greeted:
            self.greeting()

    def exactly(self, n):
        data = b''
        while len(data) < n:
            got = self.s.recv(n - len(data))
            if not got:
                raise EOFError
            data += got
        return data

    def greeting(self, pause=None):
        """Read the greeting: self.host and self.splice are lists of rules"""
        self.hello = self.exactly(len(HELLO))
        self.kinds = {}
        self.caps = {}
        while True:
            number = self.exactly(1)[0]
            if not number:
                break
            head = self.exactly(128 + 8)
            self.caps[number], count = struct.unpack('>II', head[128:])
            self.kinds[number] = (head[:128].rstrip(b'\0'), [])
            for _ in range(count):
                self.kinds[number][1].append(self.exactly(RULE))
                if pause:
                    pause()
                    pause = None
        self.host = self.kinds[HOST][1]
        self.splice = self.kinds[SPLICE][1] if SPLICE in self.kinds else []

    def send(self, data):
        self.s.sendall(data.encode() if isinstance(data, str) else data)

    def line(self):
        """The next line of an answer as a dict, None at the end"""
        while b'\n' not in self.rest:
            try:
                got = self.s.recv(65536)
            except ConnectionResetError:
                got = b''
            if not got:
                return None
            self.rest += got
        line, self.rest = self.rest.split(b'\n', 1)
        return json.loads(line)

    def ask(self, request):
        """Send a request; return the lines of the answer"""
        self.send(request + '\n')
        return self.answer()

    def answer(self):
        lines = []
        while not lines or 'ok' not in lines[-1]:
            lines.append(self.line())
            if lines[-1] is None:
                break
        return lines

    def is_closed(self):
        """Does the server close the connection, after whatever it says?"""
        try:
            while self.s.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def close(self):
        self.s.close()

    def shut(self):
        self.s.shutdown(socket.SHUT_WR)


def check(good, text):
    print(0 if good else 1, text, flush=True)


def error(answer):
    return answer[-1].get('error') if answer and answer[-1] else None


def rules(path):
    """All rules: (kind, addr, first, last, to, target)"""
    c = Client(path, named=True)
    got = c.ask('rules')
    c.close()
    return [(r['kind'], r['addr'], r['first'], r['last'], r['to'], r.get('target'))
            for r in got[:-1]]


def clear(path):
    c = Client(path, named=True)
    good = c.ask('clear host')[-1]['ok'] and c.ask('clear ns')[-1]['ok']
    c.close()
    return good


def wait_until(fn):
    end = time.monotonic() + 10
    while not fn():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# --- words -------------------------------------------------------------------------------

def framing(path):
    c = Client(path)
    check(c.hello == HELLO, 'a client without a name is greeted')
    check(c.kinds[HOST][0] == b'HOST' and c.caps[HOST] >> 31, 'and learns that there are words')
    check(c.ask('hello')[0]['ok'], 'it may go on with words')
    check(c.ask('status')[0]['clients'] == 1, 'with more of them')
    c.close()
    c = Client(path, named=True)
    for byte in 'hello\n':
        c.send(byte)
    check(c.answer()[0]['proto'] == 1, 'a client with a name gets no greeting, only answers')
    c.send('hello\nstatus\n' * 1000)
    got = [c.line() for _ in range(2000)]
    check(all('proto' in g for g in got[::2]) and all('flows' in g for g in got[1::2]),
          '2000 requests at once are answered in order')
    check(error(c.ask('x' * 1023)) == 'EINVAL', 'a line may have 1024 bytes')
    check(error(c.ask('x' * 1024)) == 'E2BIG', 'but no more')
    check(error(c.ask('x' * 100000)) == 'E2BIG' and c.ask('hello')[0]['ok'],
          'a longer one is skipped, whatever its length')
    for text in ('nonsense', '', ' hello', 'hello ', 'add  tcp 80', 'hello you', 'add tcp',
                 'add tcp 80 81', ' '.join('abcdefghijklmnopqrstuvwxyz'), 'add sctp 80',
                 'clear all', 'commit', 'abort', 'del x', 'del 1.', 'del 1.x', 'del 99999',
                 'add tcp 0', 'add tcp 127.0.0.1/80:[::1]/80'):
        check(error(c.ask(text)) == 'EINVAL', f'EINVAL: {text[:20]!r}')
    check(error(c.ask('add tcp %sx' % ('\u00e9' * 100))) == 'EINVAL', 'characters of any kind')
    c.send('hello\nhel')
    c.shut()
    check(c.answer()[0]['ok'] and error(c.answer()) == 'EINVAL' and c.is_closed(),
          'a line without its end is not carried out')
    for bad in (b'hel\0lo\n', b'hello\r\n', b'hello\x7f\n', b'\x1b\n'):
        c = Client(path, named=True)
        c.send(b'hello\n' + bad + b'hello\n')
        check(c.answer()[0]['ok'] and error(c.answer()) == 'EILSEQ' and c.is_closed(),
              f'EILSEQ: {bad!r}')
    c = Client(path)
    c.send('hello\n' * 5)
    c.shut()
    check(all(c.answer()[0]['ok'] for _ in range(5)) and c.is_closed(),
          'a client that ends its output gets all answers')
    c = Client(path, greeted=False)
    c.send('hello\n')
    c.greeting()
    check(c.answer()[0]['ok'], 'words may be sent before the greeting is read')
    c.close()
    c = Client(path, greeted=False)
    c.send(bytes([7]) * 3000)
    c.greeting()
    check(c.is_closed(), 'bytes that are neither close the connection')


def places(path):
    clients = [Client(path) for _ in range(8)]
    check(clients[7].ask('status')[0]['clients'] == 8, 'eight clients at a time')
    ninth = Client(path, named=True)
    ninth.send('status\n')
    ninth.s.settimeout(0.3)
    try:
        ninth.s.recv(1)
        check(False, 'a ninth one waits')
    except TimeoutError:
        check(True, 'a ninth one waits')
    ninth.s.settimeout(20)
    check(all(c.ask('hello')[0]['ok'] for c in clients[:7]), 'and the others are served')
    clients[3].close()
    check(ninth.answer()[0]['ok'], 'until one of the others leaves')
    for c in clients + [ninth]:
        c.close()


def transactions(path):
    before = rules(path)
    c = Client(path)
    check(c.ask('begin') == [{'ok': True}], 'a transaction begins')
    check(c.ask('add tcp 127.0.0.1/7001') == [{'ok': True}], 'a request in it')
    check(rules(path) == before, 'has no effect yet')
    other = Client(path)
    other.send('add tcp 127.0.0.1/7002\nhello\n')
    check(error(c.ask('begin')) == 'EINVAL', 'it can not begin twice')
    check(error(c.ask('commit')) == 'ECANCELED' and rules(path)[:len(before)] == before,
          'after an error nothing is changed')
    got = other.answer()
    check(got[0]['state'] == 'bound', 'the other client was served after the end')
    check(other.answer()[0]['ok'], 'and its next request behind that')
    c.send('begin\nadd tcp 127.0.0.1/7003\nadd tcp 127.0.0.1/x\nadd tcp 127.0.0.1/7004\n'
           'commit partial\n')
    got = [c.answer() for _ in range(5)]
    check([g[-1]['ok'] for g in got] == [True, True, False, True, True],
          'commit partial leaves out the wrong request')
    check([g.get('state') for g in got[4][:-1]] == ['bound', 'bound'], 'and makes the others')
    c.send('begin\nclear host\nadd tcp 127.0.0.1/7003\nadd tcp 127.0.0.1/7005\nabort\n')
    check(all(c.answer()[-1]['ok'] for _ in range(5)), 'a transaction is given up')
    first = c.ask('add tcp 127.0.0.1/7003')[0]
    check(first['state'] == 'unchanged', 'and a rule is as it was')
    c.send('begin\nclear host\nadd tcp 127.0.0.1/7003\nadd tcp 127.0.0.1/7005\ncommit\n')
    got = [c.answer() for _ in range(5)][4]
    check([g.get('state') for g in got] == ['unchanged', 'bound', None] and
          (got[0]['rule'], got[0]['made']) == (first['rule'], first['made']),
          'a rule that is cleared and added again has never been away')
    check([r[2] for r in rules(path)] == [7003, 7005], 'the others are gone')
    c.send('begin\nadd tcp 127.0.0.1/7006\nadd tcp 127.0.0.1/7006\ndel tcp 127.0.0.1/7006\n'
           'add tcp 127.0.0.1/7007,7008\nadd tcp 127.0.0.1/7007-7009\ndel 60000\ncommit\n')
    got = [c.answer() for _ in range(8)][6:]
    check(error(got[0]) == 'EINVAL' and error(got[1]) == 'ECANCELED', 'no number is so large')
    c.send('begin\nadd tcp 127.0.0.1/7006\nadd tcp 127.0.0.1/7006\ndel tcp 127.0.0.1/7006\n'
           'add tcp 127.0.0.1/7007\nadd tcp 127.0.0.1/7007-7009\ndel 2000\ncommit\n')
    got = [c.answer() for _ in range(8)][7]
    check([g.get('error') for g in got] == [None] * 4 + ['EEXIST', 'ENOENT', None] and
          got[-1]['ok'] is False, 'all refused rules are named')
    check('7007-7009' in got[4]['text'] and 'tcp 127.0.0.1/7007' in got[4]['text'].split('7009')[1],
          'an overlap names both')
    check('There is no rule 2000' in got[5]['text'], 'and a rule that is not there its number')
    check([r[2] for r in rules(path)] == [7003, 7005], 'nothing is changed then')
    for end in ('', 'commi', 'commit'):
        c = Client(path)
        c.send('begin\nadd tcp 127.0.0.1/7010\nclear host\n' + end)
        c.close()
    check([r[2] for r in rules(path)] == [7003, 7005],
          'a client that dies before its commit has changed nothing')
    c = Client(path, named=True)
    c.send('add tcp 127.0.0.1/7011\n')
    c.close()
    check(wait_until(lambda: 7011 in [r[2] for r in rules(path)]),
          'a request that came whole is carried out, even if the client has left')
    numbers(path)
    clear(path)


def numbers(path):
    c = Client(path, named=True)
    made = c.ask('add tcp 127.0.0.1/7020:10.88.0.5/80')[0]
    check(made['spec'] == '127.0.0.1/7020:10.88.0.5/80', 'a rule is told as its specification')
    check(error(c.ask('del %d.%d' % (made['rule'], made['made'] + 1))[:1]) == 'ENOENT',
          'a number with another generation is no rule')
    check(c.ask('del %d.%d' % (made['rule'], made['made']))[0]['state'] == 'removed',
          'with the right one it is')
    again = c.ask('add tcp 127.0.0.1/7021')[0]
    check(again['rule'] == made['rule'] and again['made'] > made['made'],
          'the number is used again, with a new generation')
    got = c.ask('del %d.%d' % (made['rule'], made['made']))
    check(got[0]['error'] == 'ENOENT' and not got[1]['ok'], 'the old one does not find it')
    check(c.ask('del %d' % again['rule'])[0]['state'] == 'removed', 'the number alone does')
    check(c.ask('del tcp 127.0.0.1/7021')[0]['state'] == 'absent', 'what is gone is absent')
    c.close()


def limits(path):
    """Clients that keep us waiting: 10 s each, all at once"""
    holder, waiter = Client(path), Client(path)
    half_line, half_table = Client(path), Client(path)
    start = time.monotonic()
    holder.ask('begin')
    half_line.send('hell')
    waiter.send('add tcp 127.0.0.1/7030\n')
    check(error([holder.line()]) == 'ETIMEDOUT' and holder.is_closed(),
          'a transaction that another client waits for is closed')
    check(waiter.answer()[0]['state'] == 'bound', 'and the other client has its turn')
    check(error([half_line.line()]) == 'ETIMEDOUT' and half_line.is_closed(),
          'half a line is closed')
    took = time.monotonic() - start
    check(9.9 < took < 15, f'after 10 s: {took:.1f}')
    start = time.monotonic()
    half_table.send(tables([])[:3])
    check(half_table.is_closed() and 9.9 < time.monotonic() - start < 15,
          'half a table is closed, too')
    waiter.close()
    clear(path)


# --- tables ------------------------------------------------------------------------------

def transact(path, data, shut=False):
    """Send bytes after the greeting; is the connection closed by the server then?"""
    c = Client(path)
    c.send(data)
    if shut:
        c.shut()
    good = c.is_closed()
    c.close()
    return good


def vectors(path):
    c = Client(path)
    check(not c.host and not c.splice and c.kinds == {HOST: (b'HOST', []),
                                                      SPLICE: (b'SPLICE', [])},
          'without rules, there are two empty tables')
    c.close()
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    raw.connect(path)
    raw.settimeout(0.5)
    data = b''
    try:
        while True:
            data += raw.recv(1000)
    except TimeoutError:
        pass
    check(len(data) == 295, 'in 295 bytes')
    name = lambda n: n.ljust(128, b'\0')
    caps = struct.unpack('>I', data[149:153])[0]
    check(data == HELLO + b'\x01' + name(b'HOST') + struct.pack('>II', caps, 0) + b'\x03' +
          name(b'SPLICE') + struct.pack('>II', caps & 0x3f, 0) + b'\0' and
          caps == 0x8000003f, 'exactly these')
    sent = bytes.fromhex('01 00000001' + '00' * 10 + 'ffff cb007101' + '00' * 32 +
                         '1f41 1f41 1f41 06 00' + '03 00000000' + '00')
    check(tables([rule(v4('203.0.113.1'), 8001)]) == sent, 'the known bytes of a transaction')
    raw.sendall(sent)
    check(not raw.recv(1), 'are taken, and the connection is closed')
    check(rules(path) == [('tcp', '203.0.113.1', 8001, 8001, 8001, None)],
          'then the rule is there')
    c = Client(path)
    check(c.host == [rule(v4('203.0.113.1'), 8001)], 'and in the next greeting')
    c.close()
    check(rules(path) == [('tcp', '203.0.113.1', 8001, 8001, 8001, None)],
          'a client that closes without a byte has changed nothing')
    c = Client(path)
    made = c.ask('rules')[0]['made']
    check(transact(path, tables(c.host)) and c.ask('rules')[0]['made'] == made,
          'a rule that is sent back stays untouched')
    check(transact(path, b'\0') and not rules(path), 'a table that is left out becomes empty')
    clear(path)


def parse(data):
    """Rules of valid tables as the daemon lists them, None: not valid"""
    found, seen, at = [], set(), 0
    while True:
        if at >= len(data):
            return None
        number = data[at]
        at += 1
        if not number:
            return found if at == len(data) else None
        if number not in (HOST, SPLICE) or number in seen or at + 4 > len(data):
            return None
        seen.add(number)
        count = struct.unpack('>I', data[at:at + 4])[0]
        at += 4
        for _ in range(count):
            if at + RULE > len(data):
                return None
            found.append((number, data[at:at + RULE]))
            at += RULE


def mutations(path):
    """Every truncation and every bit flip of valid tables"""
    base = [rule(v4('127.0.0.1'), 7101), rule(v4('127.0.0.1'), 7102, 7103, 8102, v4('10.88.0.5'))]
    transact(path, tables(base))
    before = rules(path)
    check(len(before) == 2, 'two rules are there')
    data = tables(base[:1] + [rule(v4('127.0.0.1'), 7104)])
    bad = [n for n in range(len(data)) if not transact(path, data[:n], True)]
    check(not bad and rules(path) == before, f'a cut at any place changes nothing {bad}')
    wrong = []
    watch = Client(path, named=True)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        flipped = bytes(flipped)
        good = transact(path, flipped, True)
        got = watch.ask('rules')[:-1]
        now = [r['first'] for r in got]
        if not good:
            wrong.append((bit, 'not closed'))
        if now != [7101, 7102]:
            want = parse(flipped)
            if want is None or len(want) != len(now):
                wrong.append((bit, now))
            # these may be other rules than meant, but they are the ones that were sent
            transact(path, tables(base), True)
            watch.ask('clear ns')
            watch.ask('clear host')
            transact(path, tables(base), True)
    check(not wrong, f'each flipped bit is refused, or is another valid table {wrong[:5]}')
    watch.close()
    clear(path)


def refused(path):
    """Tables that are whole, but wrong"""
    transact(path, tables([rule(v4('127.0.0.1'), 7101)]))
    before = rules(path)
    lo = v4('127.0.0.1')
    one = rule(lo, 7101)
    for text, data in (
            ('an unknown flag', tables([one, rule(lo, 7102, flags=8)])),
            ('port 0', tables([one, rule(lo, 0)])),
            ('an unknown protocol', tables([one, rule(lo, 7102, proto=132)])),
            ('a rule that overlaps', tables([one, rule(flags=1, first=7000, last=7200)])),
            ('two rules that overlap', tables([rule(lo, 7110, 7120), rule(lo, 7120, 7130)])),
            ('an unknown table', bytes([2]) + struct.pack('>I', 0) + tables([one])),
            ('a table twice', tables([one])[:-1] + tables([one])),
            ('bytes behind the end', tables([one, rule(lo, 7102)]) + b'\0'),
            ('too many rules', bytes([1]) + struct.pack('>I', 2049)),
            ('a target for both families', tables([rule(flags=1, target=v4('10.88.0.5'))])),
            ('a target on the namespace side', tables([], [rule(target=v4('10.88.0.5'))])),
    ):
        check(transact(path, data, True) and rules(path) == before, f'refused: {text}')
    clear(path)


def updates(path):
    """No change of another client is lost"""
    lo = v4('127.0.0.1')
    w = Client(path, named=True)
    for port in (7201, 7202, 7203):
        w.ask(f'add tcp 127.0.0.1/{port}')
    a, b = Client(path), Client(path)
    a.host.sort(key=lambda r: r[48:50])
    check([struct.unpack('>H', r[48:50])[0] for r in a.host] == [7201, 7202, 7203],
          'two clients see three rules')
    w.ask('del tcp 127.0.0.1/7201')
    w.ask('add tcp 127.0.0.1/7204')
    a.send(tables([a.host[0], a.host[2], rule(lo, 7205)]))
    check(a.is_closed(), 'one removes a rule and adds one, after a third client has done so')
    check(sorted(r[2] for r in rules(path)) == [7203, 7204, 7205], 'all these changes are there')
    b.send(tables(b.host + [rule(lo, 7206)]))
    check(b.is_closed(), 'the other one adds a rule to those that it was shown')
    check(sorted(r[2] for r in rules(path)) == [7203, 7204, 7205, 7206],
          'what others have removed stays away')
    w.close()
    clear(path)


def large(path):
    """A greeting that is larger than all buffers, while rules come and go"""
    w = Client(path, named=True)
    w.send('begin\n' + ''.join(f'add tcp 127.0.0.1/{p}\n' for p in range(10001, 12049)) +
           'commit\n')
    got = [w.answer() for _ in range(2050)]
    check(len(got[-1]) == 2049 and all(r['state'] == 'bound' for r in got[-1][:-1]),
          '2048 rules are added in one transaction')
    check(error(w.ask('add tcp 127.0.0.1/13000')[:1]) == 'ENOSPC', 'one more is too many')
    silent = Client(path, greeted=False)

    def change():
        for port in range(11900, 12000):
            w.ask(f'del tcp 127.0.0.1/{port}')
        for port in range(13000, 13050):
            w.ask(f'add tcp 127.0.0.1/{port}')

    c = Client(path, greeted=False)
    c.greeting(change)
    ports = sorted(struct.unpack('>H', r[48:50])[0] for r in c.host)
    check(ports == list(range(10001, 12049)), 'the greeting shows the rules of its beginning')
    c.send(tables(c.host[1:]))
    check(c.is_closed(), 'all of them but one are sent back')
    ports = sorted(r[2] for r in rules(path))
    want = [p for p in range(10001, 12049) if not 11900 <= p < 12000] + list(range(13000, 13050))
    want.remove(struct.unpack('>H', c.host[0][48:50])[0])
    check(ports == want, 'and only that one is removed')
    silent.close()
    w.send('begin\nclear host\n' + ''.join(f'add tcp 127.0.0.1/{p}\n' for p in range(20001, 22049)) +
           'commit\n')
    got = [w.answer() for _ in range(2051)]
    check(got[-1][-1]['ok'] and len(rules(path)) == 2048, 'all rules are replaced at once')
    undone(path, w)
    w.close()
    clear(path)


def undone(path, w):
    """More rules than are remembered are removed, but a port is in use"""
    taken = socket.create_server(('127.0.0.1', 23001))
    before = Client(path)
    w.send('begin\nclear host\nadd tcp 127.0.0.1/23001\ncommit\n')
    got = [w.answer() for _ in range(4)]
    check(not got[-1][-1]['ok'] and len(rules(path)) == 2048, 'all are kept if a new one fails')
    check(len(Client(path).host) == 2048, 'and shown to the next client')
    before.send(tables(before.host[1:]))
    check(before.is_closed() and len(rules(path)) == 2047, 'an earlier client can change them')
    taken.close()


def adds(path):
    """Add a rule to those of the greeting"""
    port = int(sys.argv[3])
    c = Client(path)
    c.send(tables(c.host + [rule(v4('127.0.0.1'), port)], c.splice))
    sys.exit(0 if c.is_closed() else 1)


def inherit(path):
    """Run the command behind "--" with a listening socket, or a connection, as FD"""
    kind, command = sys.argv[3], sys.argv[5:]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if kind == 'listening':
        s.bind(path)
        s.listen(3)
    elif kind == 'pair':
        s, mine = socket.socketpair()
        if not os.fork():
            # The client: add a rule once the daemon has greeted it, then wait for its end
            s.close()
            c = Client.__new__(Client)
            c.s, c.rest = mine, b''
            c.greeting()
            answer = c.ask('add tcp 127.0.0.1/7300')
            with open(path, 'w', encoding='ascii') as f:
                f.write(answer[0]['state'] + '\n')
            os._exit(0 if c.is_closed() else 1)
        mine.close()
    os.dup2(s.fileno(), 9, True)
    os.execvp(command[0], command)


def words(path):
    c = Client(path, named=True)
    c.send('\n'.join(sys.argv[3:]) + '\n')
    c.shut()
    while True:
        line = c.line()
        if line is None:
            break
        print(json.dumps(line))


if __name__ == '__main__':
    {f.__name__: f for f in (words, inherit, framing, places, transactions, limits, vectors, mutations,
                             refused, updates, large, adds)}[sys.argv[1]](sys.argv[2])
