import { isIP } from 'node:net'
import { usageError } from '../../errors.ts'

export interface ListenAddress {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** As the user wrote it. */
  readonly text: string
}

/** Reads `9977`, `127.0.0.1:9977`, `[::1]:9977`, `localhost:0`. Only a port is one of this machine alone. Throws IXY_ERR_USAGE. */
export function listenAddress(text: string): ListenAddress {
  const match = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text)
  const [, v6, name, digits] = match ?? []
  const host = v6 ?? (name === undefined || name === '' ? '127.0.0.1' : name)
  const port = Number(digits)
  const valid = v6 === undefined ? isIP(host) === 4 || /^[a-z][\w.-]*$/i.test(host) : isIP(host) === 6
  if (match !== null && valid && port < 65_536) return { host, port, text }
  throw usageError(
    `--listen ${text} is not valid`,
    'give a port (9977), or an address and a port: 127.0.0.1:9977, [::1]:9977, 0.0.0.0:9977 for everyone who can reach this machine',
  )
}
