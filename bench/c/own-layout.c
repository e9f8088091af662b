/*
 * A driver with this project's memory layout and algorithm, statement for statement what src/driver/intel/rx-ring.ts,
 * tx-ring.ts and src/memory/packets.ts do: a packet is a number, what is known of it stands in arrays, packet data is
 * staggered over the cache's sets, one status is asked for per batch.
 */
#include "nic.h"
#include "pools.h"

#include <sched.h>

struct rx {
	struct descriptor *descriptors;
	volatile uint32_t *tail;
	uint16_t *ids;
	uint32_t mask, index, pool;
	uint64_t packets, bytes, pool_empty;
};

struct tx {
	struct descriptor *descriptors;
	volatile uint32_t *tail;
	uint16_t *ids, *batch_end;
	uint32_t mask, index, oldest;
	uint64_t packets, bytes;
};

struct own {
	struct memory memory;
	struct rx rx[2];
	struct tx tx[2];
	uint32_t sequence;
};

static struct own *own_open(const struct port *ports, uint8_t *data, uint64_t iova, uint32_t pool_shift) {
	struct own *own = calloc(1, sizeof *own);
	struct memory *memory = &own->memory;
	memory_open(memory, data, iova, pool_shift);
	for (uint32_t i = 0; i < 2; i++) {
		const uint32_t entries = ports[i].entries;
		struct rx *rx = &own->rx[i];
		*rx = (struct rx){.descriptors = ports[i].rx, .tail = ports[i].rdt, .mask = entries - 1, .pool = i};
		rx->ids = malloc(entries * sizeof(uint16_t));
		for (uint32_t d = 0; d < entries; d++) {
			rx->ids[d] = (uint16_t)memory_take(memory, i);
			rx->descriptors[d] = (struct descriptor){.address = memory->iova[rx->ids[d]]};
		}
		ring_doorbell(rx->tail, rx->mask);
		struct tx *tx = &own->tx[i];
		*tx = (struct tx){.descriptors = ports[i].tx, .tail = ports[i].tdt, .mask = entries - 1};
		tx->ids = malloc(entries * sizeof(uint16_t));
		tx->batch_end = malloc(entries * sizeof(uint16_t));
	}
	return own;
}

struct own *own_new(struct port *ports, uint8_t *data, uint32_t pool_shift) {
	return own_open(ports, data, (uint64_t)data, pool_shift);
}

/*
 * For cards that somebody else has set up. `where`: of each port the receive ring, the transmit ring, RDT and TDT. The
 * generator's pool need not exist.
 */
struct own *own_attach(const uint64_t *where, uint32_t entries, uint8_t *data, uint64_t iova,
                       uint32_t pool_shift) {
	struct port ports[2] = {0};
	for (int i = 0; i < 2; i++, where += 4) {
		ports[i].rx = (struct descriptor *)where[0];
		ports[i].tx = (struct descriptor *)where[1];
		ports[i].rdt = (volatile uint32_t *)where[2];
		ports[i].tdt = (volatile uint32_t *)where[3];
		ports[i].entries = entries;
	}
	return own_open(ports, data, iova, pool_shift);
}

void own_free(struct own *own) {
	for (int i = 0; i < 2; i++) {
		free(own->rx[i].ids);
		free(own->tx[i].ids);
		free(own->tx[i].batch_end);
	}
	memory_close(&own->memory);
	free(own);
}

static uint32_t rx_batch(struct memory *memory, struct rx *restrict rx, int32_t *restrict batch, uint32_t limit) {
	const uint32_t mask = rx->mask, pool = rx->pool;
	uint16_t *restrict ids = rx->ids, *restrict stack = memory->stack + (pool << memory->pool_shift);
	uint16_t *restrict size = memory->size;
	const uint64_t *restrict iova = memory->iova;
	uint32_t index = rx->index, count = 0;
	uint64_t bytes = 0;
	int32_t top = memory->top[pool];
	while (count < limit) {
		struct descriptor *descriptor = rx->descriptors + index;
		const uint32_t status = read_status(&descriptor->command);
		if (!(status & DD)) break;
		if (!(status & RX_EOP) || top == 0) abort();
		const uint32_t length = descriptor->status & 0xffff;
		const uint16_t id = ids[index], fresh = stack[--top];
		ids[index] = fresh;
		size[id] = (uint16_t)length;
		batch[count++] = id;
		bytes += length;
		descriptor->address = iova[fresh];
		descriptor->command = 0;
		descriptor->status = 0;
		index = (index + 1) & mask;
	}
	if (count == 0) return 0;
	memory->top[pool] = top;
	rx->index = index;
	rx->packets += count;
	rx->bytes += bytes;
	ring_doorbell(rx->tail, (index - 1) & mask);
	return count;
}

static void tx_clean(struct memory *memory, struct tx *restrict tx) {
	const uint32_t mask = tx->mask, index = tx->index, shift = memory->pool_shift;
	uint32_t oldest = tx->oldest;
	const uint16_t *restrict ids = tx->ids;
	uint16_t *restrict stack = memory->stack;
	if (oldest == index || !(read_status(&tx->descriptors[tx->batch_end[oldest]].status) & DD)) return;
	uint32_t pool = ids[oldest] >> shift;
	int32_t top = memory->top[pool];
	do {
		const uint32_t end = (tx->batch_end[oldest] + 1) & mask;
		do {
			const uint16_t id = ids[oldest];
			if ((uint32_t)id >> shift != pool) {
				memory->top[pool] = top;
				pool = id >> shift;
				top = memory->top[pool];
			}
			stack[(pool << shift) + top++] = id;
			oldest = (oldest + 1) & mask;
		} while (oldest != end);
	} while (oldest != index && (read_status(&tx->descriptors[tx->batch_end[oldest]].status) & DD));
	memory->top[pool] = top;
	tx->oldest = oldest;
}

static uint32_t tx_room(struct memory *memory, struct tx *tx) {
	tx_clean(memory, tx);
	return (tx->oldest - tx->index - 1) & tx->mask;
}

static uint32_t tx_batch(struct memory *memory, struct tx *restrict tx, const int32_t *restrict batch,
                         uint32_t count) {
	const uint32_t mask = tx->mask;
	uint32_t accepted = (tx->oldest - tx->index - 1) & mask;
	if (accepted < count) accepted = tx_room(memory, tx);
	if (accepted > count) accepted = count;
	if (accepted == 0) return 0;
	uint16_t *restrict ids = tx->ids;
	const uint16_t *restrict size = memory->size;
	const uint64_t *restrict iova = memory->iova;
	uint32_t index = tx->index, last = index;
	const uint32_t first = index;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < accepted; i++) {
		const uint32_t id = (uint32_t)batch[i], length = size[id];
		struct descriptor *descriptor = tx->descriptors + index;
		ids[index] = (uint16_t)id;
		descriptor->address = iova[id];
		descriptor->command = TX_COMMAND | length;
		descriptor->status = length << TX_PAYLEN_SHIFT;
		bytes += length;
		last = index;
		index = (index + 1) & mask;
	}
	tx->descriptors[last].command |= TX_RS;
	tx->batch_end[first] = (uint16_t)last;
	tx->index = index;
	tx->packets += accepted;
	tx->bytes += bytes;
	ring_doorbell(tx->tail, index);
	return accepted;
}

#include "loops.h"

/* Empty polls in a row after which the CPU is offered to others, as in src/engine/sleeper.ts. */
#define PATIENCE 2000

/* Forwards until *stop is not 0. */
void own_run(struct own *own, const uint32_t *stop, uint32_t limit) {
	struct memory *memory = &own->memory;
	uint32_t idle = 0;
	while (read_status(stop) == 0) {
		const uint32_t there = move(memory, &own->rx[0], &own->tx[1], limit);
		const uint32_t back = move(memory, &own->rx[1], &own->tx[0], limit);
		if (there + back > 0) {
			idle = 0;
		} else if (++idle == PATIENCE) {
			idle = 0;
			sched_yield();
		}
	}
}

double own_forward(struct own *own, uint32_t steps, uint32_t limit) {
	return forward(&own->memory, own->rx, own->tx, steps, limit);
}

double own_receive(struct own *own, uint32_t steps, uint32_t limit) {
	return receive_only(&own->memory, own->rx, steps, limit);
}

double own_generate(struct own *own, uint32_t steps, uint32_t limit) {
	return generate(&own->memory, own->tx, &own->sequence, steps, limit);
}
