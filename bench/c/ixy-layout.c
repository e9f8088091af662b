/*
 * A driver with the memory layout and the algorithm of ixy (C): a metadata header in front of each packet, in the same
 * 2 KiB buffer; an array of buffer pointers per batch; a status asked for every transmitted packet; freed in groups of
 * 32. Written for this benchmark from the datasheet and from the description of ixy's structures.
 */
#include "nic.h"

#include <stdlib.h>

#define BUFFER_BYTES 2048
#define FREE_GROUP 32
#define MAX_BATCH 256

struct pool;

struct packet {
	uint64_t iova;
	struct pool *pool;
	uint32_t index;
	uint32_t size;
	uint8_t headroom[40];
	uint8_t data[];
};
_Static_assert(sizeof(struct packet) == 64, "the header takes one cache line");

struct pool {
	uint8_t *base;
	uint32_t entries;
	uint32_t top;
	uint32_t stack[];
};

struct queue {
	struct descriptor *descriptors;
	volatile uint32_t *tail;
	struct pool *pool;
	uint16_t entries, index, clean;
	struct packet *packets[4096];
};

struct ixy {
	struct queue rx[2], tx[2];
	/* Of the generator. */
	struct pool *pool;
	uint32_t sequence;
};

static struct pool *new_pool(uint8_t *memory, uint32_t entries) {
	struct pool *pool = malloc(sizeof *pool + entries * sizeof pool->stack[0]);
	pool->base = memory;
	pool->entries = pool->top = entries;
	for (uint32_t i = 0; i < entries; i++) {
		struct packet *packet = (struct packet *)(memory + (size_t)i * BUFFER_BYTES);
		packet->iova = (uint64_t)packet;
		packet->pool = pool;
		packet->index = i;
		packet->size = 0;
		pool->stack[i] = i;
	}
	return pool;
}

static inline struct packet *allocate(struct pool *pool) {
	if (pool->top == 0) return NULL;
	return (struct packet *)(pool->base + (size_t)pool->stack[--pool->top] * BUFFER_BYTES);
}

static inline void release(struct packet *packet) {
	struct pool *pool = packet->pool;
	pool->stack[pool->top++] = packet->index;
}

/* `memory`: three pools of `entries` buffers: one per receive ring, one for the generator. */
struct ixy *ixy_new(struct port *ports, uint8_t *memory, uint32_t entries) {
	struct ixy *ixy = calloc(1, sizeof *ixy);
	for (int i = 0; i < 2; i++) {
		struct queue *rx = &ixy->rx[i], *tx = &ixy->tx[i];
		*rx = (struct queue){.descriptors = ports[i].rx, .tail = ports[i].rdt, .entries = ports[i].entries};
		*tx = (struct queue){.descriptors = ports[i].tx, .tail = ports[i].tdt, .entries = ports[i].entries};
		rx->pool = new_pool(memory + (size_t)i * entries * BUFFER_BYTES, entries);
		for (uint32_t d = 0; d < rx->entries; d++) {
			rx->packets[d] = allocate(rx->pool);
			rx->descriptors[d].address = rx->packets[d]->iova + sizeof(struct packet);
			rx->descriptors[d].command = rx->descriptors[d].status = 0;
		}
		ring_doorbell(rx->tail, rx->entries - 1);
	}
	ixy->pool = new_pool(memory + (size_t)2 * entries * BUFFER_BYTES, entries);
	for (uint32_t i = 0; i < entries; i++) ((struct packet *)(ixy->pool->base + (size_t)i * BUFFER_BYTES))->size = 60;
	return ixy;
}

void ixy_free(struct ixy *ixy) {
	free(ixy->rx[0].pool);
	free(ixy->rx[1].pool);
	free(ixy->pool);
	free(ixy);
}

static uint32_t rx_batch(struct queue *rx, struct packet *batch[], uint32_t limit) {
	const uint16_t mask = rx->entries - 1;
	uint16_t index = rx->index, last = index;
	uint32_t count = 0;
	for (; count < limit; count++) {
		struct descriptor *descriptor = rx->descriptors + index;
		const uint32_t status = read_status(&descriptor->command);
		if (!(status & DD)) break;
		if (!(status & RX_EOP)) abort();
		struct packet *packet = rx->packets[index];
		packet->size = descriptor->status & 0xffff;
		struct packet *fresh = allocate(rx->pool);
		if (!fresh) abort();
		descriptor->address = fresh->iova + sizeof(struct packet);
		descriptor->command = 0;
		descriptor->status = 0;
		rx->packets[index] = fresh;
		batch[count] = packet;
		last = index;
		index = (index + 1) & mask;
	}
	if (index != last) {
		ring_doorbell(rx->tail, last);
		rx->index = index;
	}
	return count;
}

static uint32_t tx_batch(struct queue *tx, struct packet *batch[], uint32_t limit) {
	const uint16_t mask = tx->entries - 1;
	uint16_t clean = tx->clean;
	while (((tx->index - clean) & mask) >= FREE_GROUP) {
		const uint16_t end = (clean + FREE_GROUP - 1) & mask;
		if (!(read_status(&tx->descriptors[end].status) & DD)) break;
		for (;;) {
			release(tx->packets[clean]);
			if (clean == end) break;
			clean = (clean + 1) & mask;
		}
		clean = (end + 1) & mask;
	}
	tx->clean = clean;

	uint32_t count = 0;
	uint16_t index = tx->index;
	for (; count < limit; count++) {
		const uint16_t next = (index + 1) & mask;
		if (next == clean) break;
		struct packet *packet = batch[count];
		struct descriptor *descriptor = tx->descriptors + index;
		tx->packets[index] = packet;
		descriptor->address = packet->iova + sizeof(struct packet);
		descriptor->command = TX_COMMAND | TX_RS | packet->size;
		descriptor->status = packet->size << TX_PAYLEN_SHIFT;
		index = next;
	}
	tx->index = index;
	ring_doorbell(tx->tail, index);
	return count;
}

static void move(struct queue *rx, struct queue *tx, uint32_t limit) {
	struct packet *batch[MAX_BATCH];
	const uint32_t received = rx_batch(rx, batch, limit);
	if (received == 0) return;
	for (uint32_t i = 0; i < received; i++) batch[i]->data[TOUCHED_BYTE]++;
	const uint32_t sent = tx_batch(tx, batch, received);
	for (uint32_t i = sent; i < received; i++) release(batch[i]);
}

/* `steps` times up to `limit` packets from each port to the other. Returns nanoseconds. */
double ixy_forward(struct ixy *ixy, uint32_t steps, uint32_t limit) {
	const double began = now_ns();
	for (uint32_t i = 0; i < steps; i++) {
		move(&ixy->rx[0], &ixy->tx[1], limit);
		move(&ixy->rx[1], &ixy->tx[0], limit);
	}
	return now_ns() - began;
}

/* `steps` times up to `limit` packets out of port 0's ring, straight back to their pool. */
double ixy_receive(struct ixy *ixy, uint32_t steps, uint32_t limit) {
	struct packet *batch[MAX_BATCH];
	const double began = now_ns();
	for (uint32_t i = 0; i < steps; i++) {
		const uint32_t received = rx_batch(&ixy->rx[0], batch, limit);
		for (uint32_t k = 0; k < received; k++) release(batch[k]);
	}
	return now_ns() - began;
}

/* `steps` times `limit` packets of 60 bytes with a sequence number in their last four, out of port 0. */
double ixy_generate(struct ixy *ixy, uint32_t steps, uint32_t limit) {
	struct packet *batch[MAX_BATCH];
	const double began = now_ns();
	for (uint32_t i = 0; i < steps; i++) {
		uint32_t count = 0;
		while (count < limit && (batch[count] = allocate(ixy->pool)) != NULL) count++;
		for (uint32_t k = 0; k < count; k++) *(uint32_t *)(batch[k]->data + batch[k]->size - 4) = ixy->sequence++;
		const uint32_t sent = tx_batch(&ixy->tx[0], batch, count);
		for (uint32_t k = sent; k < count; k++) release(batch[k]);
	}
	return now_ns() - began;
}
