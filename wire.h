/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h - Every wire structure and protocol number, with its source
 *
 * Fields are be16 or be32: in network order, as they stand in a frame. All
 * structures are packed by their definition and may be read at any alignment
 * only through memcpy().
 */

#ifndef WIRE_H
#define WIRE_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

typedef uint16_t be16;
typedef uint32_t be32;

#define MAC_LEN		6

/* Ethernet II: IEEE 802.3, 3.2.6; numbers: IANA ethertypes */
struct eth_hdr {
	uint8_t	dst[MAC_LEN];
	uint8_t	src[MAC_LEN];
	be16	type;			/* ETHERTYPE_* */
};
static_assert(sizeof(struct eth_hdr) == 14, "IEEE 802.3, 3.2.6");

enum {
	ETHERTYPE_IPV4	= 0x0800,
	ETHERTYPE_ARPV4	= 0x0806,
	ETHERTYPE_IPV6N	= 0x86dd,
};

struct arp_msg {			/* RFC 826, Ethernet and IPv4 */
	be16	htype, ptype;
	uint8_t	hlen, plen;
	be16	op;			/* ARP_OP_* */
	uint8_t	sha[MAC_LEN];
	uint8_t	spa[4];
	uint8_t	tha[MAC_LEN];
	uint8_t	tpa[4];
};
static_assert(sizeof(struct arp_msg) == 28, "RFC 826");

enum { ARP_HTYPE_ETHER = 1, ARP_OP_REQUEST = 1, ARP_OP_REPLY = 2 };

struct ip4_hdr {			/* RFC 791, 3.1 */
	uint8_t	ver_ihl;		/* version 4, length in 32-bit words */
	uint8_t	tos;
	be16	tot_len, id;
	be16	frag;			/* IP4_DF, IP4_MF, offset in 8 bytes */
	uint8_t	ttl, proto;
	be16	csum;
	be32	src, dst;
};
static_assert(sizeof(struct ip4_hdr) == 20, "RFC 791, 3.1");

enum { IP4_DF = 0x4000, IP4_MF = 0x2000, IP4_OFFSET = 0x1fff };
enum { IP_DEFAULT_TTL = 64, IP4_HDR_MAX = 60 };

struct ip6_hdr {			/* RFC 8200, 3 */
	be32	ver_tc_flow;
	be16	payload_len;
	uint8_t	nexthdr, hop_limit;
	struct in6_addr src, dst;
};
static_assert(sizeof(struct ip6_hdr) == 40, "RFC 8200, 3");

struct ip6_frag {			/* RFC 8200, 4.5 */
	uint8_t	nexthdr, reserved;
	be16	offset;			/* upper 13 bits in 8 bytes, bit 0: more */
	be32	id;
};
static_assert(sizeof(struct ip6_frag) == 8, "RFC 8200, 4.5");

/* IANA protocol numbers that <netinet/in.h> has: IPPROTO_TCP and so on */

struct tcp_hdr {			/* RFC 9293, 3.1 */
	be16	sport, dport;
	be32	seq, ack;
	uint8_t	doff;			/* upper 4 bits: length in 32-bit words */
	uint8_t	flags;			/* TCPF_* */
	be16	wnd, csum, urg;
};
static_assert(sizeof(struct tcp_hdr) == 20, "RFC 9293, 3.1");
static_assert(offsetof(struct tcp_hdr, wnd) == 14, "RFC 9293, 3.1");

enum {
	TCPF_FIN = 0x01, TCPF_SYN = 0x02, TCPF_RST = 0x04, TCPF_PSH = 0x08,
	TCPF_ACK = 0x10, TCPF_URG = 0x20,
};
enum {					/* RFC 9293, 3.1; RFC 7323, 2.2 */
	TCPOPT_EOL_ = 0, TCPOPT_NOP_ = 1, TCPOPT_MSS = 2, TCPOPT_WS = 3,
	TCPOPT_MSS_LEN = 4, TCPOPT_WS_LEN = 3,
	TCP_WS_MAX = 14,		/* RFC 7323, 2.3 */
	TCP_HDR_MAX = 60,
};

struct udp_hdr {			/* RFC 768 */
	be16	sport, dport, len, csum;
};
static_assert(sizeof(struct udp_hdr) == 8, "RFC 768");

enum {					/* RFC 2131, 4.1; RFC 8415, 7.2 */
	DHCP_PORT_SERVER = 67, DHCP_PORT_CLIENT = 68,
	DHCPV6_PORT_CLIENT = 546, DHCPV6_PORT_SERVER = 547,
};

struct icmp_hdr {			/* RFC 792, RFC 4443 2.1: same shape */
	uint8_t	type, code;
	be16	csum;
	union {
		struct { be16 id, seq; } echo;
		be32	word;		/* unused, pointer or MTU of errors */
	};
};
static_assert(sizeof(struct icmp_hdr) == 8, "RFC 792");

enum {					/* RFC 792, RFC 1122 3.2.2.1 */
	ICMP4_ECHO_REPLY = 0, ICMP4_UNREACH = 3, ICMP4_ECHO = 8,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_UNREACH_NET = 0, ICMP4_UNREACH_HOST = 1, ICMP4_UNREACH_PROTO = 2,
	ICMP4_UNREACH_PORT = 3, ICMP4_UNREACH_FRAG = 4,
	ICMP4_UNREACH_SRCROUTE = 5, ICMP4_UNREACH_NET_UNKNOWN = 6,
	ICMP4_UNREACH_HOST_UNKNOWN = 7, ICMP4_UNREACH_ISOLATED = 8,
	ICMP4_UNREACH_NET_PROHIBITED = 9, ICMP4_UNREACH_HOST_PROHIBITED = 10,
	ICMP4_UNREACH_NET_TOS = 11, ICMP4_UNREACH_HOST_TOS = 12,
	ICMP4_UNREACH_ADMIN = 13,	/* RFC 1812, 5.2.7.1 */
	ICMP4_UNREACH_CUTOFF = 15,	/* the same: precedence */
};
enum {					/* RFC 4443, 2.1 */
	ICMP6_UNREACH = 1, ICMP6_TOO_BIG = 2, ICMP6_TIME_EXCEEDED_ = 3,
	ICMP6_PARAM_PROBLEM = 4, ICMP6_NEXT_HEADER = 1,	/* RFC 4443, 3.4 */
	ICMP6_ECHO = 128, ICMP6_ECHO_REPLY_ = 129,
	ICMP6_UNREACH_NOROUTE = 0, ICMP6_UNREACH_ADMIN_ = 1,
	ICMP6_UNREACH_SCOPE = 2, ICMP6_UNREACH_ADDR = 3, ICMP6_UNREACH_PORT = 4,
	ICMP6_UNREACH_POLICY = 5, ICMP6_UNREACH_REJECT = 6,	/* RFC 4443, 3.1 */
};
enum {					/* RFC 4861, 4 */
	NDP_RS = 133, NDP_RA = 134, NDP_NS = 135, NDP_NA = 136,
	NDP_HOP_LIMIT = 255,
	NDP_OPT_SLLA = 1, NDP_OPT_TLLA = 2, NDP_OPT_PREFIX = 3, NDP_OPT_MTU = 5,
	NDP_OPT_RDNSS = 25, NDP_OPT_DNSSL = 31,	/* RFC 8106 */
};

struct ndp_neigh {			/* RFC 4861, 4.3 and 4.4: NS and NA */
	uint8_t	type, code;
	be16	csum;
	be32	flags;			/* of NA: NDP_NA_*, host order */
	struct in6_addr target;
};
static_assert(sizeof(struct ndp_neigh) == 24, "RFC 4861, 4.3");
#define NDP_NA_ROUTER		0x80000000U
#define NDP_NA_SOLICITED	0x40000000U
#define NDP_NA_OVERRIDE		0x20000000U

struct ndp_ra {				/* RFC 4861, 4.2 */
	uint8_t	type, code;
	be16	csum;
	uint8_t	hop_limit, flags;
	be16	lifetime_s;
	be32	reachable_ms, retrans_ms;
};
static_assert(sizeof(struct ndp_ra) == 16, "RFC 4861, 4.2");
enum { NDP_RA_MANAGED = 0x80, NDP_RA_OTHER = 0x40 };

struct ndp_opt_ll {			/* RFC 4861, 4.6.1 */
	uint8_t	type, len8;		/* length in units of 8 bytes */
	uint8_t	mac[MAC_LEN];
};
static_assert(sizeof(struct ndp_opt_ll) == 8, "RFC 4861, 4.6.1");

struct ndp_opt_prefix {			/* RFC 4861, 4.6.2 */
	uint8_t	type, len8, prefix_len, flags;	/* NDP_PREFIX_* */
	be32	valid_s, preferred_s, reserved;
	struct in6_addr prefix;
};
static_assert(sizeof(struct ndp_opt_prefix) == 32, "RFC 4861, 4.6.2");
enum { NDP_PREFIX_ONLINK = 0x80, NDP_PREFIX_AUTO = 0x40 };

struct ndp_opt_mtu {			/* RFC 4861, 4.6.4 */
	uint8_t	type, len8;
	be16	reserved;
	be32	mtu;
};
static_assert(sizeof(struct ndp_opt_mtu) == 8, "RFC 4861, 4.6.4");

struct ndp_opt_rdnss {			/* RFC 8106, 5.1; addresses follow */
	uint8_t	type, len8;
	be16	reserved;
	be32	lifetime_s;
};
static_assert(sizeof(struct ndp_opt_rdnss) == 8, "RFC 8106, 5.1");

struct ndp_opt_dnssl {			/* RFC 8106, 5.2; names follow */
	uint8_t	type, len8;
	be16	reserved;
	be32	lifetime_s;
};
static_assert(sizeof(struct ndp_opt_dnssl) == 8, "RFC 8106, 5.2");

struct dhcp6_hdr {			/* RFC 8415, 8 */
	uint8_t	type, xid[3];
};
static_assert(sizeof(struct dhcp6_hdr) == 4, "RFC 8415, 8");

enum {					/* RFC 8415, 7.3 */
	DHCP6_SOLICIT = 1, DHCP6_ADVERTISE = 2, DHCP6_REQUEST = 3,
	DHCP6_CONFIRM = 4, DHCP6_RENEW = 5, DHCP6_REBIND = 6, DHCP6_REPLY = 7,
	DHCP6_RELEASE = 8, DHCP6_DECLINE = 9, DHCP6_RECONFIGURE = 10,
	DHCP6_INFO_REQUEST = 11, DHCP6_RELAY_FORW = 12, DHCP6_RELAY_REPL = 13,
};
enum {					/* RFC 8415, 21; RFC 3646; RFC 4704 */
	DHCP6_OPT_CLIENTID = 1, DHCP6_OPT_SERVERID = 2, DHCP6_OPT_IA_NA = 3,
	DHCP6_OPT_IA_TA = 4, DHCP6_OPT_IAADDR = 5, DHCP6_OPT_ORO = 6,
	DHCP6_OPT_PREFERENCE = 7, DHCP6_OPT_STATUS = 13,
	DHCP6_OPT_RAPID_COMMIT = 14, DHCP6_OPT_DNS = 23, DHCP6_OPT_SEARCH = 24,
	DHCP6_OPT_IA_PD = 25, DHCP6_OPT_IAPREFIX = 26, DHCP6_OPT_FQDN = 39,
};
enum {					/* RFC 8415, 21.13 */
	DHCP6_SUCCESS = 0, DHCP6_NO_ADDRS = 2, DHCP6_NOT_ON_LINK = 4,
	DHCP6_USE_MULTICAST = 5, DHCP6_NO_PREFIX = 6,
};
enum { DHCP6_FQDN_S = 1, DHCP6_FQDN_O = 2, DHCP6_FQDN_N = 4 };	/* RFC 4704, 4.1 */
enum {					/* RFC 8415, 11.1, with the type */
	DHCP6_DUID_MIN = 3, DHCP6_DUID_MAX = 130, DHCP6_DUID_LL = 3,
};

struct dhcp6_opt {			/* RFC 8415, 21.1 */
	be16	code, len;
};
static_assert(sizeof(struct dhcp6_opt) == 4, "RFC 8415, 21.1");

struct dhcp6_duid_ll {			/* RFC 8415, 11.4 */
	be16	type, hw_type;
	uint8_t	mac[MAC_LEN];
};
static_assert(sizeof(struct dhcp6_duid_ll) == 10, "RFC 8415, 11.4");

struct dhcp6_ia {			/* RFC 8415, 21.4 and 21.21; options follow */
	be32	iaid, t1_s, t2_s;	/* IA_TA, 21.5: the first alone */
};
static_assert(sizeof(struct dhcp6_ia) == 12, "RFC 8415, 21.4");

struct dhcp6_iaaddr {			/* RFC 8415, 21.6; options follow */
	struct in6_addr addr;
	be32	preferred_s, valid_s;
};
static_assert(sizeof(struct dhcp6_iaaddr) == 24, "RFC 8415, 21.6");
enum { DHCP6_IAPREFIX_LEN = 25 };	/* RFC 8415, 21.22, without options */

/* struct virtio_net_hdr without the mergeable buffers' count: virtio 1.2, 5.1.6 */
struct vnet_hdr {
	uint8_t	flags;			/* VNET_F_* */
	uint8_t	gso_type;		/* VNET_GSO_* */
	uint16_t hdr_len, gso_size;	/* host order on a tun device */
	uint16_t csum_start, csum_offset;
};
static_assert(sizeof(struct vnet_hdr) == 10, "virtio 1.2, 5.1.6");

enum {
	VNET_F_NEEDS_CSUM = 1, VNET_F_DATA_VALID = 2,
	VNET_GSO_NONE = 0, VNET_GSO_TCPV4 = 1, VNET_GSO_UDP = 3,
	VNET_GSO_TCPV6 = 4, VNET_GSO_UDP_L4 = 5, VNET_GSO_ECN = 0x80,
};

/* DHCP ------------------------------------------------------------------- */

struct dhcp_msg {			/* RFC 2131, 2; RFC 951, 3 up to @cookie */
	uint8_t	op;			/* DHCP_OP_* */
	uint8_t	htype, hlen;		/* ARP_HTYPE_ETHER, MAC_LEN */
	uint8_t	hops;
	be32	xid;
	be16	secs, flags;		/* DHCP_BROADCAST, host order */
	be32	ciaddr, yiaddr, siaddr, giaddr;
	uint8_t	chaddr[16], sname[64], file[128];
	be32	cookie;			/* DHCP_COOKIE before options */
};
static_assert(sizeof(struct dhcp_msg) == 240, "RFC 2131, 2");
static_assert(offsetof(struct dhcp_msg, cookie) == 236, "RFC 951, 3");

enum {
	DHCP_OP_REQUEST = 1, DHCP_OP_REPLY = 2,
	DHCP_BROADCAST	= 0x8000,
	DHCP_COOKIE	= 0x63825363,	/* RFC 2131, 3 */
	BOOTP_MIN	= 300,		/* bytes of a message: RFC 1542, 2.1 */
	DHCP_IP_MIN	= 576,		/* of its IP packet, all take: RFC 2131, 2 */
};
enum {					/* RFC 2132, 9.6 */
	DHCP_DISCOVER = 1, DHCP_OFFER, DHCP_REQUEST, DHCP_DECLINE, DHCP_ACK,
	DHCP_NAK, DHCP_RELEASE, DHCP_INFORM,
};
enum {					/* RFC 2132 where nothing else is said */
	DHCP_OPT_PAD = 0, DHCP_OPT_MASK = 1, DHCP_OPT_ROUTER = 3,
	DHCP_OPT_DNS = 6, DHCP_OPT_HOSTNAME = 12, DHCP_OPT_DOMAIN = 15,
	DHCP_OPT_MTU = 26, DHCP_OPT_ADDR = 50, DHCP_OPT_LEASE = 51,
	DHCP_OPT_OVERLOAD = 52, DHCP_OPT_TYPE = 53, DHCP_OPT_SERVER = 54,
	DHCP_OPT_LIST = 55, DHCP_OPT_MESSAGE = 56, DHCP_OPT_MAX = 57,
	DHCP_OPT_T1 = 58, DHCP_OPT_T2 = 59, DHCP_OPT_CLIENT_ID = 61,
	DHCP_OPT_RAPID = 80,		/* RFC 4039, 4 */
	DHCP_OPT_FQDN = 81,		/* RFC 4702, 2 */
	DHCP_OPT_SEARCH = 119,		/* RFC 3397, 2 */
	DHCP_OPT_ROUTES = 121,		/* RFC 3442 */
	DHCP_OPT_END = 255,
	DHCP_OPT_LEN_MAX = 255,
};
enum {					/* DHCP_OPT_OVERLOAD: RFC 2132, 9.3 */
	DHCP_OVERLOAD_FILE = 1, DHCP_OVERLOAD_SNAME = 2,
};
enum {					/* DHCP_OPT_FQDN: RFC 4702, 2.1 */
	DHCP_FQDN_S = 0x01, DHCP_FQDN_O = 0x02, DHCP_FQDN_E = 0x04,
	DHCP_FQDN_N = 0x08,
};

#define MAC_BROADCAST	{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }

/* Largest Ethernet frame: header and an IP packet of 65535 bytes, no FCS */
#define FRAME_MAX	(sizeof(struct eth_hdr) + 65535)

#endif /* WIRE_H */
