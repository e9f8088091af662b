/** Somebody who moves packets. */
import { execFileSync } from 'node:child_process'
import type { Place } from './place.ts'
import type { Sample } from './sample.ts'

/** A program, and the package of Debian that has it. */
export interface Program {
  readonly program: string
  readonly package: string
}

export const DPDK: Program = { program: 'dpdk-testpmd', package: 'dpdk' }
export const TCPREPLAY: Program = { program: 'tcpreplay', package: 'tcpreplay' }

export interface Contestant {
  readonly name: string
  readonly needs: readonly Program[]
  /** Starts it, samples it for so many seconds, stops it, and compares what both ends have counted. */
  measure(place: Place, seconds: number): Promise<Sample>
}

export function installed({ program }: Program): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
