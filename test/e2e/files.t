#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Files that the user names, log, PID file and capture, are opened with the rights of the
# user that the daemon becomes, unless they are in root's own places. Nobody else's
# symbolic link is followed, and nobody else's FIFO holds up the start.

# shellcheck source=test/lib/ns.sh
. "$(dirname "$0")/../lib/ns.sh"

OTHER=47111			# neither the user of the tests nor nobody
NOBODY=$(id -u nobody 2>/dev/null || echo 65534)

# named FILE: name it by each option in turn; prints what is said, returns the last status
named() {
	local option rc=0
	for option in -l -p -P; do
		run_as "$WHO" timeout -k 1 10 "$PASTA" -f -q "${ALONE[@]}" \
			"${EXTRA[@]}" "$option" "$1" -- true 2>&1 || rc=$?
	done
	return $rc
}
EXTRA=()

as_other() {
	setpriv --reuid $OTHER --regid $OTHER --clear-groups "$@"
}

owner() { stat -c "%u %a" "$1" 2>&1; }

# refused FILE TEXT NAME: no option takes the file, and each says why
refused() {
	local said
	said=$(named "$1")
	is "$?" 1 "$WHO: $3: status 1"
	is "$(grep -cE "$2" <<<"$said")" 3 "$WHO: and each option says why" ||
		diag "$said"
}

own_fifo() {
	rm -f "$T/home/fifo" "$T/home/got"
	run_as "$WHO" mkfifo -m 600 "$T/home/fifo"
	run_as "$WHO" timeout 10 cat "$T/home/fifo" >"$T/home/got" &
	in_ns "${EXTRA[@]}" -p "$T/home/fifo" -- ping -nqc1 -W5 $PEER4 >/dev/null
	is $? 0 "$WHO: a FIFO of the caller with a reader takes the capture"
	wait $!
	[ "$(stat -c %s "$T/home/got")" -gt 24 ]
	ok $? "$WHO: which has frames"
	in_ns "${EXTRA[@]}" -P "$T/home/fifo" -- true &
	t "$WHO: a FIFO of the caller waits for its reader" \
		timeout 10 grep -qx '[0-9]*' "$T/home/fifo"
	wait $!
	rm -f "$T/home/fifo" "$T/home/got"
}

# FIFOs of another user, in a folder that everybody may write to
foreign_fifo() {
	rm -f "$T/tmp/fifo" "$T/home/got"
	as_other mkfifo "$T/tmp/fifo"
	chmod 666 "$T/tmp/fifo"
	in_time 5000 "$WHO: a FIFO of another user without a reader does not hold up the start" \
		in_ns -P "$T/tmp/fifo" -- true
	is "$status" 1 "$WHO: it is an error"
	like "$out" "PID file '$T/tmp/fifo': No such device or address" "$WHO: that is said"
	exec 8<>"$T/tmp/fifo"
	in_ns -P "$T/tmp/fifo" -- true
	out=
	read -r -t 10 out <&8
	like "$out" '^[0-9]+$' "$WHO: a FIFO of another user with a reader gets the PID"
	exec 8<&-
	rm -f "$T/tmp/fifo"
}

roots_places() {
	mkdir -p "$T/own"
	ln -sfn own "$T/link"
	named "$T/link/file" >/dev/null
	is "$? $(owner "$T/own/file")" "0 0 600" \
		"root: a file in a folder of root's, by a link of root's, is root's own"
	ln -sfn "$T/own/file2" "$T/own/link"
	named "$T/own/link" >/dev/null
	is "$? $(owner "$T/own/file2")" "0 0 600" "root: the file itself may be such a link"
	(cd "$T/own" && named file3 >/dev/null)
	is "$? $(owner "$T/own/file3")" "0 0 600" "root: a name without a folder"
	ln "$T/own/file3" "$T/own/file4"
	refused "$T/own/file4" "as UID $NOBODY: Permission denied" \
		"a file with another name, in a folder of root's"
	: >"$T/tmp/file" && chmod 600 "$T/tmp/file"
	named "$T/tmp/file" >/dev/null
	is "$? $(stat -c %s "$T/tmp/file" | grep -c '^0$')" "0 0" \
		"root: a file of root's in a sticky folder is written"
	rm "$T/tmp/file"
	named "$T/tmp/file" >/dev/null
	is "$? $(owner "$T/tmp/file")" "0 $NOBODY 600" \
		"root: a new one there is the daemon's"
	rm -r "$T/tmp/file" "$T/own" "$T/link"
	named /dev/null >/dev/null
	is $? 0 "root: a device"
	exec 7> >(wc -c >"$T/home/got")
	t "root: a pipe of another process" named /proc/$$/fd/7
	exec 7>&-
	wait_for test -s "$T/home/got"
	[ "$(cat "$T/home/got")" -gt 24 ]
	ok $? "root: the pipe gets it all"
}

# A link to a file of root's
foreign_links() {
	echo precious >"$T/secret"
	mkdir "$T/dir"
	: >"$T/dir/new"
	as_other ln -s "$T/secret" "$T/tmp/link"
	as_other ln -s "$T/dir" "$T/tmp/folder"
	refused "$T/tmp/link" "symbolic links, or one of another user" \
		"a symbolic link of another user"
	refused "$T/tmp/folder/new" "symbolic links, or one of another user" \
		"a folder by a symbolic link of another user"
	EXTRA=(--runas "$USER_ID")
	refused "$T/tmp/link" "symbolic links, or one of another user" \
		"a symbolic link of another user, with --runas"
	EXTRA=(--runas 0)
	refused "$T/tmp/link" "symbolic links, or one of another user" \
		"a symbolic link of another user, with --runas 0"
	EXTRA=()
	is "$(cat "$T/secret")" precious "root: the file at its end is as it was"
	rm -r "$T/secret" "$T/dir" "$T/tmp/link" "$T/tmp/folder"
}

others_places() {
	mkdir -m 755 "$T/users"
	chown $USER_ID "$T/users"
	refused "$T/users/file" "as UID $NOBODY: Permission denied" \
		"a folder of another user"
	EXTRA=(--runas "$USER_ID")
	named "$T/users/file" >/dev/null
	is "$? $(owner "$T/users/file")" "0 $USER_ID 600" "root: but not for --runas"
	as_user ln -s file2 "$T/users/link"
	named "$T/users/link" >/dev/null
	is "$? $(owner "$T/users/file2")" "0 $USER_ID 600" \
		"root: nor are links of the user of --runas"
	EXTRA=()
	: >"$T/users/roots"
	refused "$T/users/roots" "as UID $NOBODY: Permission denied" \
		"a file of root's in a folder of another user"
	rm -r "$T/users"
}

mkdir -m 1777 "$T/tmp"
for WHO in $WHOM; do
	[ "$WHO" = user ] || EXTRA=(--runas 0)
	own_fifo
	EXTRA=()
	[ -z "$NS_ROOT" ] || foreign_fifo
done
if [ -n "$NS_ROOT" ]; then
	roots_places
	foreign_links
	others_places
fi
done_testing
