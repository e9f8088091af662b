/** Runs that tell what a test wants, over sockets of their own. */
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { serveTelemetry } from '../../../src/engine/telemetry.ts'
import type { DeviceCounters, DeviceInfo, Sample } from '../../../src/engine/types.ts'

export function info(index: number, device: string): DeviceInfo {
  const model = 'Intel 82599ES 10GbE SFP+'
  return {
    index,
    device,
    model,
    mac: `52:54:00:00:00:0${index}`,
    access: 'vfio',
    linkUp: true,
    linkMbit: 10_000,
  }
}

export function counters(
  { index, device }: DeviceInfo,
  packets: number,
  queue: number | null = null,
): DeviceCounters {
  const traffic = { packets, bytes: packets * 60 }
  return {
    index,
    device,
    queue,
    rx: traffic,
    tx: traffic,
    dropped: { missed: packets / 10, crc: packets / 1000 },
  }
}

/** A directory in which runs are found, and the samples that they give next. */
export class Runs {
  readonly directory = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
  private readonly servers: { close(): void }[] = []

  async start(command: string, devices: readonly DeviceInfo[], sample: () => Sample): Promise<void> {
    this.servers.push(await serveTelemetry(this.directory, { command, version: '1.2.3', devices }, sample))
  }

  /** Ends the run that was started last. */
  end(): void {
    this.servers.pop()?.close()
  }

  close(): void {
    for (const server of this.servers) server.close()
    rmSync(this.directory, { recursive: true })
  }
}
