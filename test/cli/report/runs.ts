/** Runs as `--json` writes them. */

export const HOSTILE = 'virtual:gen</script><img src=x onerror="alert(1)">'

export function start(command = 'forward', device = HOSTILE): object {
  const info = { device, index: 0, model: 'X', mac: '02:00:00:00:00:01', access: 'vfio-user', linkUp: true }
  return {
    event: 'start',
    time: '2026-01-02T03:04:05.067Z',
    version: '0.1.0',
    command,
    devices: [{ ...info, linkMbit: 10_000 }],
  }
}

/** Of one device that receives as many packets of 60 bytes as it sends. `total`: packets since the start. */
export function interval(
  elapsed: number,
  seconds: number,
  packets: number,
  total: number,
  missed = 0,
): object {
  const traffic = { packets, bytes: packets * 60 }
  const all = { packets: total, bytes: total * 60 }
  return {
    ...{ event: 'interval', elapsed, seconds, device: HOSTILE, index: 0, queue: null },
    ...{ rx: traffic, tx: traffic, dropped: { missed } },
    total: { rx: all, tx: all, dropped: { missed } },
  }
}

export function end(elapsed: number, packets: number, more: object = {}): object {
  const perSecond = packets / elapsed
  const direction = {
    ...{ packets, bytes: packets * 60, packetsPerSecond: perSecond, bitsPerSecond: perSecond * 672 },
    ...{ peakPacketsPerSecond: perSecond, peakBitsPerSecond: perSecond * 672 },
  }
  return {
    ...{ event: 'end', elapsed, activeSeconds: elapsed },
    devices: [
      { device: HOSTILE, index: 0, queue: null, rx: direction, tx: direction, dropped: { missed: 0 } },
    ],
    ...{ reason: 'duration', error: null },
    ...more,
  }
}

export function ndjson(...objects: readonly object[]): string {
  return objects.map((object) => `${JSON.stringify(object)}\n`).join('')
}
