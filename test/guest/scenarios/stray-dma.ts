/**
 * A program for the guest that sends two frames through VFIO: one from memory that it has mapped for the card, one from
 * an address of the guest's memory that it has not.
 */
export const STRAY_DMA = `
const koffi = require('koffi')
const libc = koffi.load('libc.so.6')
const openFile = libc.func('int open(const char *, int, int)')
const ioctl = libc.func('int ioctl(int, unsigned long, void *)')
const ioctlInt = libc.func('int ioctl(int, unsigned long, long)')
const mmap = libc.func('void *mmap(void *, size_t, int, int, int, int64_t)')
const pread = libc.func('long pread(int, void *, size_t, int64_t)')
const pwrite = libc.func('long pwrite(int, void *, size_t, int64_t)')
const ok = (result, what) => {
  if (result < 0) throw new Error(what + ': errno ' + koffi.errno())
  return result
}
const [, , address, groupNumber] = process.argv
const IOVA = 0x200000000n
const UNMAPPED = 0x1000000n

const container = ok(openFile('/dev/vfio/vfio', 2, 0), 'container')
const group = ok(openFile('/dev/vfio/' + groupNumber, 2, 0), 'group')
ok(ioctl(group, 0x3b68, Buffer.from(Int32Array.of(container).buffer)), 'SET_CONTAINER')
ok(ioctlInt(container, 0x3b66, 3), 'SET_IOMMU')
const device = ok(ioctl(group, 0x3b6a, Buffer.from(address + '\\0')), 'GET_DEVICE_FD')
ok(ioctlInt(device, 0x3b6f, 0), 'RESET')

const regionOffset = (index) => {
  const info = Buffer.alloc(32)
  info.writeUInt32LE(32, 0)
  info.writeUInt32LE(index, 8)
  ok(ioctl(device, 0x3b6c, info), 'GET_REGION_INFO')
  return info.readBigUInt64LE(24)
}
const bar0 = regionOffset(0)
const word = Buffer.alloc(4)
const read = (register) => (ok(pread(device, word, 4, bar0 + BigInt(register)), 'read'), word.readUInt32LE())
const write = (register, value) => {
  word.writeUInt32LE(value)
  ok(pwrite(device, word, 4, bar0 + BigInt(register)), 'write')
}
ok(pwrite(device, Buffer.from([6, 0]), 2, regionOffset(7) + 4n), 'bus master')

const memory = mmap(null, 4096, 3, 0x21, -1, 0)
const map = Buffer.alloc(32)
map.writeUInt32LE(32, 0)
map.writeUInt32LE(3, 4)
map.writeBigUInt64LE(koffi.address(memory), 8)
map.writeBigUInt64LE(IOVA, 16)
map.writeBigUInt64LE(4096n, 24)
ok(ioctl(container, 0x3b71, map), 'MAP_DMA')

const page = Buffer.from(koffi.view(memory, 4096))
page.write('02000000000102000000000288b5', 1024, 'hex')
page.write('mapped', 1024 + 14)
const descriptor = (index, address) => {
  page.writeBigUInt64LE(address, index * 16)
  page.writeUInt32LE((60 | 0x2b300000) >>> 0, index * 16 + 8) // DEXT, RS, IFCS, EOP, data, 60 bytes
  page.writeUInt32LE(60 << 14, index * 16 + 12)
}
descriptor(0, IOVA + 1024n)
descriptor(1, UNMAPPED)

const until = (seconds, condition) => {
  const end = Date.now() + seconds * 1000
  while (Date.now() < end) if (condition()) return true
  return false
}
until(10, () => read(0x42a4) & 0x40000000) || console.log('no link')
write(0x6000, Number(IOVA & 0xffffffffn)) // TDBAL
write(0x6004, Number(IOVA >> 32n)) // TDBAH
write(0x6008, 128) // TDLEN
write(0x4a80, 1) // DMATXCTL.TE
write(0x6028, 0x2000000) // TXDCTL.ENABLE
until(1, () => read(0x6028) & 0x2000000) || console.log('queue not enabled')
const sent = (index) => page.readUInt32LE(index * 16 + 12) & 1
write(0x6018, 1) // TDT
until(5, () => sent(0)) || console.log('nothing sent')
write(0x6018, 2)
// The card is done with the descriptor although it could not read what it was to send.
until(5, () => sent(1)) || console.log('the second descriptor is not done')
console.log('both sent')
`
