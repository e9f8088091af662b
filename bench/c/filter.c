/* libpcap's interpreter of filter programs, as an application calls it: once per packet. */
#include <dlfcn.h>
#include <sys/time.h>
#include "nic.h"

/* As in <pcap/pcap.h>, which need not be installed. */
struct packet_header {
	struct timeval time;
	uint32_t captured, wire;
};

typedef int (*offline_filter)(const void *program, const struct packet_header *header, const uint8_t *packet);

/* 0 without libpcap. */
void *filter_find(const char *library) {
	void *handle = dlopen(library, RTLD_NOW);
	return handle == NULL ? NULL : dlsym(handle, "pcap_offline_filter");
}

/* Returns nanoseconds for all packets: of packet i, places[2 i] is where it is in memory and places[2 i + 1] its length. */
double filter_run(void *function, const void *program, const uint8_t *memory, const uint32_t *places, uint32_t packets, uint32_t *matches) {
	const offline_filter matches_filter = (offline_filter)function;
	struct packet_header header = { { 0, 0 }, 0, 0 };
	uint32_t found = 0;
	const double began = now_ns();
	for (uint32_t i = 0; i < packets; i++) {
		header.captured = header.wire = places[2 * i + 1];
		found += matches_filter(program, &header, memory + places[2 * i]) != 0;
	}
	const double ended = now_ns();
	*matches = found;
	return ended - began;
}
