#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Serve a control socket as pesto expects it, made from the tables of bytes alone.
#
# usage: pestoserver PATH LOG [OPTION]...
#
# Options: v1		version 1 (default: 2)
#	   passt	the table HOST alone; "three": one more, of an unknown kind
#	   caps=HEX	capabilities of each table (default: 3f)
#	   rule=HEX	the table HOST begins with this rule, as bytes
#	   drip		send each byte alone
#	   send=HEX	send these bytes instead of a greeting, and close
#	   deaf		close after the greeting
#	   refuse	close after the first byte of a table
#	   open		keep the connection after a table
#	   words=FILE	understand words, with the answers of this file: a line of "= WORDS"
#			begins the answer to these words, "= *" that to all others
#
# A transaction that is whole becomes a line of LOG: "table" and its bytes in hexadecimal
# digits, and changes the tables. A request of words is a line "words" with the request.

import os
import socket
import struct
import sys

path, log = sys.argv[1:3]
args = dict(a.partition('=')[::2] for a in sys.argv[3:])
version = 1 if 'v1' in args else 2
size = 40 if version == 1 else 56
caps = int(args.get('caps', '3f'), 16)
names = {1: b'HOST'}
if 'passt' not in args:
    names[3] = b'SPLICE'
if 'three' in args:
    names[7] = b'LATER'
tables = {i: [] for i in names}
if 'rule' in args:
    tables[1].append(bytes.fromhex(args['rule']))


def note(line):
    with open(log, 'a', encoding='ascii') as file:
        file.write(line + '\n')


def greeting():
    data = b'basil:s\0' + struct.pack('>3I', version, 128, 16)
    for i, name in names.items():
        data += bytes([i]) + name.ljust(128, b'\0')
        data += struct.pack('>2I', caps, len(tables[i])) + b''.join(tables[i])
    return data + b'\0'


class Ended(Exception):
    """The client has closed, before its transaction was whole"""


def take(conn, size_):
    data = b''
    while len(data) < size_:
        more = conn.recv(size_ - len(data))
        if not more:
            raise Ended
        data += more
    return data


def serve_table(conn, first):
    new = {i: [] for i in names}
    raw, number = first, first[0]
    while number:
        count = take(conn, 4)
        rules = [take(conn, size) for _ in range(struct.unpack('>I', count)[0])]
        new[number] = rules
        following = take(conn, 1)
        raw += count + b''.join(rules) + following
        number = following[0]
    tables.update(new)
    note('table ' + raw.hex())
    if 'open' in args:
        while conn.recv(1):
            pass


def answers():
    found, key = {}, None
    with open(args['words'], encoding='utf-8') as file:
        for line in file:
            if line.startswith('= '):
                key = line[2:].strip()
                found[key] = ''
            else:
                found[key] += line
    return found


def serve_words(conn, first):
    known = answers()
    with conn.makefile('rwb') as lines:
        while True:
            line = first + lines.readline()
            first = b''
            if not line:
                return
            request = line.decode().rstrip('\n')
            note('words ' + request)
            lines.write(known.get(request, known['*']).encode())
            lines.flush()


def serve(conn):
    data = bytes.fromhex(args['send']) if 'send' in args else greeting()
    if 'drip' in args:
        for i in range(len(data)):
            conn.send(data[i:i + 1])
    else:
        conn.sendall(data)
    if 'send' in args or 'deaf' in args:
        return
    first = take(conn, 1)
    if first >= b' ':
        serve_words(conn, first)
    elif 'refuse' not in args:
        serve_table(conn, first)


sock = socket.socket(socket.AF_UNIX)
sock.bind(path + '.new')
sock.listen(0)
os.rename(path + '.new', path)		# a client may come from here on
while True:
    client, _ = sock.accept()
    try:
        serve(client)
    except (Ended, ConnectionError):
        pass
    client.close()
