import { Tool, childrenOf, ixy, objects } from './support.ts'

interface End {
  reason: string
  elapsed: number
  error: { code: string; message: string } | null
  devices: { rx: { packets: number }; tx: { packets: number }; dropped: Record<string, number> }[]
  virtual: { wires: { wire: string; counters: Record<string, number> }[]; breaches: unknown[] }[]
}

function endOf(stdout: string): End {
  return objects(stdout, 'end')[0] as unknown as End
}

/** Counters of the wire that starts with `name` on device `index`. */
function wire(end: End, index: number, name: string): Record<string, number> {
  const found = end.virtual[index].wires.find((report) => report.wire.startsWith(name))
  if (found === undefined) throw new Error(`no wire ${name} in ${JSON.stringify(end.virtual)}`)
  return found.counters
}

test.each(['ts', 'wasm'])(
  'between two generators nothing is lost, duplicated, reordered or corrupted, and no rule broken (%s)',
  async (backend) => {
    const { code, stdout } = await ixy(
      'forward',
      '--json',
      'virtual:gen',
      'virtual:gen',
      '--duration',
      '0.3',
      '--backend',
      backend,
    )
    const end = endOf(stdout)
    expect(code).toBe(0)
    expect(end.reason).toBe('duration')
    for (const index of [0, 1]) {
      const counters = wire(end, index, 'gen')
      expect(counters['sent']).toBeGreaterThan(10_000)
      expect(counters).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 })
      expect(end.virtual[index].breaches).toEqual([])
    }
    const sent = wire(end, 0, 'gen')['sent'] + wire(end, 1, 'gen')['sent']
    const received = wire(end, 0, 'gen')['received'] + wire(end, 1, 'gen')['received']
    expect(received).toBe(sent)
    expect(end.devices.reduce((sum, { tx }) => sum + tx.packets, 0)).toBe(sent)
  },
)

test('what a wire drops is what the summary says is lost, and the same each time', async () => {
  const run = async (): Promise<[number, number]> => {
    const args = ['forward', '--json', 'virtual:gen,count=200000,fault=drop=0.01+seed=1', 'virtual:sink']
    const { code, stdout } = await ixy(...args)
    expect(code).toBe(0)
    const end = endOf(stdout)
    const fault = wire(end, 0, 'fault')
    return [fault['inDropped'], wire(end, 0, 'gen')['lost']]
  }
  const [dropped, lost] = await run()
  expect(dropped).toBeGreaterThan(1800)
  expect(dropped).toBeLessThan(2200)
  expect(lost).toBe(dropped)
  expect(await run()).toEqual([dropped, lost])
})

test('duplicates, reordering and corruption are each seen for what they are', async () => {
  const args = [
    '--json',
    'virtual:gen,count=100000,fault=dup=0.01+reorder=0.01+corrupt=0.01+seed=7',
    'virtual:sink',
  ]
  const { stdout } = await ixy('forward', ...args)
  const { duplicated, reordered, corrupted } = wire(endOf(stdout), 0, 'gen')
  for (const count of [duplicated, reordered, corrupted]) {
    expect(count).toBeGreaterThan(500)
    expect(count).toBeLessThan(1500)
  }
})

test('a link that flaps is reported, survived, and traffic resumes', async () => {
  const tool = new Tool([
    ...['forward', '--json', '-i', '0.1', '--mode', 'adaptive'],
    ...['virtual:gen,rate=10kpps,fault=linkflap=200ms', 'virtual:sink'],
  ])
  await tool.until(/"event":"link".*"up":false/)
  await tool.until(/"event":"link".*"up":true/)
  const seen = objects(tool.stdout).length
  await tool.until(new RegExp(`^(.*\n){${seen + 2},}.*"event":"interval"`))
  const { code, stdout } = await tool.kill()
  expect(code).toBe(0)
  const after = objects(stdout)
    .slice(seen)
    .filter((object) => object['event'] === 'interval') as { rx: { packets: number } }[]
  expect(after.some(({ rx }) => rx.packets > 0)).toBe(true)
})

test('what nobody could take when the other link went down is lost, and each frame of it has a name', async () => {
  const { code, stdout } = await ixy(
    'forward',
    '--json',
    'virtual:gen,rate=50kpps',
    'virtual:sink,fault=linkflap=200ms/60s',
    '--duration',
    '0.6',
  )
  expect(code).toBe(0)
  const end = endOf(stdout)
  const [{ dropped }] = end.devices
  expect(dropped['missed']).toBeGreaterThan(0)
  expect(dropped['rx_buffered']).toBeGreaterThan(1000)
  const named = end.devices.flatMap((device) => Object.values(device.dropped))
  named.push(wire(end, 1, 'fault')['lostUnplugged'])
  expect(named.reduce((sum, count) => sum + count)).toBe(wire(end, 0, 'gen')['lost'])
})

test('when the process of the virtual NICs is killed, forward ends within 2 s with exit 1 and one line', async () => {
  const tool = new Tool(['forward', 'virtual:gen', 'virtual:gen', '-i', '0.1'])
  await tool.until(/RX:/)
  const children = childrenOf(tool.pid)
  expect(children.length).toBe(1)
  const killed = performance.now()
  process.kill(children[0], 'SIGKILL')
  const { code, stderr } = await tool.end()
  expect(performance.now() - killed).toBeLessThan(2000)
  expect(code).toBe(1)
  expect(stderr.split('\n').filter((line) => line.includes('IXY_ERR_DEVICE_GONE')).length).toBe(1)
})
