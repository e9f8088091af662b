/* Packet memory as src/memory/packets.ts has it: a packet is a number, what is known of it stands in arrays. */
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define MAX_BATCH 256
/* Pool i feeds receive ring i; the last one is the generator's, and need not exist without it. */
#define POOLS 3
#define BUFFER_SHIFT 11

struct memory {
	uint8_t *u8;
	uint64_t *iova;
	uint16_t *size, *stack;
	int32_t top[POOLS];
	uint32_t pool_shift;
};

/* Packet data is staggered over the cache's sets. */
static inline size_t data_offset(uint32_t id) { return ((size_t)id << BUFFER_SHIFT) + 64 + ((id & 7) << 6); }

/* `data`: POOLS << pool_shift buffers; the card sees them from `iova` on. All are free, and 60 bytes long. */
static inline void memory_open(struct memory *memory, uint8_t *data, uint64_t iova, uint32_t pool_shift) {
	const uint32_t count = POOLS << pool_shift;
	memory->u8 = data;
	memory->iova = malloc(count * sizeof(uint64_t));
	memory->size = calloc(count, sizeof(uint16_t));
	memory->stack = malloc(count * sizeof(uint16_t));
	memory->pool_shift = pool_shift;
	for (uint32_t id = 0; id < count; id++) {
		const uint32_t base = id >> pool_shift << pool_shift;
		memory->iova[id] = iova + data_offset(id);
		memory->stack[base + (1u << pool_shift) - 1 - (id - base)] = (uint16_t)id;
		memory->size[id] = 60;
	}
	for (int i = 0; i < POOLS; i++) memory->top[i] = 1 << pool_shift;
}

static inline void memory_close(struct memory *memory) {
	free(memory->iova);
	free(memory->size);
	free(memory->stack);
}

static inline uint32_t memory_take(struct memory *memory, uint32_t pool) {
	return memory->stack[(pool << memory->pool_shift) + --memory->top[pool]];
}

static inline void memory_give(struct memory *memory, uint32_t id) {
	const uint32_t pool = id >> memory->pool_shift;
	memory->stack[(pool << memory->pool_shift) + memory->top[pool]++] = (uint16_t)id;
}

#endif
