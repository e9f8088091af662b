/** Wireshark's own programs capture with ixy-ts. As an ordinary user: for root they look for programs in one folder only. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import path from 'node:path'
import { describeIf, ixy, LAUNCHER, missing, temporaryDirectory, testIf } from './support.ts'
import { nodeObstacle, ORDINARY_USER } from './unpacked.ts'

const directory = temporaryDirectory()
const extcap = path.join(directory, 'extcap')

/** As the ordinary user, with nothing of this machine's configuration. */
function asUser(program: string, ...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(program, args, {
    ...ORDINARY_USER,
    cwd: '/',
    encoding: 'utf8',
    timeout: 60_000,
    env: {
      ...process.env,
      HOME: directory,
      TMPDIR: directory,
      WIRESHARK_EXTCAP_DIR: extcap,
      IXY_TS_RUNTIME_DIR: path.join(directory, 'run'),
    },
  })
}

const readable = (): string | null => {
  if (asUser(process.execPath, LAUNCHER, '--version').status !== 0)
    return "an ordinary user can't run ixy-ts here"
  return nodeObstacle()
}

describeIf(missing({ programs: ['tshark'] }) ?? readable(), 'tshark', () => {
  beforeAll(async () => {
    chmodSync(directory, 0o777)
    expect((await ixy('extcap', '--install', extcap)).code).toBe(0)
    expect(existsSync(path.join(extcap, 'ixy-ts'))).toBe(true)
  })

  test('has ixy-ts in its list', () => {
    expect(asUser('tshark', '-D').stdout).toMatch(/^\d+\. ixy-ts \(ixy-ts: any device\)$/m)
  })

  test('captures from a device of the user, through a filter, and stops by itself', () => {
    const device = 'virtual:gen,rate=2kpps,size=200,flows=4'
    const { status, stdout } = asUser(
      'tshark',
      ...['-i', 'ixy-ts', '-o', `extcap.ixy_ts.device:${device}`, '-f', 'udp src port 43', '-c', '100'],
      ...['-T', 'fields', '-e', 'frame.len', '-e', 'udp.srcport'],
    )
    expect(status).toBe(0)
    expect(stdout).toBe('200\t43\n'.repeat(100))
  })

  test('is told what is wrong, and ends', () => {
    const { stderr, error } = asUser('tshark', '-i', 'ixy-ts', '-f', 'udp foo', '-c', '1')
    expect(error).toBeUndefined()
    expect(stderr).toMatch(/can't parse filter expression.*IXY_ERR_USAGE/)
    const device = asUser('tshark', '-i', 'ixy-ts', '-o', 'extcap.ixy_ts.device:virtual:nonsense', '-c', '1')
    expect(device.error).toBeUndefined()
    expect(device.stderr).toMatch(/'nonsense' is not a wire.*IXY_ERR_USAGE/)
  })
})

testIf(
  missing({ libpcap: true }),
  'a filter that is none is complained of, one that is one is not',
  async () => {
    const check = (filter: string) =>
      ixy('extcap', '--extcap-interface', 'ixy-ts', '--extcap-capture-filter', filter)
    expect(await check('udp port 53')).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect((await check('udp foo')).stdout).toMatch(/syntax error/)
  },
)
