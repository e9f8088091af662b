/** What a machine without a disk boots from, in the namespace at the far end of its cable: dnsmasq and busybox's web server. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { privately, programPath } from './debian.ts'
import type { HostNetwork } from './host-network.ts'
import { type Started, start, until } from './processes.ts'
import type { ScenarioContext } from './scenario.ts'

export interface BootServer {
  /** `http://10.0.0.1` */
  readonly url: string
  readonly dhcp: Started
  readonly web: Started
}

/**
 * Serves by DHCP one address and the URL of `boot.ipxe`, and by HTTP these files: names to their contents, or to `{ path }`.
 * `network.tap` has `address` already.
 */
export async function startBootServer(
  test: ScenarioContext,
  network: HostNetwork,
  { address, client, files }: BootOptions,
): Promise<BootServer> {
  const { tree } = test.environment
  const folder = test.socket('www')
  mkdirSync(folder)
  for (const [name, contents] of Object.entries(files)) {
    if (typeof contents === 'string') writeFileSync(join(folder, name), contents)
    else symlinkSync(contents.path, join(folder, name))
  }
  const busybox = programPath(tree, 'busybox')
  const web = start(network.inside([busybox, 'httpd', '-f', '-vv', '-p', `${address}:80`, '-h', folder]))
  test.cleanup(() => web.stop())

  const url = `http://${address}`
  const dhcp = start(
    network.inside(
      privately(tree, programPath(tree, 'dnsmasq'), [
        ...['--keep-in-foreground', '--conf-file=/dev/null', '--user=root', '--log-facility=-', '--log-dhcp'],
        ...[
          '--port=0',
          `--interface=${network.tap}`,
          '--bind-interfaces',
          `--dhcp-leasefile=${folder}.leases`,
        ],
        ...[`--dhcp-range=${client},${client}`, `--dhcp-boot=${url}/boot.ipxe`],
      ]),
    ),
  )
  test.cleanup(() => dhcp.stop())
  await until(`dnsmasq listens (${dhcp.output()})`, 10, () => /DHCP, sockets bound/.test(dhcp.output()))
  return { url, dhcp, web }
}

interface BootOptions {
  /** Of the server. */
  readonly address: string
  /** For the machine that boots. */
  readonly client: string
  readonly files: Readonly<Record<string, string | { readonly path: string }>>
}
