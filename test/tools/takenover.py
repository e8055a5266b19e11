#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# takenover.py DAEMON HOST NS - Play a daemon of pasta that was taken over: take its socket to
# pasta-ns, and have it bind a socket of our own network to the port HOST of 127.0.0.1, then
# one of its namespace to the port NS there.  Prints the two errors, 0: bound.  Status 77: this
# kernel lacks something, which is printed.
#
# To be run by root, in the network of the daemon.

import array
import ctypes
import errno
import os
import signal
import socket
import struct
import sys

SOCKETS, BIND = 0, 1
TCP4 = 0
PIDFD_OPEN, PIDFD_GETFD = 434, 438
SO_NETNS_COOKIE = 71
LACKS = 77

libc = ctypes.CDLL(None, use_errno=True)


def lacks(feature):
    print(f'no {feature} in this kernel')
    sys.exit(LACKS)


def helper_of(pid):
    """The socket by which a daemon talks to pasta-ns"""
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    for name in os.listdir(f'/proc/{pid}/fd'):
        if not os.readlink(f'/proc/{pid}/fd/{name}').startswith('socket:'):
            continue
        fd = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
        if fd < 0 and ctypes.get_errno() == errno.ENOSYS:
            lacks('pidfd_getfd()')
        if fd < 0:
            sys.exit(f'pidfd_getfd: {os.strerror(ctypes.get_errno())}')
        s = socket.socket(fileno=fd)
        if s.family == socket.AF_UNIX and s.type == socket.SOCK_SEQPACKET:
            return s
    sys.exit('no socket to a helper')


def ask(helper, op, port=0, n=0, fds=()):
    """Send a request; return the error of the answer and its descriptors"""
    address = struct.pack('=HH4s', socket.AF_INET, socket.htons(port),
                          socket.inet_aton('127.0.0.1')).ljust(28, b'\0')
    passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
    helper.sendmsg([struct.pack('=IIII', 4711, op, TCP4, n) + address], passed)
    while True:
        data, control, _, _ = helper.recvmsg(64, socket.CMSG_SPACE(4 * 64))
        got = array.array('i')
        for _, _, raw in control:
            got.frombytes(raw[:len(raw) - len(raw) % 4])
        seq, _, _, error = struct.unpack('=IIIi', data[:16])
        if seq == 4711:
            return error, list(got)


def main():
    pid, host, ns = map(int, sys.argv[1:])
    os.kill(pid, signal.SIGSTOP)        # else it would take the answers
    helper = helper_of(pid)
    helper.settimeout(10)
    ours = socket.socket()
    try:
        ours.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
    except OSError:
        lacks('SO_NETNS_COOKIE')
    error, _ = ask(helper, BIND, host, fds=[ours.fileno()])
    print(errno.errorcode.get(-error, error))
    error, fds = ask(helper, SOCKETS, n=1)
    if error or not fds:
        sys.exit(f'no socket of the namespace: {error}')
    error, _ = ask(helper, BIND, ns, fds=fds[:1])
    print(errno.errorcode.get(-error, error))


if __name__ == '__main__':
    try:
        main()
    finally:
        os.kill(int(sys.argv[1]), signal.SIGCONT)
