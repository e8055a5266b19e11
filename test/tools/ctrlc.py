#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run a command on a terminal of its own; when it says "ready", press Ctrl-C.
# Prints what it said, and "status N".

import os
import pty
import sys

pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])

said = b''
pressed = False
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    said += data
    if b'ready' in said and not pressed:
        os.write(fd, b'\x03')
        pressed = True

status = os.waitpid(pid, 0)[1]
print(said.decode().replace('\r\n', ' '), 'status', os.waitstatus_to_exitcode(status))
