import koffi from 'koffi'
import * as library from '../../src/linux/pcap-library.ts'
import { describeIf, missing } from '../skip.ts'

const { compileFilter } = library

describeIf(missing({ libpcap: true }), 'libpcap as the compiler of filters', () => {
  test('makes a program, which is plain data', () => {
    const program = compileFilter('ip proto 17')
    expect(structuredClone(program)).toEqual(program)
    // ldh [12]; jeq #0x800; ldb [23]; jeq #17; ret; ret
    expect(program.instructions.map(({ code }) => code)).toEqual([0x28, 0x15, 0x30, 0x15, 0x06, 0x06])
    expect(program.instructions.map(({ k }) => k)).toEqual([12, 0x800, 23, 17, 262_144, 0])
    expect(program.instructions[1]).toMatchObject({ jt: 0, jf: 3 })
    expect(compileFilter('').instructions).toEqual([{ code: 6, jt: 0, jf: 0, k: 262_144 }])
  })

  test.each([
    [
      'tcp prot 80',
      /^filter 'tcp prot 80': can't parse filter expression: syntax error; see man pcap-filter/,
    ],
    ['port 65536', /illegal port number 65536 > 65535/],
    ['tcp and udp', /expression rejects all packets/],
    ['ip broadcast', /netmask not known/],
    ['port nosuchport', /unknown port 'nosuchport'/],
    ['ip[0', /syntax error/],
    ['(', /syntax error/],
    ['ip or inbound', /the kernel's to know/],
    ['ifindex 1', /the kernel's to know/],
    ['ip\0', /no zero bytes/],
  ])('says what is wrong with %j, in one line', (expression, message) => {
    expect(() => compileFilter(expression)).toThrow(
      expect.objectContaining({ code: 'IXY_ERR_USAGE', message: expect.stringMatching(message) as string }),
    )
    expect(() => compileFilter(expression)).toThrow(/^[^\n]*$/)
  })
})

test('without libpcap, what to install is said', () => {
  jest.isolateModules(() => {
    jest.doMock('koffi', () => {
      const load = (name: string | null): unknown => koffi.load(name === null ? null : `lacking-${name}`)
      return { __esModule: true, default: { ...koffi, load } }
    })
    const lacking = jest.requireActual<typeof library>('../../src/linux/pcap-library.ts')
    expect(() => lacking.compileFilter('ip')).toThrow(
      expect.objectContaining({
        code: 'IXY_ERR_SYSTEM',
        exitCode: 4,
        message: expect.stringMatching(/libpcap.so.0.8.*sudo apt install libpcap0.8$/) as string,
      }),
    )
  })
})
