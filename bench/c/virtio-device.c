/*
 * Plays two virtio cards between the timed parts, as nic.c plays two 82599: buffers are mergeable and used in order, doorbells
 * aren't wanted, as of a device that polls. Device addresses are the process's own.
 */
#include "virtio.h"

#include <stdlib.h>
#include <string.h>

struct virtio_bench {
	struct virtio_port port[2];
	uint32_t frame_bytes;
	int forwarding;
	double began;
};

static uint64_t round_up(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/* Where the parts of a queue at `at` are: as src/driver/virtio/layout.ts has them. */
static struct virtqueue queue_at(uint8_t *at, uint32_t entries) {
	const uint64_t available = 16ull * entries;
	struct virtqueue queue = {.descriptors = (struct vq_descriptor *)at,
	                          .available = (struct vq_available *)(at + available),
	                          .used = (struct vq_used *)(at + round_up(available + 6 + 2 * entries, 4096)),
	                          .entries = entries};
	queue.used->flags = VQ_QUIET;
	return queue;
}

/* `queues`: four, receive and transmit of each card in turn, `stride` bytes apart, zero. */
struct virtio_bench *vbench_new(uint8_t *queues, uint32_t stride, uint32_t entries, uint32_t frame_bytes, int forwarding) {
	struct virtio_bench *bench = calloc(1, sizeof *bench);
	for (int i = 0; i < 2; i++) {
		bench->port[i].rx = queue_at(queues + (size_t)(2 * i) * stride, entries);
		bench->port[i].tx = queue_at(queues + (size_t)(2 * i + 1) * stride, entries);
	}
	bench->frame_bytes = frame_bytes;
	bench->forwarding = forwarding;
	return bench;
}

/* The driver has written its side of the queues, which are the cards' from now on. */
void vbench_start(struct virtio_bench *bench) {
	for (int i = 0; i < 2; i++) bench->port[i].rx.used->flags = bench->port[i].tx.used->flags = VQ_QUIET;
}

static int has_next(const struct virtqueue *queue) {
	return __atomic_load_n(&queue->available->index, __ATOMIC_ACQUIRE) != queue->done;
}

static struct vq_descriptor *next(const struct virtqueue *queue, uint32_t *head) {
	*head = queue->available->ring[queue->done & (queue->entries - 1)];
	return queue->descriptors + *head;
}

static void use(struct virtqueue *queue, uint32_t head, uint32_t length) {
	const uint32_t at = queue->done & (queue->entries - 1);
	queue->used->ring[at].id = head;
	queue->used->ring[at].length = length;
	queue->done++;
	__atomic_store_n(&queue->used->index, queue->done, __ATOMIC_RELEASE);
}

static uint32_t receive(struct virtio_port *port, uint32_t bytes, uint32_t limit) {
	struct virtqueue *queue = &port->rx;
	uint32_t count = 0;
	for (; count < limit && has_next(queue); count++) {
		uint32_t head;
		struct vq_descriptor *descriptor = next(queue, &head);
		uint8_t *header = (uint8_t *)descriptor->address, *packet = header + HEADER_BYTES;
		if (descriptor->flags != VQ_WRITE || descriptor->length < HEADER_BYTES + bytes) port->errors++;
		memset(header, 0, HEADER_BYTES + bytes);
		header[HEADER_BYTES - 2] = 1;
		memcpy(packet + 52, &port->received, 4);
		packet[TOUCHED_BYTE] = (uint8_t)port->received;
		port->received++;
		use(queue, head, HEADER_BYTES + bytes);
	}
	return count;
}

static void transmit(struct virtio_port *port, uint32_t bytes, int forwarding) {
	static const uint8_t nothing[HEADER_BYTES];
	struct virtqueue *queue = &port->tx;
	while (has_next(queue)) {
		uint32_t head;
		const struct vq_descriptor *descriptor = next(queue, &head);
		const uint8_t *header = (const uint8_t *)descriptor->address, *packet = header + HEADER_BYTES;
		int bad = descriptor->flags != 0 || descriptor->length != HEADER_BYTES + bytes ||
		          memcmp(header, nothing, HEADER_BYTES) != 0;
		if (forwarding && !bad) {
			uint32_t sequence;
			memcpy(&sequence, packet + 52, 4);
			bad = sequence != port->sent || packet[TOUCHED_BYTE] != (uint8_t)(sequence + 1);
		}
		port->errors += bad != 0;
		port->sent++;
		use(queue, head, 0);
	}
}

/* See nic.c. */
void vbench_begin(struct virtio_bench *bench, uint32_t ports, uint32_t packets) {
	for (uint32_t i = 0; i < 2; i++) {
		struct virtio_port *port = &bench->port[i];
		transmit(port, bench->frame_bytes, bench->forwarding);
		if (i < ports) port->errors += packets - receive(port, bench->frame_bytes, packets);
	}
	bench->began = now_ns();
}

double vbench_end(struct virtio_bench *bench) { return now_ns() - bench->began; }

uint32_t vbench_errors(const struct virtio_bench *bench) { return bench->port[0].errors + bench->port[1].errors; }

struct virtio_port *vbench_port(struct virtio_bench *bench, int index) { return &bench->port[index]; }
