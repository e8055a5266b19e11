#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs that start ours, as README.md and contrib/ say: rootlesskit and buildah of a
# Debian 13 root, bubblewrap, qemu by contrib/qemu, and the XML of contrib/libvirt.
# podman is in e2e/podman, qemu's and libvirt's own ways to start passt in e2e/vmcallers.

. "$(dirname "$0")/../lib/root.sh"
(root_image >/dev/null)		# without it, some points are skipped
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/root.sh"

pastas() { processes; grep -lE '^pas(ta|st)' /proc/[0-9]*/comm; }
no_pasta() { [ -z "$(pastas)" ]; }

# --- bubblewrap -------------------------------------------------------------------------

box=(bwrap --unshare-pid --ro-bind / / --proc /proc --dev /dev)
sandboxes() {
	local pid
	tcpx listen 127.0.0.1 5432 -r 1k >/dev/null 2>&1 &
	pid=$!
	wait_for listening tcp 5432
	t "bubblewrap: in a pasta, it has the network" as_user "$PASTA" -q \
		--config-net --no-map-gw -t none -u none -T 5432 -U none -- \
		"${box[@]}" ping -nqc1 -W5 $PEER4
	t "bubblewrap: and one port of the host's loopback" as_user "$PASTA" -q \
		--config-net --no-map-gw -t none -u none -T 5432 -U none -- \
		"${box[@]}" tcpx connect 127.0.0.1 5432 -s 1k
	wait $pid
	tcpx listen 127.0.0.1 5432 -r 1k >/dev/null 2>&1 &
	pid=$!
	wait_for listening tcp 5432
	t "bubblewrap: --splice-only: that port" as_user "$PASTA" -q --splice-only \
		-t none -u none -T 5432 -U none -- \
		"${box[@]}" tcpx connect 127.0.0.1 5432 -s 1k
	wait $pid
	is "$(as_user "$PASTA" -q --splice-only -t none -u none -T 5432 -U none -- \
		"${box[@]}" ip -br link | awk '{ print $1 }')" lo \
		"bubblewrap: --splice-only: and nothing else"
}

# --- qemu -----------------------------------------------------------------------------

# A qemu that asks for the MAC address of passt; its arguments are those of guest/*.t
qemu_script() {
	local script=$NS_TOP/contrib/qemu/passt-qemu out
	cp "$NS_TOP/test/tools/vmclient.py" "$script" "$T/bin/"
	chmod 755 "$T/bin/passt-qemu" "$T/bin/vmclient.py"
	cat > "$T/bin/qemu" <<-'END'
		#!/bin/bash
		echo "$*"
		all=$*
		vmclient.py "${all##*addr.path=}" ask
		exit 7
	END
	chmod 755 "$T/bin/qemu"
	out=$(as_user passt-qemu -t 2222:22 -- qemu -m 1G disk 2>&1)
	is "$? $(tail -1 <<<"$out")" "7 9a:55:9a:55:9a:55" \
		"qemu: by the script it is connected, and its status is passed on" ||
		diag "$out"
	like "$out" "^-m 1G disk -device virtio-net-pci,netdev=passt -netdev stream,id=passt,server=off,addr.type=unix,addr.path=/" \
		"qemu: the arguments of its network follow the user's"
	t "qemu: nothing is left" wait_for no_pasta
	is "$(find "$T/home" -name 'tmp.*')" "" "qemu: nor a file"
	out=$(as_user passt-qemu -t 99999 -- qemu 2>&1)
	is "$? $(wc -l <<<"$out")" "1 1" "qemu: an error of passt is one line"
	out=$(as_user passt-qemu -- nowhere 2>&1)
	is "$? $out" "1 passt-qemu: there is no program nowhere" "qemu: no qemu"
	as_user passt-qemu -- true
	t "qemu: if it never connects, passt is ended" wait_for no_pasta
	is "$(find "$T/home" -name 'tmp.*')" "" "qemu: and no file is left"
}

# --- libvirt ---------------------------------------------------------------------------

# snippet FILE: the element of a README between lines of three backquotes
snippet() { sed -n '/^```xml$/,/^```$/{/^```/d;p}' "$1"; }

libvirt_xml() {
	local domain=$NS_TOP/contrib/libvirt/domain.xml
	if ! command -v virt-xml-validate >/dev/null || ! command -v xmllint >/dev/null; then
		skip "libvirt: XML" "no virt-xml-validate and xmllint"
		return
	fi
	t "libvirt: contrib/libvirt/domain.xml is valid" \
		virt-xml-validate "$domain" domain
	{
		sed '/<interface/,$d' "$domain"
		snippet "$NS_TOP/README.md"
		sed '1,/<\/interface/d' "$domain"
	} > "$T/readme.xml"
	t "libvirt: an interface is in README.md" grep -q "type='passt'" "$T/readme.xml"
	t "libvirt: it is valid" virt-xml-validate "$T/readme.xml" domain
	sed 's/passt/past/' "$domain" > "$T/bad.xml"
	virt-xml-validate "$T/bad.xml" domain >/dev/null 2>&1
	[ $? != 0 ]
	ok $? "libvirt: another backend is not"
}

# --- rootlesskit and buildah ------------------------------------------------------------

rk() { root rootlesskit --net=pasta --copy-up=/etc "$@"; }

rootlesskit_namespace() {
	local out pid
	root_as_root sh -c 'echo 127.0.0.1 localhost > /etc/hosts'
	out=$(rk --port-driver=implicit sh -c \
		"ip addr; ip route; cat /etc/resolv.conf; ping -nqc1 -W5 $PEER4" 2>&1)
	ok $? "rootlesskit: --net=pasta reaches the world" || diag "$out"
	like "$out" "tap0: .*mtu 65520.*inet 10.0.2.100/24" \
		"rootlesskit: address and MTU"
	like "$out" "nameserver 10.0.2.3" "rootlesskit: name server"
	rk --port-driver=implicit socat -u TCP-LISTEN:7101,reuseaddr - >"$T/got" \
		2>"$T/err" &
	pid=$!
	t "rootlesskit: --port-driver=implicit: a port that is opened inside" \
		wait_for listening tcp 7101
	echo hello | peer socat -u - TCP:$HOST4:7101
	wait $pid
	is "$(cat "$T/got")" hello "rootlesskit: leads there from the world"
	t "rootlesskit: nothing is left" wait_for no_pasta
}

buildah_build() {
	local out tool
	mkdir -p "$T/box/bin"
	cp "$ROOT_IMAGE/bin/busybox" "$T/box/bin/"
	for tool in sh ip ping; do ln -s busybox "$T/box/bin/$tool"; done
	printf '%s\n' "FROM scratch" "COPY bin /bin" "RUN ip addr; ip route" \
		> "$T/box/Containerfile"
	tar -C "$T/box" -c . | root sh -c 'mkdir /tmp/box; tar -C /tmp/box -x'
	out=$(root buildah build --network=pasta --isolation=oci /tmp/box 2>&1)
	ok $? "buildah: build --network=pasta" || diag "$out"
	like "$out" "inet $HOST4/24" "buildah: a step of the build has the host's address"
	like "$out" "default via $GW4 " "buildah: and its route"
	t "buildah: nothing is left" wait_for no_pasta
}

if command -v bwrap >/dev/null; then
	sandboxes
else
	skip "bubblewrap" "no bwrap"
fi
qemu_script
libvirt_xml
if [ -n "$NS_ROOT" ] && [ -e "$ROOT_IMAGE/.complete" ]; then
	root_enter
	rootlesskit_namespace
	buildah_build
else
	skip "rootlesskit and buildah" "no Debian 13 root"
fi
done_testing
