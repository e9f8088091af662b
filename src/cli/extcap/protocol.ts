/**
 * The protocol by which Wireshark asks a program for its interfaces, and captures by it (extcap(4)): options in, lines of
 * `word {key=value}…` on stdout, packets through a FIFO.
 */
import type { NicInfo } from '../../pci/nics.ts'
import { usageError } from '../../option-values.ts'
import { VERSION } from '../../version.ts'

/** The interface whose device is an option of it. */
export const CHOSEN = 'ixy-ts'
const PREFIX = `${CHOSEN}-`
/** What that is without the option: something to look at without a card. */
export const DEFAULT_DEVICE = 'virtual:gen,rate=1kpps'

/** What it calls itself, and its interfaces: the cards that can be used now, and one whose device is an option. */
export function interfaceLines(nics: readonly Pick<NicInfo, 'address' | 'model' | 'obstacle'>[]): string[] {
  return [
    `extcap {version=${VERSION}}{display=ixy-ts}`,
    ...nics
      .filter(({ obstacle }) => obstacle === null)
      .map(
        ({ address, model }) =>
          `interface {value=${PREFIX}${address}}{display=ixy-ts: ${plain(model)}, ${address}}`,
      ),
    `interface {value=${CHOSEN}}{display=ixy-ts: any device}`,
  ]
}

export const DLT_LINES: readonly string[] = ['dlt {number=1}{name=EN10MB}{display=Ethernet}']

/** The options of an interface. */
export function configLines(name: string): string[] {
  const queues =
    'arg {number=1}{call=--queues}{display=Queues}{type=integer}{range=1,16}{default=1}' +
    '{tooltip=Receive queues, a worker each}'
  if (name !== CHOSEN) return [queues]
  return [
    `arg {number=0}{call=--device}{display=Device}{type=string}{default=${DEFAULT_DEVICE}}` +
      '{tooltip=PCI address, vfio-user:<socket>, vhost-user:<socket>, tap:<interface> or virtual:<wire>}',
    queues,
  ]
}

/** The device behind an interface; `chosen`: what its option says. Throws IXY_ERR_USAGE if there is no such interface. */
export function deviceOf(name: string, chosen: string | undefined): string {
  if (name === CHOSEN) return chosen ?? DEFAULT_DEVICE
  if (name.startsWith(PREFIX)) return name.slice(PREFIX.length)
  throw usageError(`extcap: there is no interface ${name}`, `give ${CHOSEN} or ${PREFIX}<PCI address>`)
}

/** Braces would end a value. */
function plain(text: string): string {
  return text.replaceAll(/[{}\n]/g, ' ')
}
