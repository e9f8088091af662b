/*
 * VXLAN, Geneve and IP in UDP (FOU) over IPv4 in C, on this project's memory layout, with the checks and the order of src/apps/tunnel:
 * into the tunnel (enter.ts, wrap.ts) and out of it (leave.ts, deliver.ts). What has arguments `kind` and
 * `tagging`, whether the network has a VLAN, is compiled once for each.
 */
#include "nic.h"
#include "pools.h"

#include <string.h>

#define ETHERNET 14
#define UDP_AT 34
#define MOST_HEADERS 50
enum { VXLAN, GENEVE, FOU };
#define HEADERS(kind) ((kind) == FOU ? 42 : MOST_HEADERS)
#define PER_KIND static inline __attribute__((always_inline))

struct tunnel {
	uint8_t *u8;
	uint16_t *size;
	/* The headers of one network: ready but for what differs from packet to packet. */
	uint8_t header[MOST_HEADERS];
	uint32_t ip_sum, pseudo_sum;
	uint8_t mac[6], local[4], remote[4];
	/* FOU: Ethernet addresses of what comes out, which is for this end again. */
	uint8_t inner[12];
	uint32_t vni, port, longest, checksum, kind;
	/* Of the network, 0: none. */
	uint32_t vlan;
	uint16_t by_vlan[4096];
};

static const uint8_t ecn_table[16] = {0, 0, 0, 4, 1, 1, 1, 3, 2, 1, 2, 3, 3, 3, 3, 3};

static inline uint32_t be16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

static inline void put16(uint8_t *at, uint32_t value) {
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t fold(uint64_t sum) {
	while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

/* Native byte order, turned round at the end (RFC 1071 2 B). */
static inline uint32_t sum_words(const uint8_t *at, uint32_t bytes) {
	uint64_t sum = 0;
	for (; bytes >= 4; bytes -= 4, at += 4) {
		uint32_t word;
		memcpy(&word, at, 4);
		sum += word;
	}
	if (bytes & 2) {
		uint16_t half;
		memcpy(&half, at, 2);
		sum += half;
		at += 2;
	}
	if (bytes & 1) sum += *at;
	return __builtin_bswap16((uint16_t)fold(sum));
}

/* `inner_mac`: of this end, for FOU. */
struct tunnel *tunnel_new(uint8_t *u8, uint16_t *size, const uint8_t *header, const uint8_t *inner_mac, uint32_t kind,
			  uint32_t vni, uint32_t vlan, uint32_t checksum) {
	struct tunnel *tunnel = calloc(1, sizeof *tunnel);
	tunnel->u8 = u8;
	tunnel->size = size;
	tunnel->kind = kind;
	memcpy(tunnel->inner, inner_mac, 6);
	memcpy(tunnel->inner + 6, inner_mac, 6);
	memcpy(tunnel->header, header, HEADERS(kind));
	tunnel->vlan = vlan;
	if (vlan != 0) tunnel->by_vlan[vlan] = 1;
	tunnel->port = be16(header + UDP_AT + 2);
	tunnel->ip_sum = sum_words(header + ETHERNET, 20);
	tunnel->pseudo_sum = 17 + sum_words(header + ETHERNET + 12, 8);
	/* The other end is in the same memory: what is sent to it comes from us. */
	memcpy(tunnel->mac, header, 6);
	memcpy(tunnel->remote, header + 26, 4);
	memcpy(tunnel->local, header + 30, 4);
	tunnel->vni = vni;
	tunnel->checksum = checksum;
	tunnel->longest = 1514;
	return tunnel;
}

void tunnel_free(struct tunnel *tunnel) { free(tunnel); }

static inline uint32_t hash_words(const uint8_t *at, uint32_t words, uint32_t seed) {
	uint32_t hash = seed ^ 0x811c9dc5;
	for (uint32_t i = 0; i < words; i++) {
		uint32_t word;
		memcpy(&word, at + 4 * i, 4);
		hash ^= word;
		hash = (hash << 15 | hash >> 17) * 0x01000193;
	}
	return hash;
}

static inline uint32_t finish(uint32_t hash) {
	const uint32_t once = (hash ^ hash >> 16) * 0x85ebca6b;
	return once ^ once >> 13;
}

static uint32_t hash_frame(const uint8_t *frame, const uint8_t *at, uint32_t type, uint32_t left) {
	if (type == 0x0800 && left >= 20) {
		const uint32_t header = (at[0] & 0xf) << 2, protocol = at[9];
		const uint32_t hash = hash_words(at + 12, 2, protocol);
		if ((be16(at + 6) & 0x3fff) != 0 || left < header + 4 ||
		    (protocol != 6 && protocol != 17 && protocol != 132))
			return finish(hash);
		return finish(hash_words(at + header, 1, hash));
	}
	if (type == 0x86dd && left >= 40) {
		const uint32_t hash = hash_words(at + 8, 8, at[6]);
		if (left < 44 || (at[6] != 6 && at[6] != 17 && at[6] != 132)) return finish(hash);
		return finish(hash_words(at + 40, 1, hash));
	}
	return finish(hash_words(frame, 3, type));
}

/* Bytes of an IP packet as its header says, 0: it is none. */
static inline uint32_t ip_bytes(const uint8_t *at, uint32_t type, uint32_t left) {
	if (type == 0x0800) {
		const uint32_t header = (at[0] & 0xf) << 2, bytes = be16(at + 2);
		return left >= 20 && at[0] >> 4 == 4 && header >= 20 && bytes >= header && bytes <= left ? bytes : 0;
	}
	const uint32_t bytes = 40 + be16(at + 4);
	return left >= 40 && at[0] >> 4 == 6 && bytes <= left ? bytes : 0;
}

PER_KIND int enter(struct tunnel *tunnel, uint32_t id, const uint32_t kind, const uint32_t tagging) {
	const uint32_t headers = HEADERS(kind);
	uint8_t *start = tunnel->u8 + data_offset(id);
	uint32_t bytes = tunnel->size[id];
	if (bytes < ETHERNET) return -1;
	uint32_t type = be16(start + 12), tagged = 0;
	uint8_t *at = start + ETHERNET;
	if (type == 0x8100 && bytes >= 18) {
		tagged = tunnel->by_vlan[be16(start + 14) & 0xfff];
		type = be16(start + 16);
		at += 4;
	}
	/* There is one network. */
	if (tagged != tagging) return -1;
	uint32_t left = bytes - (uint32_t)(at - start);
	uint8_t *from = start;
	if (kind == FOU) {
		/* It has a port for IPv4 only. */
		if (memcmp(start, tunnel->inner, 6) != 0 || type != 0x0800) return -1;
		left = bytes = ip_bytes(at, type, left);
		if (bytes == 0) return -1;
		from = at;
	}
	if (headers + bytes - (kind == FOU ? 0 : tagging << 2) > tunnel->longest) return -1;
	uint32_t class = 0;
	if (type == 0x0800 && left >= 20) class = at[1];
	else if (type == 0x86dd && left >= 40) class = (at[0] & 0xf) << 4 | at[1] >> 4;
	const uint32_t hash = hash_frame(start, at, type, left);
	if (kind != FOU && tagging) {
		memmove(start + 4, start, 12);
		from += 4;
		bytes -= 4;
	}
	memmove(start + headers, from, bytes);
	memcpy(start, tunnel->header, headers);
	tunnel->size[id] = (uint16_t)(headers + bytes);
	uint8_t *ip = start + ETHERNET, *udp = start + UDP_AT;
	const uint32_t length = headers - ETHERNET + bytes, datagram = length - 20;
	class &= 3;
	ip[1] |= class;
	put16(ip + 2, length);
	put16(ip + 10, ~fold(tunnel->ip_sum + class + length));
	udp[0] = 0xc0 | (hash & 0x3f);
	udp[1] = (uint8_t)(hash >> 8);
	put16(udp + 4, datagram);
	if (!tunnel->checksum) return 0;
	const uint32_t sent = ~fold(tunnel->pseudo_sum + datagram + sum_words(udp, datagram)) & 0xffff;
	put16(udp + 6, sent == 0 ? 0xffff : sent);
	return 0;
}

PER_KIND int leave(struct tunnel *tunnel, uint32_t id, const uint32_t kind, const uint32_t tagging) {
	uint8_t *start = tunnel->u8 + data_offset(id);
	const uint32_t size = tunnel->size[id];
	if (size < ETHERNET || memcmp(start, tunnel->mac, 6) != 0 || be16(start + 12) != 0x0800) return -1;
	uint8_t *ip = start + ETHERNET;
	const uint32_t left = size - ETHERNET, header = (ip[0] & 0xf) << 2, length = be16(ip + 2);
	if (left < 20 || ip[0] >> 4 != 4 || header < 20 || length < header || length > left) return -1;
	if (sum_words(ip, header) != 0xffff || memcmp(ip + 16, tunnel->local, 4) != 0) return -1;
	if ((be16(ip + 6) & 0x3fff) != 0 || ip[9] != 17) return -1;
	uint8_t *udp = ip + header;
	const uint32_t room = length - header, datagram = be16(udp + 4);
	if (room < 8 || datagram < 8 || datagram > room || be16(udp + 2) != tunnel->port) return -1;
	if (be16(udp + 6) != 0) {
		const uint32_t sum = fold(17 + datagram + sum_words(ip + 12, 8) + sum_words(udp, datagram));
		if (sum != 0xffff) return -1;
	}
	const uint32_t outer = ip[1] & 3;
	uint8_t *from = udp + 8, *at = from;
	uint32_t bytes = datagram - 8, type = 0x0800;
	if (kind == FOU) {
		if (memcmp(ip + 12, tunnel->remote, 4) != 0 || bytes < 20) return -1;
		bytes = ip_bytes(from, type, bytes);
		if (bytes == 0) return -1;
	} else {
		if (bytes < 8) return -1;
		uint32_t tunnel_bytes = 8;
		if (kind == VXLAN) {
			if ((from[0] & 0x08) == 0) return -1;
		} else {
			/* Another version, a message for this end itself, or no frame; an option that nobody may ignore. */
			if (from[0] >> 6 != 0 || (from[1] & 0x80) != 0 || be16(from + 2) != 0x6558) return -1;
			tunnel_bytes = 8 + ((from[0] & 0x3fu) << 2);
			if (tunnel_bytes > bytes || (from[1] & 0x40) != 0) return -1;
		}
		if ((uint32_t)(from[4] << 16 | from[5] << 8 | from[6]) != tunnel->vni) return -1;
		if (memcmp(ip + 12, tunnel->remote, 4) != 0) return -1;
		from += tunnel_bytes;
		bytes -= tunnel_bytes;
		if (bytes < ETHERNET) return -1;
		at = from + ETHERNET;
		type = be16(at - 2);
		if (type == 0x8100 && bytes >= 18) {
			at += 4;
			type = be16(at - 2);
		}
	}
	const uint32_t inside = (uint32_t)(from + bytes - at);
	if (outer != 0 && ((type == 0x0800 && inside >= 20) || (type == 0x86dd && inside >= 40))) {
		const uint32_t before = type == 0x0800 ? at[1] & 3u : at[1] >> 4 & 3u;
		const uint32_t after = ecn_table[before << 2 | outer];
		if (after == 4) return -1;
		if (after != before && type == 0x0800) {
			at[1] = (uint8_t)((at[1] & 0xfc) | after);
			put16(at + 10, ~fold((~be16(at + 10) & 0xffff) + (~before & 0xffff) + after));
		} else if (after != before) at[1] = (uint8_t)((at[1] & 0xcf) | after << 4);
	}
	const uint32_t tag = tagging << 2, bare = kind == FOU ? ETHERNET : 0;
	memmove(start + bare + tag, from, bytes);
	if (kind == FOU) memcpy(start, tunnel->inner, 12);
	else if (tag) memmove(start, start + 4, 12);
	if (tag) {
		put16(start + 12, 0x8100);
		put16(start + 14, tunnel->vlan);
	}
	if (kind == FOU) put16(start + 12 + tag, type);
	tunnel->size[id] = (uint16_t)(bare + tag + bytes);
	return 0;
}

#define FOR_ALL(way, kind, tagging) \
	for (uint32_t i = 0; i < count; i++) bad |= way(tunnel, (uint32_t)ids[i], kind, tagging)
#define EITHER(way, kind) \
	if (tunnel->vlan == 0) FOR_ALL(way, kind, 0); \
	else FOR_ALL(way, kind, 1)

/* Nanoseconds for all of `ids`; -1 if one has not gone through. */
double tunnel_enter(struct tunnel *tunnel, const int32_t *ids, uint32_t count) {
	int bad = 0;
	const double began = now_ns();
	if (tunnel->kind == FOU) {
		EITHER(enter, FOU);
	} else if (tunnel->kind == GENEVE) {
		EITHER(enter, GENEVE);
	} else {
		EITHER(enter, VXLAN);
	}
	return bad ? -1 : now_ns() - began;
}

double tunnel_leave(struct tunnel *tunnel, const int32_t *ids, uint32_t count) {
	int bad = 0;
	const double began = now_ns();
	if (tunnel->kind == FOU) {
		EITHER(leave, FOU);
	} else if (tunnel->kind == GENEVE) {
		EITHER(leave, GENEVE);
	} else {
		EITHER(leave, VXLAN);
	}
	return bad ? -1 : now_ns() - began;
}
