/* A stand-in for two virtio network cards with one pair of split queues each. See virtio-device.c. */
#ifndef BENCH_VIRTIO_H
#define BENCH_VIRTIO_H

#include "nic.h"

/* virtio 1.2 2.7.5 to 2.7.8 */
struct vq_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct vq_available {
	uint16_t flags, index;
	uint16_t ring[];
};

struct vq_used {
	uint16_t flags, index;
	struct {
		uint32_t id, length;
	} ring[];
};

#define VQ_WRITE 2
/* Available ring: no interrupts. Used ring: no doorbells. */
#define VQ_QUIET 1
/* In front of each packet (5.1.6), with num_buffers in its last two bytes. */
#define HEADER_BYTES 12

struct virtqueue {
	struct vq_descriptor *descriptors;
	struct vq_available *available;
	struct vq_used *used;
	uint32_t entries;
	/* The card's own side, modulo 2^16. */
	uint16_t done;
};

struct virtio_port {
	struct virtqueue rx, tx;
	uint32_t received, sent, errors;
};

#endif
