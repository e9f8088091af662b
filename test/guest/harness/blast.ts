/** UDP by Linux's own packet generator (pktgen), which sends as fast as the card takes frames: a flood for another guest. */
import type { LinuxNic } from './linux-nic.ts'

/** Longer than a flood at the speed of TCG takes, and than what it is held up. */
const SECONDS = 90

export interface Target {
  readonly address: string
  readonly mac: string
}

/** Sends `count` datagrams in frames of `bytes`. Resolves when the card has taken all of them. */
export async function blast(from: LinuxNic, to: Target, count: number, bytes: number): Promise<void> {
  const proc = '/proc/net/pktgen'
  const settings = [
    ...[`count ${count}`, `pkt_size ${bytes}`, 'delay 0', 'clone_skb 0'],
    ...[`dst ${to.address}`, `dst_mac ${to.mac}`, 'udp_dst_min 9', 'udp_dst_max 9'],
  ]
  await from.guest.sh(
    [
      'set -e',
      'load pktgen',
      `echo rem_device_all > ${proc}/kpktgend_0`,
      `echo "add_device ${from.name}" > ${proc}/kpktgend_0`,
      ...settings.map((line) => `echo "${line}" > ${proc}/${from.name}`),
      // Returns when it is done.
      `echo start > ${proc}/pgctrl`,
    ].join('\n'),
    SECONDS,
  )
}
