/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * types.h - Plain data that every layer may read
 *
 * Each structure has one writer, all others read it as const:
 *
 *	struct conf	options of the user: the parser, const afterwards
 *	struct hostnet	network of the host, and its image for the guest: hostnet.c, for
 *			which probe.c collects addresses and routes
 *	struct dns	name servers and search list: resolv.c
 *	struct guest	addresses learned from frames of the guest: guest.c
 */

#ifndef TYPES_H
#define TYPES_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "inany.h"

#define CONF_MTU_DEFAULT	65520
#define CONF_MTU_MAX		65521
#define CONF_MTU_MIN_IPV6	1280
#define CONF_MTU_MIN_IPV4	68
#define CONF_MAC_DEFAULT	{ 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 }
#define HOSTNET_ROUTES_MAX	128	/* of one family, to copy */
#define HOSTNET_ADDRS_MAX	32
#define CONF_DNS_MAX		8	/* name servers of one family */
#define CONF_SEARCH_MAX		32	/* domains of a search list */
#define CONF_NAME_LEN		256	/* domain and NUL, bytes: RFC 1035, 3.1 */

enum mode { MODE_PASST, MODE_PASTA };

/* Sets of offloads of a tun device, from the largest on */
enum tap_offload {
	TAP_OFF_USO,		/* checksum, TSO4, TSO6, USO4, USO6 */
	TAP_OFF_TSO,		/* checksum, TSO4, TSO6 */
	TAP_OFF_CSUM,		/* checksum */
	TAP_OFF_VNET,		/* a virtio-net header, but no offload */
	TAP_OFF_NONE,		/* no virtio-net header */
};

/* One address family, as the user asked for it */
struct conf_ip {
	bool enabled;
	union inany addr;		/* to assign to the guest */
	uint8_t prefix_len;		/* of addr, for IPv4 as 0..32 */
	union inany gw;			/* default gateway to assign */
	bool addr_given, prefix_given, gw_given, map_given;
	bool no_copy_addrs, no_copy_routes;
	union inany map_host_loopback;	/* leads to the host's loopback */
	union inany map_guest_addr;	/* leads to the host's own address */
	union inany outbound_addr;	/* address of sockets, unset: any */
	char outbound_if[IFNAMSIZ];	/* interface of sockets, "": any */
	union inany dns_forward;	/* queries to it lead to dns_host */
	union inany dns_host;		/* unset: server of struct dns */
};

/* Does --config-net copy all addresses of the template interface? */
static inline bool conf_copies_addrs(const struct conf_ip *ip)
{
	return !ip->addr_given && !ip->prefix_given && !ip->no_copy_addrs;
}

/* Kind of the namespace that pasta serves */
enum netns_kind {
	NETNS_SPAWN,			/* a new one with COMMAND or a shell */
	NETNS_PID,			/* the one of a process */
	NETNS_PATH,			/* the one of a file, on nsfs or in /proc */
	NETNS_FD,			/* unknown, the tap was passed by --fd */
};

/* Default of net.ipv4.ip_local_port_range, which each new namespace starts with */
enum {
	EPHEMERAL_FIRST = 32768, EPHEMERAL_LAST = 60999,
};

struct conf {
	enum mode mode;
	const char *progname;		/* "passt" or "pasta" */

	/* Process */
	bool foreground, debug, trace, quiet, one_off, vhost_user;
	const char *log_file;
	size_t log_size;		/* bytes */
	const char *pid_file;
	const char *pcap_file;
	const char *runas;		/* as given, NULL: nobody if root */
	bool sandbox_strict;		/* end if a part of the sandbox is missing */
	int fd_tap;			/* -F, -1: not given */

	/* Namespace (pasta) */
	enum netns_kind netns_kind;
	pid_t netns_pid;
	const char *netns_path, *userns_path;
	char netns_name_path[300];	/* netns_path of a NAME */
	bool netns_only, no_netns_quit;
	char *const *command;		/* ends with NULL; NULL: $SHELL */
	bool config_net;
	char ns_ifname[IFNAMSIZ];	/* "": see struct hostnet */
	uint8_t ns_mac[6];
	bool ns_mac_given;
	enum tap_offload offload_max;	/* largest set to try */

	/* Link and addresses */
	unsigned mtu;			/* bytes, 0: not assigned */
	uint8_t our_mac[6];
	char ifname_opt[IFNAMSIZ];	/* -i, "" if not given */
	struct conf_ip ip4, ip6;
	bool no_map_gw;

	/* Protocols and services */
	bool no_tcp, no_udp, no_icmp, no_ndp, no_ra, no_dhcp, no_dhcpv6;
	bool no_splice, splice_only, host_lo_to_ns_lo;
	unsigned stats_s;		/* period of --stats, seconds, 0: off */

	/* Names, see struct dns for those in use */
	bool dns_given, search_given;	/* also with "none" */
	unsigned ndns, nsearch;
	union inany dns[2 * CONF_DNS_MAX];
	char search[CONF_SEARCH_MAX][CONF_NAME_LEN];
	bool dhcp_dns, dhcp_search;	/* hand servers, domains out */
	char hostname[CONF_NAME_LEN], fqdn[CONF_NAME_LEN];	/* "": none */

	/* Ports */
	bool freebind;
	const char *conf_path;		/* control socket, NULL: none */
	int control_fd;			/* the same, inherited; -1: none */

	/* passt */
	const char *sock_path;		/* NULL: the first free default one */
	mode_t socket_mode;		/* of this socket, and of repair_path */
	const char *repair_path;	/* NULL: beside the socket */
	bool no_repair;			/* no socket for passt-repair */

	/* For tests: use a fallback */
	bool no_peek_off;		/* act as if SO_PEEK_OFF was unknown */
};

/* An address of an interface */
struct host_addr {
	union inany addr;		/* the host's own */
	union inany peer;		/* other end of point to point, else addr */
	uint32_t flags;			/* IFA_F_* */
	uint8_t prefix_len;		/* of peer, for IPv4 0..32 */
	uint8_t scope;			/* RT_SCOPE_* */
};

/* A unicast route over one interface */
struct host_route {
	union inany dst, src;		/* unset for lengths of 0 */
	union inany gw;			/* unset: on link */
	union inany prefsrc;		/* unset: any */
	uint32_t metric;		/* as received: 0 is 1024 for IPv6 */
	uint8_t dst_len, src_len;	/* for IPv4 0..32 */
	uint8_t tos, scope, protocol;	/* RT_SCOPE_*, RTPROT_* */
	uint8_t pref;			/* RFC 4191, IPv6 only */
	bool onlink;
};

/* One address family as the guest sees it */
struct hostnet_ip {
	bool enabled;
	unsigned ifindex;		/* template interface, 0: local mode */
	char ifname[IFNAMSIZ];
	bool onlink;			/* interface without default route */
	union inany addr;		/* assigned address, may be unset */
	uint8_t prefix_len;		/* of addr, for IPv4 as 0..32 */
	union inany gw;			/* default gateway, may be unset */
	union inany our_ll;		/* IPv6: our own link-local address */
	union inany map_host_loopback;	/* leads to the host's loopback */
	union inany host_addr;		/* the host's own, unset: unknown */
	union inany map_guest_addr;	/* leads to host_addr */

	/* Addresses and routes of the template interface, to copy */
	unsigned naddrs, nroutes;
	unsigned addrs_lost, routes_lost;	/* dropped for lack of room */
	struct host_addr addrs[HOSTNET_ADDRS_MAX];	/* the best first */
	struct host_route routes[HOSTNET_ROUTES_MAX];
};

/**
 * struct hostnet - The network of the host, and its image for the guest
 * @ip4, @ip6:	Addresses of each family
 * @mtu:	MTU to advertise, bytes, 0: none
 * @ns_ifname:	Name of the tap device in the namespace (pasta): as given, else of
 *		the template, else tap0
 * @ephemeral_first, @ephemeral_last:	Ports that the host's kernel assigns to
 *		clients, net.ipv4.ip_local_port_range
 * @notsent_low:	The host limits unsent data by net.ipv4.tcp_notsent_lowat
 *
 * Plain data that may cross a fork.
 */
struct hostnet {
	struct hostnet_ip ip4, ip6;
	unsigned mtu;
	char ns_ifname[IFNAMSIZ];
	uint16_t ephemeral_first, ephemeral_last;
	bool notsent_low;
};

/**
 * struct dns - Name servers and search list at the moment
 * @n4, @n6:	Number of servers of each family in @ns4, @ns6: addresses to hand
 *		out, by which the guest can reach them
 * @nsearch:	Number of domains to hand out
 * @host4, @host6:	Target of queries to conf->ipN.dns_forward; unset: none. If its
 *		family has no server, one of the other; the same goes for @via4, @via6
 * @via4, @via6:	Target of queries to the address that leads to the host's
 *		loopback; unset: the loopback, as for other ports
 * @scope6:	Interface of @host6 or @host4, if that is link-local
 *
 * Options come first, then the host's resolv.conf: resolv.c writes this structure
 * at start and when that file changes.
 */
struct dns {
	unsigned n4, n6, nsearch;
	union inany ns4[CONF_DNS_MAX], ns6[CONF_DNS_MAX];
	char search[CONF_SEARCH_MAX][CONF_NAME_LEN];
	union inany host4, host6;
	union inany via4, via6;
	unsigned scope6;
};

/* Classes of addresses: the guest has one known address of each */
enum guest_class { GUEST_IP4, GUEST_IP6, GUEST_LL6, GUEST_CLASSES };

/* Why an address is believed to be the guest's, see guest.c */
enum guest_rank {
	GUEST_NONE, GUEST_ASSUMED, GUEST_SEEN, GUEST_ONLINK, GUEST_ASSIGNED,
};

/**
 * struct guest_id - The guest's known address of one class
 * @rank:	enum guest_rank of the known address
 * @mac_known:	A frame came from the address, with source @mac
 * @pending:	A frame came from another address: probe the known one
 * @asked:	Number of probes sent
 * @asked_ms:	Time of the last probe, ms, 0: never
 * @due_ms:	Time of the next probe, ms
 * @other, @other_mac, @other_rank:	The candidate
 */
struct guest_id {
	uint8_t rank, mac[6];
	bool mac_known, pending;
	uint8_t asked, other_rank, other_mac[6];
	uint64_t asked_ms, due_ms;
	union inany other;
};

/* An address of another host behind the tap, with its MAC address */
struct guest_neigh {
	union inany addr;		/* unset: none */
	uint8_t mac[6];
};

#define GUEST_NEIGHS	64

/* The guest, as its frames show it */
struct guest {
	uint8_t mac[6];			/* broadcast until known */
	bool mac_known;
	uint8_t mac_rank;		/* of the address that gave @mac */
	union inany addr4;		/* known addresses, may be unset */
	union inany addr6;		/* global */
	union inany addr6_ll;		/* link-local, unset until seen */
	struct guest_id id[GUEST_CLASSES];
	struct guest_neigh neigh[GUEST_NEIGHS];
};

#endif /* TYPES_H */
