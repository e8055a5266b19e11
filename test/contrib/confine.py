#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Compare a policy with what traced programs do.
#
# usage: confine.py apparmor PREPROCESSED... -- MAP... -- TRACE...
#        confine.py selinux TE FC -- MAP... -- TRACE...
#
# PREPROCESSED is the output of "apparmor_parser -p".  MAP is FROM=TO: a prefix of paths in
# the trace, and where those files are on a real system.  TRACE is the output of
# "strace -f -y --decode-pids=pidns".  Prints TAP lines for each profile: that no action
# is missing in it, and that no rule is there without a purpose.
#
# An action is (domain, class, object, permission).  A trace does not show the owner of
# a file, nor whether a permission bit had to be overridden: the machine in which the
# profiles are enforced covers these.

import re
import sys

PROGRAMS = ("passt", "pasta", "passt-repair", "qrap")


# --- traces ---------------------------------------------------------------------

class Trace:
    """The actions of confined processes in one trace"""

    def __init__(self, path, maps):
        self.maps = maps
        self.domain = {}        # PID: program, None if not confined
        self.actions = {}       # action: a line that shows it
        unfinished = {}
        for raw in open(path, errors="replace"):
            m = re.match(r"(\d+) +(.*)", raw.rstrip("\n"))
            if not m:
                continue
            pid, text = int(m.group(1)), m.group(2)
            if text.endswith("<unfinished ...>"):
                unfinished[pid] = text[:-len("<unfinished ...>")].rstrip()
                # A child may run before the parent's call returns
                continue
            m = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
            if m:
                text = unfinished.pop(pid, "") + m.group(1)
            m = re.match(r"(\w+)\((.*)\) += (-?\w+)(.*)$", text)
            if m:
                self.call(pid, m.group(1), m.group(2), m.group(3), m.group(4))

    def add(self, pid, cls, obj, perm, line=""):
        d = self.domain.get(pid)
        if d:
            self.actions.setdefault((d, cls, obj, perm), line)

    def path(self, p):
        for a, b in self.maps:
            if p.startswith(a):
                return b + p[len(a):]
        return p

    def opened(self, pid, name, flags, ret, rest):
        m = re.match(r"<(.*?)>", rest)
        real = m.group(1) if m else name
        real = re.sub(r"\(deleted\)$", "", real)
        real = re.sub(r"^/proc/(self|thread-self)/", "/proc/%d/" % pid, real)
        if re.match(r"(net|user|mnt|pid):\[", real):
            self.add(pid, "ns", real.split(":")[0], "read", name)
            m = re.match(r"/proc/(\d+)/", name)
            if m:
                self.add(pid, "ptrace", "read", "read", name)
            real = "/"          # not on any mount
        elif "/" != real[:1]:
            return
        if ret == "-1" and "ENOENT" in rest and re.search(r"/lib|ld\.so", name):
            return
        if ret != "-1" and "O_DIRECTORY" in flags:
            real = real.rstrip("/") + "/"
        for perm in {"O_RDONLY": "r", "O_WRONLY": "w", "O_RDWR": "rw"}[
                flags.split("|")[0]]:
            self.add(pid, "file", self.path(real), perm, name)

    def call(self, pid, name, args, ret, rest):
        ok = ret != "-1"
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', args)
        add = lambda cls, obj, perm="": self.add(pid, cls, obj, perm, name + "(" + args[:90])
        if name in ("execve", "execveat"):
            if not strings or (not ok and "ENOENT" in rest):
                return
            base = strings[0].rsplit("/", 1)[-1]
            if self.domain.get(pid):
                add("file", self.path(strings[0]), "x")
            if ok:
                self.domain[pid] = base if base in PROGRAMS else None
                add("file", self.path(strings[0]), "r")
            return
        if name in ("clone", "clone3", "fork", "vfork"):
            if not ok:
                return
            m = re.search(r"/\* (\d+) in strace's PID NS \*/", rest)
            child = int(m.group(1)) if m else int(ret)
            if child not in self.domain:
                self.domain[child] = self.domain.get(pid)
        if not self.domain.get(pid):
            return
        if name in ("open", "openat"):
            m = re.search(r"\bO_[A-Z_|]+", args)
            if "O_PATH" not in m.group(0):      # which opens nothing: a place alone
                self.opened(pid, strings[0] if strings else "", m.group(0), ret, rest)
        elif name in ("stat", "lstat", "newfstatat", "statx", "readlink", "readlinkat",
                      "access", "faccessat", "faccessat2") and strings and ok:
            if "/ns/" in strings[0]:
                add("file", "/", "r")
            elif strings[0].startswith("/") and "EMPTY" not in args and \
               not name.startswith(("readlink", "access", "faccess")):
                add("file", self.path(strings[0]), "r")
        elif name in ("unlink", "unlinkat") and ok:
            add("file", self.path(strings[0]), "w")
        elif name in ("bind", "connect") and "sun_path=\"" in args:
            p = re.search(r'sun_path="([^"]*)"', args).group(1)
            if "ENOENT" not in rest:
                add("file", self.path(p), "w")
        elif name == "bind":
            m = re.search(r"htons\((\d+)\)", args)
            if ok and m and 0 < int(m.group(1)) < 1024:
                add("cap", "net_bind_service")
        elif name in ("socket", "socketpair"):
            m = re.match(r"AF_(\w+), SOCK_(\w+)[^,]*, (\w+)", args)
            add("net", "%s %s" % (m.group(1).lower(), m.group(2).lower()),
                m.group(3))
        elif name == "mount" and ok:
            m = re.match(r'"[^"]*", "([^"]*)", (?:"([^"]*)"|\w+), ([A-Z_|]+)', args)
            add("mount", "%s %s %s" % (m.group(1), m.group(2) or "", m.group(3)))
            add("cap", "sys_admin")
        elif name in ("umount2", "pivot_root", "chroot", "sethostname") and ok:
            add(name, strings[0])
            add("cap", "sys_chroot" if name == "chroot" else "sys_admin")
        elif name in ("setns", "unshare") and ok:
            if re.search(r"CLONE_NEW(?!USER)", args) or name == "setns":
                add("cap", "sys_admin")
            if "CLONE_NEWUSER" in args and name == "unshare":
                add("userns", "create")
        elif name == "clone" and "CLONE_NEW" in args and ok:
            add("cap", "sys_admin")
            if "CLONE_NEWUSER" in args:
                add("userns", "create")
        elif name in ("setgroups", "setresgid", "setresuid") and ok:
            add("cap", "setuid" if name == "setresuid" else "setgid")
        elif name == "prctl" and "PR_CAPBSET_DROP" in args and ok:
            add("cap", "setpcap")
        elif name in ("prlimit64", "setrlimit") and "RLIMIT_NOFILE, {" in args and ok:
            add("rlimit", "nofile")
        elif name == "write" and re.search(r"[ug]id_map>", args) and ok:
            which = "setuid" if "uid_map" in args else "setgid"
            if re.search(r'"0 0 (?!1")', args):
                add("cap", which)
                if which == "setuid":
                    add("cap", "setfcap")
        elif name == "ioctl" and "TUNSETIFF" in args and ok:
            add("cap", "net_admin")
        elif name == "kill" and ok:
            m = re.search(r"SIG(\w+)", args)
            add("signal", m.group(1).lower() if m else "exists")


# --- AppArmor -------------------------------------------------------------------

def aa_regex(glob):
    """A regular expression for a path with globs, variables already replaced"""
    out, i, depth = "", 0, 0
    while i < len(glob):
        c = glob[i]
        if glob.startswith("**", i):
            out += ".*"
            i += 1
        elif c == "*":
            out += "[^/]*"
        elif c == "?":
            out += "[^/]"
        elif c == "[":
            end = glob.index("]", i)
            out += glob[i:end + 1]
            i = end
        elif c == "{":
            out += "(?:"
            depth += 1
        elif c == "}":
            out += ")"
            depth -= 1
        elif c == "," and depth:
            out += "|"
        else:
            out += re.escape(c)
        i += 1
    return re.compile(out + r"\Z")


class AppArmor:
    """A profile: its rules, and those that an action has used"""

    # Rules that no action of a trace needs, and why they stand there
    REASONED = dict([(rule, reason) for reason, rules in (
        ("descriptors that the caller passes on",
         ["/dev/null rw", "/dev/tty rw", "/dev/pts/* rw", "/dev/console rw"]),
        ("systems on which this is a file, or with a system log",
         ["/etc/localtime r", "/dev/log rw", "@{run}/systemd/journal/{dev-log,stdout} rw"]),
        ("files to which resolv.conf is a link elsewhere",
         ["/etc/resolvconf/run/resolv.conf r", "/{usr/,}lib/systemd/resolv.conf r",
          "@{run}/{resolvconf,NetworkManager,connman,netconfig,systemd/resolve}/*resolv.conf r",
          "/mnt/wsl/resolv.conf r"]),
        ("files that the caller names there",
         ["owner @{HOME}/** rw", "owner /{,var/}tmp/** rw", "owner @{run}/** rw",
          "owner /var/log/** rw", "/{,var/}tmp/{,**} rw", "@{run}/{,**} rw"]),
        ("sockets of flows: there is no traffic in a traced run",
         ["network inet stream", "network inet dgram", "network inet6 stream",
          "network inet6 dgram"]),
        ("not seen in a trace: who sends, who gets it, and a stop under a tracer",
         ["signal (receive)", "signal (send) peer=passt", "signal (send) peer=pasta",
          "signal (send) set=(cont)"]),
        ("not seen in a trace: what root overrides",
         ["capability dac_override", "capability dac_read_search",
          "capability sys_ptrace"]),
        ("no socket is switched in a traced run", ["capability net_admin"]),
        ("only where a root can't be pivoted, or a limit not be raised otherwise",
         ["capability sys_chroot", "capability sys_resource"]),
        ("only some kernels have it",
         ["@{PROC}/sys/net/ipv4/{tcp_syn_retries,tcp_syn_linear_timeouts} r"]),
    ) for rule in rules])

    def __init__(self, path):
        text = open(path).read()
        variables, self.rules, self.name = {}, [], None
        for line in text.splitlines():
            line = re.sub(r"(^|\s)#(?!include).*", "", line).strip()
            m = re.match(r"@\{(\w+)\}\s*(\+?=)\s*(.*)", line)
            if m:
                old = variables.get(m.group(1), []) if m.group(2) == "+=" else []
                variables[m.group(1)] = old + m.group(3).split()
                continue
            m = re.match(r"profile (\S+) .*\{", line)
            if m:
                self.name = m.group(1)
            elif line.endswith(",") and self.name and not line.startswith("abi "):
                self.rules.append(line[:-1])
        self.variables = variables
        self.used = set()
        self.files = []
        for r in self.rules:
            m = re.match(r"(?:audit )?(deny )?(?:owner )?((?:/|@\{)\S*) ([a-zA-Z]+)$", r)
            if m:
                self.files.append((r, bool(m.group(1)), aa_regex(self.expand(m.group(2))),
                                   m.group(3)))

    def expand(self, s):
        def value(m):
            words = self.variables.get(m.group(1), ["*"])
            words = [self.expand(w) for w in words]
            if s[m.end():m.end() + 1] == "/":
                words = [w.rstrip("/") for w in words]
            return "{" + ",".join(words) + "}"
        if "@{pid}" in s:
            s = s.replace("@{pid}", "[0-9]*")
        return re.sub(r"@\{(\w+)\}", value, s)

    def use(self, pattern):
        hits = [r for r in self.rules if re.search(pattern, r)]
        self.used.update(hits)
        return bool(hits)

    def allows_file(self, path, perm):
        want = "x" if perm == "x" else perm
        found = False
        for rule, deny, regex, perms in self.files:
            if want not in perms.lower() or not regex.match(path):
                continue
            if deny:
                return False
            self.used.add(rule)
            found = True
        return found

    def allows(self, cls, obj, perm):
        if cls == "file":
            return self.allows_file(obj, perm)
        if cls == "cap":
            return self.use(r"^capability %s$" % obj)
        if cls == "net":
            return self.use(r"^network %s$" % obj)
        if cls == "mount":
            where, fs, flags = obj.split(" ")
            flags = flags.split("|")
            if "MS_UNBINDABLE" in flags:
                return self.use(r"^mount options=\(rw, runbindable\) -> /$")
            if "MS_SLAVE" in flags:
                return self.use(r"^mount options=\(rw, rslave\) -> /$")
            return self.use(r"^mount fstype=%s .*nosuid, nodev, noexec.*%s" % (
                fs, "proc|PROC" if where == "/proc" else where.strip("/")))
        if cls == "umount2":
            return self.use(r"^umount /$")
        if cls == "pivot_root":
            return self.use(r"^pivot_root ")
        if cls == "ptrace":
            return self.use(r"^ptrace \(read\)$")
        if cls == "signal":
            if obj == "exists":
                return True
            return self.use(r"^signal \(send\) (set=\(%s\)|peer=)" % obj)
        return True     # sethostname, userns, rlimit: a capability, or another test

    def idle(self):
        """Rules without a purpose"""
        return [r for r in self.rules if r not in self.used and "deny" not in r and
                r not in self.REASONED]


# --- SELinux --------------------------------------------------------------------

class SELinux:
    """A policy module: domains NAME_t, in the raw language of checkmodule"""

    SOCKETS = {
        ("inet", "stream"): "tcp_socket", ("inet6", "stream"): "tcp_socket",
        ("inet", "dgram"): "udp_socket", ("inet6", "dgram"): "udp_socket",
        ("unix", "stream"): "unix_stream_socket",
        ("unix", "seqpacket"): "unix_stream_socket",
        ("unix", "dgram"): "unix_dgram_socket",
    }
    # Types that other modules of the system give to paths
    PATHS = [
        (r"/dev/null", "null_device_t"), (r"/dev/net/tun", "tun_tap_device_t"),
        (r"/dev/log", "devlog_t"), (r"/dev/(tty|pts/.*|console)", None),
        (r"/etc/(passwd|group|localtime)", "etc_t"), (r"/etc/ld\.so.*", None),
        (r"/etc/resolv\.conf|/run/.*resolv\.conf", "net_conf_t"),
        (r"(/usr)?/lib.*", None), (r"/", "nsfs_t"),
        (r"/proc/sys/net/.*", "sysctl_net_t"), (r"/proc/sys/kernel/.*", "sysctl_kernel_t"),
        (r"/proc/sys/user/.*", "sysctl_t"),
        (r"/proc/\d+/.*", "self"), (r"/proc/.*", "proc_t"),
        (r"/run/netns.*", "nsfs_t"), (r"/usr/share/zoneinfo/.*", "locale_t"),
        (r"/tmp/passt_\d+\.socket|.*/sock2?", "passt_socket_t"),
    ]

    def __init__(self, te):
        self.allow = set()
        self.rules = {}
        self.used = set()
        text = re.sub(r"#.*", "", open(te).read())
        sets = r"(\{[^}]*\}|[\w~-]+)"
        for m in re.finditer(r"\ballow\s+%s\s+%s\s*:\s*%s\s+%s\s*;" % ((sets,) * 4), text):
            words = [w.strip("{} \n").split() for w in m.groups()]
            for s in words[0]:
                for t in words[1]:
                    for c in words[2]:
                        for p in words[3]:
                            self.rules[(s, s if t == "self" else t, c, p)] = True

    def has(self, domain, types, classes, perm):
        hits = [(domain, t, c, perm) for t in types for c in classes
                if (domain, t, c, perm) in self.rules]
        self.used.update(hits)
        return bool(hits)

    def allows(self, program, cls, obj, perm):
        domain = program + "_t"
        if cls == "cap":
            cap = obj
            return self.has(domain, [domain], ["capability"], cap) and (
                cap in ("dac_override", "setfcap") or
                self.has(domain, [domain], ["cap_userns"], cap))
        if cls == "net":
            family, kind = obj.split(" ")
            c = self.SOCKETS.get((family, kind))
            if family == "netlink":
                c = "netlink_route_socket" if "ROUTE" in perm else \
                    "netlink_tcpdiag_socket"
            elif "ICMP" in perm:
                return self.has(domain, [domain], ["icmp_socket"], "create")
            return self.has(domain, [domain], [c], "create")
        if cls == "mount":
            fs = obj.split(" ")[1]
            return self.has(domain, [{"tmpfs": "tmpfs_t", "proc": "proc_t",
                                      "": "fs_t"}[fs]], ["filesystem"], "mount") or fs == ""
        if cls == "userns":
            return self.has(domain, [domain], ["user_namespace"], "create")
        if cls == "file":
            return self.allows_file(domain, obj, perm)
        return True

    def allows_file(self, domain, path, perm):
        if perm == "x":
            return self.has(domain, ["bin_t"], ["file"], "execute")
        types = ["passt_log_t", "passt_pid_t", "user_home_t", "user_tmp_t"]
        for regex, t in self.PATHS:
            if re.match(regex + r"\Z", path):
                if t is None:
                    return True
                types = [domain if t == "self" else t]
                break
        if path.endswith(tuple("/bin/" + p for p in PROGRAMS)):
            types = [domain.replace("_t", "_exec_t")]
        classes = ["dir"] if path.endswith("/") and path != "/" else \
            ["file", "chr_file", "sock_file"]
        want = {"r": "read" if classes != ["dir"] else "read", "w": "write"}[perm]
        return self.has(domain, types, classes, want) or (
            perm == "r" and self.has(domain, types, ["sock_file"], "getattr"))


# --- comparing ------------------------------------------------------------------

def report(ok, name, lines):
    report.n += 1
    print("%sok %d - %s" % ("" if ok else "not ", report.n, name))
    for line in lines[:25]:
        print("#   " + line)


def split(words):
    parts = [[]]
    for w in words:
        if w == "--":
            parts.append([])
        else:
            parts[-1].append(w)
    return parts


def main():
    kind = sys.argv[1]
    policies, maps, traces = split(sys.argv[2:])
    maps = [tuple(m.split("=", 1)) for m in maps]
    report.n = int(__import__("os").environ.get("CASE_FIRST", "0"))
    actions = {}
    for t in traces:
        for a, line in Trace(t, maps).actions.items():
            actions.setdefault(a, line)
    selinux = SELinux(policies[0]) if kind == "selinux" else None
    for program in PROGRAMS:
        if selinux and program in ("passt-repair", "qrap"):
            continue        # they have no domain
        mine = [(a, line) for a, line in sorted(actions.items()) if a[0] == program]
        if kind == "apparmor":
            policy = [p for p in map(AppArmor, policies) if p.name == program][0]
            allows = lambda a: policy.allows(*a[1:])
        else:
            allows = lambda a: selinux.allows(*a)
        missing = ["%s %s %s: %s" % (a[1], a[2], a[3], line)
                   for a, line in mine if not allows(a)]
        report(len(mine) > 6 and not missing,
               "%s: the policy has each of %d traced actions" % (program, len(mine)), missing)
        if kind == "apparmor":
            idle = policy.idle()
            report(not idle, "%s: each rule has a use or a reason" % program, idle)


main()
