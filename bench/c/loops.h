/*
 * What is measured, for a driver with struct rx and struct tx, rx_batch(), tx_room() and tx_batch(): include it behind them.
 * Each returns nanoseconds. See ixy-layout.c for what they do.
 */
#include "nic.h"
#include "pools.h"

static uint32_t move(struct memory *memory, struct rx *rx, struct tx *tx, uint32_t limit) {
	int32_t batch[MAX_BATCH];
	const uint32_t room = tx_room(memory, tx);
	const uint32_t received = rx_batch(memory, rx, batch, room < limit ? room : limit);
	if (received == 0) return 0;
	for (uint32_t i = 0; i < received; i++) memory->u8[data_offset((uint32_t)batch[i]) + TOUCHED_BYTE]++;
	return tx_batch(memory, tx, batch, received);
}

static double forward(struct memory *memory, struct rx *rx, struct tx *tx, uint32_t steps, uint32_t limit) {
	const double began = now_ns();
	for (uint32_t i = 0; i < steps; i++) {
		move(memory, &rx[0], &tx[1], limit);
		move(memory, &rx[1], &tx[0], limit);
	}
	return now_ns() - began;
}

static double receive_only(struct memory *memory, struct rx *rx, uint32_t steps, uint32_t limit) {
	int32_t batch[MAX_BATCH];
	const double began = now_ns();
	for (uint32_t i = 0; i < steps; i++) {
		const uint32_t received = rx_batch(memory, rx, batch, limit);
		for (uint32_t k = 0; k < received; k++) memory_give(memory, (uint32_t)batch[k]);
	}
	return now_ns() - began;
}

static double generate(struct memory *memory, struct tx *tx, uint32_t *sequence, uint32_t steps, uint32_t limit) {
	int32_t batch[MAX_BATCH];
	const uint32_t pool = POOLS - 1;
	const double began = now_ns();
	for (uint32_t i = 0; i < steps; i++) {
		uint32_t wanted = tx_room(memory, tx);
		if (wanted > limit) wanted = limit;
		if (wanted > (uint32_t)memory->top[pool]) wanted = (uint32_t)memory->top[pool];
		for (uint32_t k = 0; k < wanted; k++) {
			const uint32_t id = memory_take(memory, pool);
			batch[k] = (int32_t)id;
			*(uint32_t *)(memory->u8 + data_offset(id) + memory->size[id] - 4) = (*sequence)++;
		}
		tx_batch(memory, tx, batch, wanted);
	}
	return now_ns() - began;
}
