/* A stand-in for two 82599 with one queue pair each, and the clock. See nic.c. */
#ifndef BENCH_NIC_H
#define BENCH_NIC_H

#include <stdint.h>
#include <time.h>

/* An advanced descriptor, either format, either direction (82599 7.1.6, 7.2.3.2). */
struct descriptor {
	uint64_t address;
	uint32_t command; /* receive: error and status; transmit: DCMD, DTYP, length */
	uint32_t status;  /* receive: VLAN, length; transmit: PAYLEN, STA */
};

#define DD 0x1u
#define RX_EOP 0x2u
#define TX_RS (1u << 27)
/* DEXT, IFCS, EOP, DTYP data */
#define TX_COMMAND ((1u << 29) | (1u << 25) | (1u << 24) | (3u << 20))
#define TX_PAYLEN_SHIFT 14
/* What a descriptor is; a context; which context counts and what is asked of the card (82599 7.2.3.2.4). */
#define TX_DTYP (0xfu << 20)
#define TX_CONTEXT (0x2u << 20)
#define TX_OFFLOADS 0x3f0u

#define TOUCHED_BYTE 48

struct port {
	struct descriptor *rx, *tx;
	uint32_t entries;
	/* The tail registers, written by the driver. */
	volatile uint32_t *rdt, *tdt;
	/* The card's own side. */
	uint32_t rdh, tdh;
	uint32_t received, sent;
	uint32_t errors;
};

static inline double now_ns(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static inline uint32_t read_status(const uint32_t *word) {
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void ring_doorbell(volatile uint32_t *tail, uint32_t value) {
	__atomic_store_n(tail, value, __ATOMIC_RELEASE);
}

#endif
