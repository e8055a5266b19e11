/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * types.h - Plain data that every layer may read
 *
 * struct conf is what the user asked for: written by the parser alone, const
 * afterwards. struct hostnet is how the network of the host looks and what the
 * other side gets of it: written by hostnet.c alone. struct dns is the same for
 * names: written by resolv.c alone. struct guest is what was learned from the
 * frames of the other side: written by guest.c alone.
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
#define CONF_NAME_LEN		256	/* of a domain, with its NUL: RFC 1035, 3.1 */

enum mode { MODE_PASST, MODE_PASTA };

/* Steps of the ladder of offloads of a tun device, each includes the next */
enum tap_offload {
	TAP_OFF_USO,		/* checksum, TSO4, TSO6, USO4, USO6 */
	TAP_OFF_TSO,		/* checksum, TSO4, TSO6 */
	TAP_OFF_CSUM,		/* checksum */
	TAP_OFF_VNET,		/* a virtio-net header, nothing in it */
	TAP_OFF_NONE,		/* no virtio-net header */
};

/* One address family, as the user asked for it */
struct conf_ip {
	bool enabled;
	union inany addr;		/* to assign to the other side */
	uint8_t prefix_len;		/* of addr, for IPv4 as 0..32 */
	union inany gw;			/* its default gateway */
	bool addr_given, prefix_given, gw_given, map_given;	/* by option */
	bool no_copy_addrs, no_copy_routes;
	union inany map_host_loopback;	/* reaches the host's loopback */
	union inany map_guest_addr;	/* reaches the host's own address */
	union inany outbound_addr;	/* what sockets are bound to; unset: any */
	char outbound_if[IFNAMSIZ];	/* and the interface, "": any */
	union inany dns_forward;	/* what is sent here goes to dns_host, */
	union inany dns_host;		/* unset: to what struct dns says */
};

/* How the namespace of pasta is found */
enum netns_kind {
	NETNS_SPAWN,			/* new one, COMMAND or a shell in it */
	NETNS_PID,			/* of a process */
	NETNS_PATH,			/* file: bound nsfs, or of /proc */
	NETNS_FD,			/* none: a tap file descriptor was passed */
};

enum {				/* ip_local_port_range of each new namespace */
	EPHEMERAL_FIRST = 32768, EPHEMERAL_LAST = 60999,
};

struct conf {
	enum mode mode;
	const char *progname;		/* "passt" or "pasta" */

	/* Process */
	bool foreground, debug, trace, quiet, one_off;
	const char *log_file;
	size_t log_size;		/* bytes */
	const char *pid_file;
	const char *pcap_file;
	const char *runas;		/* as given, NULL: nobody if root */
	int fd_tap;			/* -F, -1: not given */

	/* Namespace (pasta) */
	enum netns_kind netns_kind;
	pid_t netns_pid;
	const char *netns_path, *userns_path;
	char netns_name_path[300];	/* what netns_path is, for a NAME */
	bool netns_only, no_netns_quit;
	char *const *command;		/* NULL-terminated; NULL: $SHELL */
	bool config_net;
	char ns_ifname[IFNAMSIZ];	/* "": from the template, else tap0 */
	uint8_t ns_mac[6];
	bool ns_mac_given;
	enum tap_offload offload_max;	/* first step of the ladder to try */

	/* Link and addresses */
	unsigned mtu;			/* bytes, 0: not assigned */
	uint8_t our_mac[6];
	char ifname_opt[IFNAMSIZ];	/* -i, "" if not given */
	struct conf_ip ip4, ip6;
	bool no_map_gw;

	/* Protocols and services */
	bool no_tcp, no_udp, no_icmp, no_ndp, no_ra, no_dhcp, no_dhcpv6;
	bool no_splice, splice_only, host_lo_to_ns_lo;
	unsigned stats_s;		/* between lines of --stats, 0: none */

	/* Names: what was given, see struct dns for what holds */
	bool dns_given, search_given;	/* even if it was "none" */
	unsigned ndns, nsearch;
	union inany dns[2 * CONF_DNS_MAX];
	char search[CONF_SEARCH_MAX][CONF_NAME_LEN];
	bool dhcp_dns, dhcp_search;	/* hand them out */
	char hostname[CONF_NAME_LEN], fqdn[CONF_NAME_LEN];	/* "": none */

	/* Ports */
	bool freebind;

	/* passt */
	const char *sock_path;		/* NULL: the first free of the default ones */

	/* Switches that force a fallback, for tests */
	bool no_peek_off;		/* act as if SO_PEEK_OFF was unknown */
};

/* An address of an interface */
struct host_addr {
	union inany addr;		/* the host's own */
	union inany peer;		/* of point to point, else addr */
	uint32_t flags;			/* IFA_F_* */
	uint8_t prefix_len;		/* of peer, for IPv4 0..32 */
	uint8_t scope;			/* RT_SCOPE_* */
};

/* A unicast route over one interface */
struct host_route {
	union inany dst, src;		/* unset for lengths of 0 */
	union inany gw;			/* unset: on link */
	union inany prefsrc;		/* unset: any */
	uint32_t metric;		/* as told: 0 is 1024 for IPv6 */
	uint8_t dst_len, src_len;	/* for IPv4 0..32 */
	uint8_t tos, scope, protocol;	/* RT_SCOPE_*, RTPROT_* */
	uint8_t pref;			/* RFC 4191, IPv6 only */
	bool onlink;
};

/* One address family, as the other side sees it */
struct hostnet_ip {
	bool enabled;
	unsigned ifindex;		/* template interface, 0: local mode */
	char ifname[IFNAMSIZ];
	bool onlink;			/* found for its address: no default route */
	union inany addr;		/* assigned to the guest, may be unset */
	uint8_t prefix_len;		/* of addr, for IPv4 as 0..32 */
	union inany gw;			/* its default gateway, may be unset */
	union inany our_ll;		/* IPv6: our own link-local address */
	union inany map_host_loopback;	/* reaches the host's loopback; unset: no */
	union inany host_addr;		/* the host's own; unset: none known */
	union inany map_guest_addr;	/* reaches host_addr; unset: nothing does */

	/* Of the template interface, to copy */
	unsigned naddrs, nroutes;
	unsigned addrs_lost, routes_lost;	/* no room for these */
	struct host_addr addrs[HOSTNET_ADDRS_MAX];	/* the best first */
	struct host_route routes[HOSTNET_ROUTES_MAX];
};

/**
 * struct hostnet - The network of the host, and what the other side gets of it
 * @ip4, @ip6:	Addresses of each family
 * @mtu:	MTU that is advertised, bytes, 0: none
 * @ns_ifname:	Name of the tap device in the namespace (pasta)
 * @ephemeral_first, @ephemeral_last:	Ports that the host's kernel assigns to
 *		clients, net.ipv4.ip_local_port_range
 * @notsent_low:	net.ipv4.tcp_notsent_lowat of the host is a limit
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
 * struct dns - Name servers and search list as they are at the moment
 * @n4, @n6:	Servers of each family to hand out, as the guest can reach them
 * @nsearch:	Domains to hand out
 * @host4, @host6:	Where conf->ipN.dns_forward leads; unset: nowhere. Of the other
 *		family where there is none of this one; so are @via4, @via6
 * @via4, @via6:	Where queries to the address that stands for the host's
 *		loopback lead; unset: to the loopback, as other ports
 * @scope6:	Interface of @host6 or @host4, if that is link-local
 *
 * From the command line, else from the host's resolv.conf: written by resolv.c
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

/* Classes of addresses: the guest is reached at one address of each */
enum guest_class { GUEST_IP4, GUEST_IP6, GUEST_LL6, GUEST_CLASSES };

/* Why an address is believed to be the guest's, see guest.c */
enum guest_rank {
	GUEST_NONE, GUEST_ASSUMED, GUEST_SEEN, GUEST_ONLINK, GUEST_ASSIGNED,
};

/**
 * struct guest_id - What is known about the guest's address of one class
 * @rank:	enum guest_rank of the known address
 * @mac_known:	A frame came from it, and from this @mac
 * @pending:	Another address was heard of: the known one is asked for
 * @asked:	How often that was done
 * @asked_ms:	When it was done last, 0: never
 * @due_ms:	When it is to be done again
 * @other, @other_mac, @other_rank:	The candidate
 */
struct guest_id {
	uint8_t rank, mac[6];
	bool mac_known, pending;
	uint8_t asked, other_rank, other_mac[6];
	uint64_t asked_ms, due_ms;
	union inany other;
};

/* Another address, with a MAC address that is not the guest's */
struct guest_neigh {
	union inany addr;		/* unset: none */
	uint8_t mac[6];
};

#define GUEST_NEIGHS	64

/* What the frames of the other side tell about it */
struct guest {
	uint8_t mac[6];			/* broadcast until known */
	bool mac_known;
	uint8_t mac_rank;		/* of the address that @mac is from */
	union inany addr4;		/* known addresses, may be unset */
	union inany addr6;		/* global */
	union inany addr6_ll;		/* link-local, unset until heard of */
	struct guest_id id[GUEST_CLASSES];
	struct guest_neigh neigh[GUEST_NEIGHS];
};

#endif /* TYPES_H */
