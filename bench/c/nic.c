/*
 * Plays two network cards between the timed parts of the benchmark: fills the receive rings, sends what is in the
 * transmit rings, and checks that it is what should be there. Device addresses are the process's own.
 *
 * The timed part lies between bench_begin() and bench_end().
 */
#include "nic.h"

#include <stdlib.h>
#include <string.h>

struct bench {
	struct port port[2];
	uint32_t frame_bytes;
	/* The driver is to forward from each port to the other, having touched each packet. */
	int forwarding;
	double began;
};

struct bench *bench_new(uint8_t *rings, uint32_t entries, volatile uint32_t *tails, uint32_t frame_bytes,
                        int forwarding) {
	struct bench *bench = calloc(1, sizeof *bench);
	struct descriptor *descriptors = (struct descriptor *)rings;
	for (int i = 0; i < 2; i++) {
		struct port *port = &bench->port[i];
		port->rx = descriptors + (2 * i) * entries;
		port->tx = descriptors + (2 * i + 1) * entries;
		port->entries = entries;
		port->rdt = tails + 2 * i;
		port->tdt = tails + 2 * i + 1;
	}
	bench->frame_bytes = frame_bytes;
	bench->forwarding = forwarding;
	return bench;
}

void bench_free(struct bench *bench) { free(bench); }

/* Receives up to `limit` packets. Returns how many: fewer if the driver has not armed enough descriptors. */
static uint32_t receive(struct port *port, uint32_t bytes, uint32_t limit) {
	const uint32_t mask = port->entries - 1;
	const uint32_t tail = *port->rdt & mask;
	uint32_t head = port->rdh, count = 0;
	for (; head != tail && count < limit; head = (head + 1) & mask, count++) {
		struct descriptor *descriptor = port->rx + head;
		uint8_t *packet = (uint8_t *)descriptor->address;
		memset(packet, 0, bytes);
		memcpy(packet + 52, &port->received, 4);
		packet[TOUCHED_BYTE] = (uint8_t)port->received;
		port->received++;
		descriptor->address = 0;
		descriptor->status = bytes;
		__atomic_store_n(&descriptor->command, DD | RX_EOP, __ATOMIC_RELEASE);
	}
	port->rdh = head;
	return count;
}

/* Sends everything up to the tail and checks it. `from`: the port it must have come in by, or null. */
static void transmit(struct port *port, uint32_t bytes, int forwarding) {
	const uint32_t mask = port->entries - 1;
	const uint32_t tail = *port->tdt & mask;
	uint32_t head = port->tdh;
	for (; head != tail; head = (head + 1) & mask) {
		struct descriptor *descriptor = port->tx + head;
		const uint8_t *packet = (const uint8_t *)descriptor->address;
		/* A context says what packets look like, and is none. */
		if ((descriptor->command & TX_DTYP) == TX_CONTEXT) continue;
		int bad = (descriptor->command & ~TX_RS) != (TX_COMMAND | bytes) ||
		          (descriptor->status & ~TX_OFFLOADS) != bytes << TX_PAYLEN_SHIFT;
		if (forwarding && !bad) {
			uint32_t sequence;
			memcpy(&sequence, packet + 52, 4);
			bad = sequence != port->sent || packet[TOUCHED_BYTE] != (uint8_t)(sequence + 1);
		}
		port->errors += bad != 0;
		port->sent++;
		if (descriptor->command & TX_RS) __atomic_store_n(&descriptor->status, DD, __ATOMIC_RELEASE);
	}
	port->tdh = head;
}

/* Sends what the driver has put into the rings, receives `packets` at each of the first `ports`, starts the clock. */
void bench_begin(struct bench *bench, uint32_t ports, uint32_t packets) {
	for (uint32_t i = 0; i < 2; i++) {
		struct port *port = &bench->port[i];
		transmit(port, bench->frame_bytes, bench->forwarding);
		if (i < ports) port->errors += packets - receive(port, bench->frame_bytes, packets);
	}
	bench->began = now_ns();
}

/* Nanoseconds since the end of bench_begin(). */
double bench_end(struct bench *bench) { return now_ns() - bench->began; }

/* Packets that didn't come out as they should. */
uint32_t bench_errors(const struct bench *bench) { return bench->port[0].errors + bench->port[1].errors; }

uint32_t bench_sent(const struct bench *bench) { return bench->port[0].sent + bench->port[1].sent; }

struct port *bench_port(struct bench *bench, int index) { return &bench->port[index]; }
