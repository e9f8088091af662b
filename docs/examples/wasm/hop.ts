/** AssemblyScript: the step of ../hop.ts. */
import { batchSize, count, dataOf, free, receive, room, sizeOf, transmit } from './ixy-ts'

const MOST: i32 = 512
const batch = memory.data(MOST * 4)
const expired = memory.data(MOST * 4)

const IPV4: u16 = 0x0008 // 0x0800, as a little-endian CPU reads it
const ETHERNET_BYTES: u32 = 14
const IPV4_BYTES: u32 = 20

export function step(): i32 {
  return pass(0, 1) + pass(1, 0)
}

function pass(from: i32, to: i32): i32 {
  const received = receive(from, batch, min(room(to), min(batchSize, MOST)))
  let kept: usize = batch
  let gone: usize = expired
  for (let at: usize = batch, end = batch + (received << 2); at < end; at += 4) {
    const id: usize = load<u32>(at)
    if (hop(dataOf(id), sizeOf(id))) {
      store<u32>(kept, id)
      kept += 4
    } else {
      store<u32>(gone, id)
      gone += 4
    }
  }
  const passed = (<i32>(kept - batch)) >> 2
  if (passed > 0) count(0, transmit(to, batch, passed))
  if (passed < received) {
    free(expired, received - passed)
    count(1, received - passed)
  }
  return received
}

function isIpv4(data: usize, size: u32): bool {
  if (size < ETHERNET_BYTES + IPV4_BYTES || load<u16>(data, 12) !== IPV4) return false
  const first = <u32>load<u8>(data, 14)
  const header = (first & 15) << 2
  const total = <u32>bswap<u16>(load<u16>(data, 16))
  return first >> 4 === 4 && header >= IPV4_BYTES && header <= total && total <= size - ETHERNET_BYTES
}

/** Swaps the MAC addresses and takes one hop off an IPv4 packet; false if it had none left. */
function hop(data: usize, size: u32): bool {
  if (!isIpv4(data, size)) return true
  const ttl = load<u8>(data, 22)
  if (ttl <= 1) return false
  const destination = load<u64>(data)
  const source = load<u64>(data, 6) & 0xffffffffffff
  store<u64>(data, (destination << 48) | source)
  store<u32>(data, <u32>(destination >> 16), 8)
  store<u8>(data, ttl - 1, 22)
  // RFC 1624: the word of the TTL is 0x100 less, so the sum's complement is 0x100 more.
  const sum = <u32>bswap<u16>(load<u16>(data, 24)) + 0x100
  store<u16>(data, bswap<u16>(<u16>(sum + (sum >> 16))), 24)
  return true
}
