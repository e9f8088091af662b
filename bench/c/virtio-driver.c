/*
 * A virtio driver with this project's memory layout and algorithm, as own-layout.c is one for the 82599: what
 * src/driver/virtio/split-rx.ts and split-tx.ts do with mergeable buffers, the header in front of the packet.
 */
#include "pools.h"
#include "virtio.h"

struct rx {
	struct vq_descriptor *descriptors;
	struct vq_available *available;
	struct vq_used *used;
	uint16_t *ids;
	uint32_t mask, pool;
	uint16_t taken;
	uint64_t packets, bytes;
};

struct tx {
	struct vq_descriptor *descriptors;
	struct vq_available *available;
	struct vq_used *used;
	/* Behind each slot; and free slots: the one that is offered as number n stands at n modulo their number. */
	uint16_t *ids, *free;
	uint32_t mask;
	uint16_t offered, taken;
	uint64_t packets, bytes, done_packets, done_bytes;
};

struct virtio {
	struct memory memory;
	struct rx rx[2];
	struct tx tx[2];
	uint32_t sequence;
};

#define LONGEST 1518

struct virtio *virtio_new(struct virtio_port *ports, uint8_t *data, uint32_t pool_shift) {
	struct virtio *driver = calloc(1, sizeof *driver);
	struct memory *memory = &driver->memory;
	memory_open(memory, data, (uint64_t)data, pool_shift);
	for (uint32_t i = 0; i < 2; i++) {
		const uint32_t entries = ports[i].rx.entries;
		const struct virtqueue *queue = &ports[i].rx;
		struct rx *rx = &driver->rx[i];
		*rx = (struct rx){.descriptors = queue->descriptors,
		                  .available = queue->available,
		                  .used = queue->used,
		                  .mask = entries - 1,
		                  .pool = i};
		rx->ids = malloc(entries * sizeof(uint16_t));
		for (uint32_t slot = 0; slot < entries; slot++) {
			const uint32_t id = memory_take(memory, i);
			rx->ids[slot] = (uint16_t)id;
			rx->descriptors[slot] = (struct vq_descriptor){
				.address = memory->iova[id] - HEADER_BYTES, .length = HEADER_BYTES + LONGEST, .flags = VQ_WRITE};
			rx->available->ring[slot] = (uint16_t)slot;
		}
		rx->available->flags = VQ_QUIET;
		__atomic_store_n(&rx->available->index, (uint16_t)entries, __ATOMIC_RELEASE);
		queue = &ports[i].tx;
		struct tx *tx = &driver->tx[i];
		*tx = (struct tx){.descriptors = queue->descriptors,
		                  .available = queue->available,
		                  .used = queue->used,
		                  .mask = entries - 1};
		tx->ids = malloc(entries * sizeof(uint16_t));
		tx->free = malloc(entries * sizeof(uint16_t));
		for (uint32_t slot = 0; slot < entries; slot++) tx->free[slot] = (uint16_t)slot;
		tx->available->flags = VQ_QUIET;
	}
	return driver;
}

static uint16_t used_index(const struct vq_used *used) { return __atomic_load_n(&used->index, __ATOMIC_ACQUIRE); }

/* The stand-in never wants a doorbell; a driver has to ask, behind a barrier, as the index must be out before. */
static void publish(struct vq_available *available, const struct vq_used *used, uint16_t index) {
	__atomic_store_n(&available->index, index, __ATOMIC_SEQ_CST);
	if (!(__atomic_load_n(&used->flags, __ATOMIC_RELAXED) & VQ_QUIET)) abort();
}

static uint32_t rx_batch(struct memory *memory, struct rx *restrict rx, int32_t *restrict batch, uint32_t limit) {
	const uint32_t mask = rx->mask, pool = rx->pool, slots = mask + 1;
	const uint16_t first = rx->taken;
	uint32_t count = (uint16_t)(used_index(rx->used) - first);
	if (count > limit) count = limit;
	if (count == 0) return 0;
	if (memory->top[pool] < (int32_t)count) abort();
	uint16_t *restrict ids = rx->ids, *restrict size = memory->size;
	const uint16_t *restrict stack = memory->stack + (pool << memory->pool_shift);
	const uint64_t *restrict iova = memory->iova;
	int32_t top = memory->top[pool];
	uint64_t bytes = 0;
	uint32_t odd = 0, parts = 0;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t at = first + i;
		const uint32_t slot = rx->used->ring[at & mask].id & mask;
		const uint32_t length = rx->used->ring[at & mask].length - HEADER_BYTES;
		const uint16_t id = ids[slot], fresh = stack[--top];
		ids[slot] = fresh;
		size[id] = (uint16_t)length;
		batch[i] = id;
		bytes += length;
		odd |= length - 1;
		parts |= *(const uint16_t *)(memory->u8 + data_offset(id) - 2) ^ 1u;
		rx->descriptors[slot].address = iova[fresh] - HEADER_BYTES;
		rx->available->ring[(at + slots) & mask] = (uint16_t)slot;
	}
	if (odd >= LONGEST || parts != 0) abort();
	memory->top[pool] = top;
	rx->taken = (uint16_t)(first + count);
	rx->packets += count;
	rx->bytes += bytes;
	publish(rx->available, rx->used, (uint16_t)(rx->taken + slots));
	return count;
}

static uint32_t tx_room(struct memory *memory, struct tx *restrict tx) {
	const uint32_t mask = tx->mask, shift = memory->pool_shift;
	const uint16_t from = tx->taken;
	const uint32_t count = (uint16_t)(used_index(tx->used) - from);
	if (count == 0) return mask - (uint16_t)(tx->offered - from);
	const uint16_t *restrict ids = tx->ids, *restrict size = memory->size;
	uint16_t *restrict stack = memory->stack, *restrict slots = tx->free;
	uint32_t pool = ids[tx->used->ring[from & mask].id & mask] >> shift;
	int32_t top = memory->top[pool];
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t slot = tx->used->ring[(from + i) & mask].id & mask;
		const uint16_t id = ids[slot];
		if ((uint32_t)id >> shift != pool) {
			memory->top[pool] = top;
			pool = id >> shift;
			top = memory->top[pool];
		}
		bytes += size[id];
		stack[(pool << shift) + top++] = id;
		slots[(from + i) & mask] = (uint16_t)slot;
	}
	memory->top[pool] = top;
	tx->taken = (uint16_t)(from + count);
	tx->done_packets += count;
	tx->done_bytes += bytes;
	return mask - (uint16_t)(tx->offered - tx->taken);
}

static uint32_t tx_batch(struct memory *memory, struct tx *restrict tx, const int32_t *restrict batch,
                         uint32_t count) {
	const uint32_t mask = tx->mask;
	uint32_t accepted = mask - (uint16_t)(tx->offered - tx->taken);
	if (accepted < count) accepted = tx_room(memory, tx);
	if (accepted > count) accepted = count;
	if (accepted == 0) return 0;
	uint16_t *restrict ids = tx->ids;
	const uint16_t *restrict size = memory->size, *restrict slots = tx->free;
	const uint64_t *restrict iova = memory->iova;
	const uint16_t first = tx->offered;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < accepted; i++) {
		const uint32_t id = (uint32_t)batch[i], length = size[id], slot = slots[(first + i) & mask];
		ids[slot] = (uint16_t)id;
		tx->descriptors[slot].address = iova[id] - HEADER_BYTES;
		tx->descriptors[slot].length = length + HEADER_BYTES;
		uint32_t *header = (uint32_t *)(memory->u8 + data_offset(id) - HEADER_BYTES);
		header[0] = header[1] = header[2] = 0;
		tx->available->ring[(first + i) & mask] = (uint16_t)slot;
		bytes += length;
	}
	tx->offered = (uint16_t)(first + accepted);
	tx->packets += accepted;
	tx->bytes += bytes;
	publish(tx->available, tx->used, tx->offered);
	return accepted;
}

#include "loops.h"

double virtio_forward(struct virtio *driver, uint32_t steps, uint32_t limit) {
	return forward(&driver->memory, driver->rx, driver->tx, steps, limit);
}

double virtio_receive(struct virtio *driver, uint32_t steps, uint32_t limit) {
	return receive_only(&driver->memory, driver->rx, steps, limit);
}

double virtio_generate(struct virtio *driver, uint32_t steps, uint32_t limit) {
	return generate(&driver->memory, driver->tx, &driver->sequence, steps, limit);
}
