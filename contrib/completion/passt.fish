# SPDX-License-Identifier: GPL-2.0-or-later
#
# passt.fish - Completion of passt, pasta and qrap for fish
#
# Written by scripts/completion from the table in conf_opts.c: change it there.

# Print the words after the options. Succeeds if options have ended: by a word that is
# none, or by "--".
function __passt_operands
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --
                set -e words[1]
                string join -- \n $words
                return 0
            case '--*=*'
                set -e words[1]
            case --stats --log-file --log-size --runas --sandbox --fd \
                --conf-path --control-fd --pcap --pid --mtu --address \
                --netmask --mac-addr --gateway --interface --outbound \
                --outbound-if4 --outbound-if6 --dns --dns-forward --dns-host \
                --search --hostname --fqdn --map-host-loopback \
                --map-guest-addr --tcp-ports --udp-ports --socket \
                --socket-path --chmod --repair-path --tcp-ns --udp-ns \
                --ns-ifname --ns-mac-addr --netns --userns
                set -e words[1]
                set -e words[1]
            case '--*'
                set -e words[1]
            case '-?*'
                # The last of several letters may take the next word
                string match -qr -- '^-[^lFcpPmanMgioDSHtusTUI]*[lFcpPmanMgioDSHtusTUI]$' $words[1]
                and set -e words[1]
                set -e words[1]
            case '*'
                string join -- \n $words
                return 0
        end
    end
    return 1
end

function __passt_options_open
    not __passt_operands >/dev/null
end

function __passt_interfaces
    string replace /sys/class/net/ '' /sys/class/net/*
end

function __passt_netns
    set -l names /run/netns/*
    string replace /run/netns/ '' $names
    __fish_complete_path (commandline -ct)
end

function __passt_users
    set -l user (commandline -ct | string replace -rf '^(--runas=)?([^:]*):.*' '$2')
    if test -n "$user"
        __fish_complete_groups | string replace -r '^' "$user:"
    else
        __fish_complete_users
    end
end

# Print the processes whose namespaces the user may join, with their names
function __passt_pids
    for dir in (string match -r '^/proc/[0-9]+$' /proc/*)
        if test (id -u) = 0; or test -O $dir
            printf '%s\t%s\n' (string replace /proc/ '' $dir) (cat $dir/comm 2>/dev/null)
        end
    end
end

# Propose a command, values for it, or a process
function __passt_command
    set -l words (__passt_operands)
    set -l word (commandline -ct)
    if not set -q words[1]; and string match -qr -- '^[0-9]+$' "$word"
        __passt_pids
    else if set -q words[1]; or not string match -q -- '-*' "$word"
        complete -C (string join -- ' ' (string escape -- $words) $word)
    end
end

function __passt_qrap
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -e words[1]
    if not set -q words[1]
        printf '5\tnumber of the descriptor\n'
    else if string match -qr -- '^[0-9]+$' $words[1]
        complete -C (string join -- ' ' (string escape -- $words[2..]) $word)
    else
        __fish_complete_path "$word"
    end
end

complete -c passt -f
complete -c pasta -f -a '(__passt_command)'
complete -c qrap -f -a '(__passt_qrap)'
complete -c qrap -n __fish_use_subcommand -s h -l help -d 'Print the usage'

complete -c passt -n __passt_options_open -s d -l debug -d 'Log events in detail'
complete -c passt -n __passt_options_open -l trace -d 'Log each packet as well; implies --debug'
complete -c passt -n __passt_options_open -s q -l quiet -d 'Print warnings and errors only'
complete -c passt -n __passt_options_open -s e -l stderr -d 'No effect, accepted for old callers'
complete -c passt -n __passt_options_open -l stats -x -d 'Print counters every DELAY seconds; needs --foreground'
complete -c passt -n __passt_options_open -s f -l foreground -d 'Stay in the foreground'
complete -c passt -n __passt_options_open -s l -l log-file -r -F -d 'Log to this file, which is emptied first, and not to the system log'
complete -c passt -n __passt_options_open -l log-size -x -d 'Maximum size of the log file'
complete -c passt -n __passt_options_open -l runas -x -a '(__passt_users)' -d 'User to run as if started as root, a name or number'
complete -c passt -n __passt_options_open -l sandbox -x -a 'strict auto' -d 'Refuse to start without a part of the sandbox (strict), or warn (auto)'
complete -c passt -n __passt_options_open -s h -l help -d 'Print this help and exit'
complete -c passt -n __passt_options_open -l version -d 'Print version and licence, and exit'
complete -c passt -n __passt_options_open -s F -l fd -x -d 'Number of an open file descriptor to use: a connected socket, or a tap device (pasta)'
complete -c passt -n __passt_options_open -s c -l conf-path -r -F -d 'UNIX socket by which pesto changes forwarded ports while we run'
complete -c passt -n __passt_options_open -l control-fd -x -d 'Number of an open UNIX socket to use instead, listening or connected'
complete -c passt -n __passt_options_open -s p -l pcap -r -F -d 'Record the frames of the tap to this file'
complete -c passt -n __passt_options_open -s P -l pid -r -F -d 'Write the process ID to this file'
complete -c passt -n __passt_options_open -s m -l mtu -x -d 'MTU to assign, 68 to 65521, or 0 for none'
complete -c passt -n __passt_options_open -s a -l address -x -d 'Address to assign, once per family'
complete -c passt -n __passt_options_open -s n -l netmask -x -d 'IPv4 netmask to assign, bits or dotted'
complete -c passt -n __passt_options_open -s M -l mac-addr -x -d 'MAC address of our side of the link'
complete -c passt -n __passt_options_open -s g -l gateway -x -d 'Default gateway to assign, once per family'
complete -c passt -n __passt_options_open -s i -l interface -x -a '(__passt_interfaces)' -d 'Take addresses and routes from this interface'
complete -c passt -n __passt_options_open -s o -l outbound -x -d 'Source address of outgoing connections, once per family'
complete -c passt -n __passt_options_open -l outbound-if4 -x -a '(__passt_interfaces)' -d 'Interface for outgoing IPv4 connections'
complete -c passt -n __passt_options_open -l outbound-if6 -x -a '(__passt_interfaces)' -d 'Interface for outgoing IPv6 connections'
complete -c passt -n __passt_options_open -s D -l dns -x -a none -d 'Name server to hand out, may be given several times, or \'none\''
complete -c passt -n __passt_options_open -l dns-forward -x -a none -d 'Forward queries to this address to the host\'s name server, once per family, or \'none\''
complete -c passt -n __passt_options_open -l dns-host -x -a none -d 'Name server that --dns-forward leads to, or \'none\''
complete -c passt -n __passt_options_open -s S -l search -x -a none -d 'Search domains to hand out, with blanks between them, or \'none\''
complete -c passt -n __passt_options_open -s H -l hostname -x -d 'Host name to hand out, and of a new namespace'
complete -c passt -n __passt_options_open -l fqdn -x -d 'Fully qualified domain name to hand out'
complete -c passt -n __passt_options_open -l no-tcp -d 'Don\'t forward TCP'
complete -c passt -n __passt_options_open -l no-udp -d 'Don\'t forward UDP'
complete -c passt -n __passt_options_open -l no-icmp -d 'Don\'t forward ICMP echo; implies --no-ndp'
complete -c passt -n __passt_options_open -l no-dhcp -d 'Don\'t answer DHCP'
complete -c passt -n __passt_options_open -l no-ndp -d 'Don\'t answer NDP; implies --no-ra'
complete -c passt -n __passt_options_open -l no-dhcpv6 -d 'Don\'t answer DHCPv6'
complete -c passt -n __passt_options_open -l no-ra -d 'Don\'t send router advertisements'
complete -c passt -n __passt_options_open -l freebind -d 'Allow forwarded ports to be bound to addresses that the host doesn\'t have'
complete -c passt -n __passt_options_open -l no-map-gw -d 'Don\'t map the gateway\'s address to the host'
complete -c passt -n __passt_options_open -l map-host-loopback -x -a none -d 'Address that reaches the host\'s loopback, once per family, or \'none\''
complete -c passt -n __passt_options_open -l map-guest-addr -x -a none -d 'Address that reaches the host\'s own address, once per family, or \'none\''
complete -c passt -n __passt_options_open -s 4 -l ipv4-only -d 'Use IPv4 only'
complete -c passt -n __passt_options_open -s 6 -l ipv6-only -d 'Use IPv6 only'
complete -c passt -n __passt_options_open -s t -l tcp-ports -x -a 'none all' -d 'Forward TCP ports of the host to the guest or namespace, may be given several times'
complete -c passt -n __passt_options_open -s u -l udp-ports -x -a 'none all' -d 'Forward UDP ports of the host, see --tcp-ports'
complete -c passt -n __passt_options_open -s s -l socket -r -F -d 'UNIX socket to listen on'
complete -c passt -n __passt_options_open -s s -l socket-path -r -F -d 'Other name of --socket'
complete -c passt -n __passt_options_open -l chmod -x -d 'Permissions of the sockets of --socket and --repair-path, in octal'
complete -c passt -n __passt_options_open -l vhost-user -d 'Exchange frames in the guest\'s memory: the client is the vhost-user front-end of a virtual machine'
complete -c passt -n __passt_options_open -l print-capabilities -d 'Print the type of the vhost-user device and exit'
complete -c passt -n __passt_options_open -s 1 -l one-off -d 'Exit when the guest disconnects; --fd implies it'
complete -c passt -n __passt_options_open -l repair-path -r -F -d 'UNIX socket for passt-repair, or \'none\'; needs --vhost-user'
complete -c passt -n __passt_options_open -l migrate-exit -d 'No effect, accepted for old callers'
complete -c passt -n __passt_options_open -l migrate-no-linger -d 'No effect, accepted for old callers'
complete -c passt -n __passt_options_open -l no-dhcp-dns -d 'Don\'t hand out name servers by DHCP or NDP'
complete -c passt -n __passt_options_open -l no-dhcp-search -d 'Don\'t hand out a search list by DHCP or NDP'
complete -c pasta -n __passt_options_open -s d -l debug -d 'Log events in detail'
complete -c pasta -n __passt_options_open -l trace -d 'Log each packet as well; implies --debug'
complete -c pasta -n __passt_options_open -s q -l quiet -d 'Print warnings and errors only'
complete -c pasta -n __passt_options_open -s e -l stderr -d 'No effect, accepted for old callers'
complete -c pasta -n __passt_options_open -l stats -x -d 'Print counters every DELAY seconds; needs --foreground'
complete -c pasta -n __passt_options_open -s f -l foreground -d 'Stay in the foreground'
complete -c pasta -n __passt_options_open -s l -l log-file -r -F -d 'Log to this file, which is emptied first, and not to the system log'
complete -c pasta -n __passt_options_open -l log-size -x -d 'Maximum size of the log file'
complete -c pasta -n __passt_options_open -l runas -x -a '(__passt_users)' -d 'User to run as if started as root, a name or number'
complete -c pasta -n __passt_options_open -l sandbox -x -a 'strict auto' -d 'Refuse to start without a part of the sandbox (strict), or warn (auto)'
complete -c pasta -n __passt_options_open -s h -l help -d 'Print this help and exit'
complete -c pasta -n __passt_options_open -l version -d 'Print version and licence, and exit'
complete -c pasta -n __passt_options_open -s F -l fd -x -d 'Number of an open file descriptor to use: a connected socket, or a tap device (pasta)'
complete -c pasta -n __passt_options_open -s c -l conf-path -r -F -d 'UNIX socket by which pesto changes forwarded ports while we run'
complete -c pasta -n __passt_options_open -l control-fd -x -d 'Number of an open UNIX socket to use instead, listening or connected'
complete -c pasta -n __passt_options_open -s p -l pcap -r -F -d 'Record the frames of the tap to this file'
complete -c pasta -n __passt_options_open -s P -l pid -r -F -d 'Write the process ID to this file'
complete -c pasta -n __passt_options_open -s m -l mtu -x -d 'MTU to assign, 68 to 65521, or 0 for none'
complete -c pasta -n __passt_options_open -s a -l address -x -d 'Address to assign, once per family'
complete -c pasta -n __passt_options_open -s n -l netmask -x -d 'IPv4 netmask to assign, bits or dotted'
complete -c pasta -n __passt_options_open -s M -l mac-addr -x -d 'MAC address of our side of the link'
complete -c pasta -n __passt_options_open -s g -l gateway -x -d 'Default gateway to assign, once per family'
complete -c pasta -n __passt_options_open -s i -l interface -x -a '(__passt_interfaces)' -d 'Take addresses and routes from this interface'
complete -c pasta -n __passt_options_open -s o -l outbound -x -d 'Source address of outgoing connections, once per family'
complete -c pasta -n __passt_options_open -l outbound-if4 -x -a '(__passt_interfaces)' -d 'Interface for outgoing IPv4 connections'
complete -c pasta -n __passt_options_open -l outbound-if6 -x -a '(__passt_interfaces)' -d 'Interface for outgoing IPv6 connections'
complete -c pasta -n __passt_options_open -s D -l dns -x -a none -d 'Name server to hand out, may be given several times, or \'none\''
complete -c pasta -n __passt_options_open -l dns-forward -x -a none -d 'Forward queries to this address to the host\'s name server, once per family, or \'none\''
complete -c pasta -n __passt_options_open -l dns-host -x -a none -d 'Name server that --dns-forward leads to, or \'none\''
complete -c pasta -n __passt_options_open -s S -l search -x -a none -d 'Search domains to hand out, with blanks between them, or \'none\''
complete -c pasta -n __passt_options_open -s H -l hostname -x -d 'Host name to hand out, and of a new namespace'
complete -c pasta -n __passt_options_open -l fqdn -x -d 'Fully qualified domain name to hand out'
complete -c pasta -n __passt_options_open -l no-tcp -d 'Don\'t forward TCP'
complete -c pasta -n __passt_options_open -l no-udp -d 'Don\'t forward UDP'
complete -c pasta -n __passt_options_open -l no-icmp -d 'Don\'t forward ICMP echo; implies --no-ndp'
complete -c pasta -n __passt_options_open -l no-dhcp -d 'Don\'t answer DHCP'
complete -c pasta -n __passt_options_open -l no-ndp -d 'Don\'t answer NDP; implies --no-ra'
complete -c pasta -n __passt_options_open -l no-dhcpv6 -d 'Don\'t answer DHCPv6'
complete -c pasta -n __passt_options_open -l no-ra -d 'Don\'t send router advertisements'
complete -c pasta -n __passt_options_open -l freebind -d 'Allow forwarded ports to be bound to addresses that the host doesn\'t have'
complete -c pasta -n __passt_options_open -l no-map-gw -d 'Don\'t map the gateway\'s address to the host'
complete -c pasta -n __passt_options_open -l map-host-loopback -x -a none -d 'Address that reaches the host\'s loopback, once per family, or \'none\''
complete -c pasta -n __passt_options_open -l map-guest-addr -x -a none -d 'Address that reaches the host\'s own address, once per family, or \'none\''
complete -c pasta -n __passt_options_open -s 4 -l ipv4-only -d 'Use IPv4 only'
complete -c pasta -n __passt_options_open -s 6 -l ipv6-only -d 'Use IPv6 only'
complete -c pasta -n __passt_options_open -s t -l tcp-ports -x -a 'none all auto' -d 'Forward TCP ports of the host to the guest or namespace, may be given several times'
complete -c pasta -n __passt_options_open -s u -l udp-ports -x -a 'none all auto' -d 'Forward UDP ports of the host, see --tcp-ports'
complete -c pasta -n __passt_options_open -l dhcp-dns -d 'Hand out name servers by DHCP and NDP'
complete -c pasta -n __passt_options_open -l dhcp-search -d 'Hand out a search list by DHCP and NDP'
complete -c pasta -n __passt_options_open -s T -l tcp-ns -x -a 'none all auto' -d 'Forward TCP ports of the namespace to the host, SPEC as above without ADDR'
complete -c pasta -n __passt_options_open -s U -l udp-ns -x -a 'none all auto' -d 'Forward UDP ports of the namespace, see --tcp-ns'
complete -c pasta -n __passt_options_open -s I -l ns-ifname -x -d 'Name of the interface in the namespace'
complete -c pasta -n __passt_options_open -l config-net -d 'Configure addresses and routes there; implies --no-ra'
complete -c pasta -n __passt_options_open -l ns-mac-addr -x -d 'MAC address of the interface in the namespace'
complete -c pasta -n __passt_options_open -l no-copy-routes -d 'With --config-net: set a default route only (deprecated)'
complete -c pasta -n __passt_options_open -l no-copy-addrs -d 'With --config-net: set one address per family (deprecated)'
complete -c pasta -n __passt_options_open -l netns -x -a '(__passt_netns)' -d 'Network namespace to connect: a path, or a name in /run/netns'
complete -c pasta -n __passt_options_open -l userns -r -F -d 'User namespace to join before --netns'
complete -c pasta -n __passt_options_open -l netns-only -d 'Don\'t join or create a user namespace'
complete -c pasta -n __passt_options_open -l no-netns-quit -d 'Don\'t exit when the path of --netns is gone'
complete -c pasta -n __passt_options_open -l host-lo-to-ns-lo -d 'Forward connections from the host\'s loopback to the namespace\'s loopback, not to its address'
complete -c pasta -n __passt_options_open -l no-splice -d 'Don\'t let local connections bypass the tap'
complete -c pasta -n __passt_options_open -l splice-only -d 'Connect local ports only, without a tap device'
