/** The C half of the benchmark. */
import koffi from 'koffi'

/** An address; opaque to JavaScript. */
export type Handle = bigint

/** Functions of bench/c. Handles are pointers; times are nanoseconds. */
export interface Native {
  benchNew(rings: Handle, entries: number, tails: Handle, frameBytes: number, forwarding: number): Handle
  benchFree(bench: Handle): void
  benchBegin(bench: Handle, ports: number, packets: number): void
  benchEnd(bench: Handle): number
  benchErrors(bench: Handle): number
  benchSent(bench: Handle): number
  benchPort(bench: Handle, index: number): Handle
  ixyNew(ports: Handle, memory: Handle, entries: number): Handle
  ixyFree(driver: Handle): void
  ixyForward(driver: Handle, steps: number, limit: number): number
  ixyReceive(driver: Handle, steps: number, limit: number): number
  ixyGenerate(driver: Handle, steps: number, limit: number): number
  ownNew(ports: Handle, memory: Handle, poolShift: number): Handle
  ownFree(driver: Handle): void
  ownForward(driver: Handle, steps: number, limit: number): number
  ownReceive(driver: Handle, steps: number, limit: number): number
  ownGenerate(driver: Handle, steps: number, limit: number): number
  vbenchNew(queues: Handle, stride: number, entries: number, frameBytes: number, forwarding: number): Handle
  vbenchStart(bench: Handle): void
  vbenchBegin(bench: Handle, ports: number, packets: number): void
  vbenchEnd(bench: Handle): number
  vbenchErrors(bench: Handle): number
  vbenchPort(bench: Handle, index: number): Handle
  virtioNew(ports: Handle, memory: Handle, poolShift: number): Handle
  virtioForward(driver: Handle, steps: number, limit: number): number
  virtioReceive(driver: Handle, steps: number, limit: number): number
  virtioGenerate(driver: Handle, steps: number, limit: number): number
  filterFind(library: string): Handle
  filterRun(
    filter: Handle,
    program: Handle,
    memory: Handle,
    places: Handle,
    packets: number,
    matches: Uint32Array,
  ): number
}

const PROTOTYPES: Readonly<Record<keyof Native, string>> = {
  benchNew: 'void *bench_new(void *rings, uint32_t entries, void *tails, uint32_t frame, int forwarding)',
  benchFree: 'void bench_free(void *bench)',
  benchBegin: 'void bench_begin(void *bench, uint32_t ports, uint32_t packets)',
  benchEnd: 'double bench_end(void *bench)',
  benchErrors: 'uint32_t bench_errors(void *bench)',
  benchSent: 'uint32_t bench_sent(void *bench)',
  benchPort: 'void *bench_port(void *bench, int index)',
  ixyNew: 'void *ixy_new(void *ports, void *memory, uint32_t entries)',
  ixyFree: 'void ixy_free(void *driver)',
  ixyForward: 'double ixy_forward(void *driver, uint32_t steps, uint32_t limit)',
  ixyReceive: 'double ixy_receive(void *driver, uint32_t steps, uint32_t limit)',
  ixyGenerate: 'double ixy_generate(void *driver, uint32_t steps, uint32_t limit)',
  ownNew: 'void *own_new(void *ports, void *memory, uint32_t pool_shift)',
  ownFree: 'void own_free(void *driver)',
  ownForward: 'double own_forward(void *driver, uint32_t steps, uint32_t limit)',
  ownReceive: 'double own_receive(void *driver, uint32_t steps, uint32_t limit)',
  ownGenerate: 'double own_generate(void *driver, uint32_t steps, uint32_t limit)',
  vbenchNew:
    'void *vbench_new(void *queues, uint32_t stride, uint32_t entries, uint32_t frame, int forwarding)',
  vbenchStart: 'void vbench_start(void *bench)',
  vbenchBegin: 'void vbench_begin(void *bench, uint32_t ports, uint32_t packets)',
  vbenchEnd: 'double vbench_end(void *bench)',
  vbenchErrors: 'uint32_t vbench_errors(void *bench)',
  vbenchPort: 'void *vbench_port(void *bench, int index)',
  virtioNew: 'void *virtio_new(void *ports, void *memory, uint32_t pool_shift)',
  virtioForward: 'double virtio_forward(void *driver, uint32_t steps, uint32_t limit)',
  virtioReceive: 'double virtio_receive(void *driver, uint32_t steps, uint32_t limit)',
  virtioGenerate: 'double virtio_generate(void *driver, uint32_t steps, uint32_t limit)',
  filterFind: 'void *filter_find(const char *library)',
  filterRun:
    'double filter_run(void *filter, void *program, void *memory, void *places, uint32_t packets, _Out_ uint32_t *matches)',
}

export function loadNative(path: string): Native {
  const library = koffi.load(path)
  const entries = Object.entries(PROTOTYPES).map(([name, prototype]) => [name, library.func(prototype)])
  return Object.fromEntries(entries) as Native
}
