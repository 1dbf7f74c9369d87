import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {type FrameQueue, frameQueue, VNET_HEADER} from '../../src/net/packet/relay-queue.ts'

/** A queue whose memory the test can look into, as the kernel does. */
function made(capacityBytes: number, capacityFrames = 8): {queue: FrameQueue; ring: Uint8Array} {
  let ring = new Uint8Array(0)
  const addressOf = (memory: Uint8Array): number => {
    ring = memory as Uint8Array<ArrayBuffer>
    return 0x1000
  }
  const queue = frameQueue({capacityBytes, capacityFrames, addressOf})
  return {queue, ring}
}

const frame = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill)

describe('frameQueue', () => {
  it('gives frames back whole and in order, whatever is pushed and dropped', () => {
    const operation = fc.oneof(
      fc.record({push: fc.integer({min: 1, max: 60}), due: fc.nat(1000)}),
      fc.record({drop: fc.nat(5)}),
    )
    fc.assert(
      fc.property(fc.array(operation, {maxLength: 200}), (operations) => {
        const {queue, ring} = made(200)
        const model: {size: number; fill: number; due: number}[] = []
        let refused = 0
        operations.forEach((op, i) => {
          if ('push' in op) {
            const fill = (i % 255) + 1
            if (queue.push(frame(op.push, fill), 0, op.push, op.due)) model.push({size: op.push, fill, due: op.due})
            else refused++
          } else {
            const count = Math.min(op.drop, model.length)
            queue.drop(count)
            model.splice(0, count)
          }
          expect(queue.length).toBe(model.length)
          expect(queue.bytes).toBe(model.reduce((sum, {size}) => sum + size, 0))
          let last = 0
          model.forEach(({size, fill, due}, at) => {
            expect(queue.size(at)).toBe(size)
            const bytes = ring.subarray(queue.offset(at), queue.offset(at) + size)
            expect(bytes.every((byte) => byte === fill)).toBe(true)
            expect(queue.dueMs(at)).toBeGreaterThanOrEqual(Math.max(due, last))
            last = queue.dueMs(at)
          })
        })
        expect(queue.dropped).toBe(refused)
      }),
    )
  })

  it('takes what fits and refuses the rest, and takes again when there is room', () => {
    const {queue} = made(100)
    expect(queue.push(frame(60, 1), 0, 60, 0)).toBe(true)
    expect(queue.push(frame(60, 2), 0, 60, 0)).toBe(false)
    queue.drop(1)
    expect(queue.push(frame(100, 3), 0, 100, 0)).toBe(true)
    expect(queue.dropped).toBe(1)
  })

  it('never takes more frames than it has places for', () => {
    const {queue} = made(1000, 4)
    const taken = Array.from({length: 6}, () => queue.push(frame(1, 1), 0, 1, 0))
    expect(taken).toEqual([true, true, true, true, false, false])
  })

  it('puts a VLAN tag back behind the MACs and moves the offload fields with it', () => {
    const {queue, ring} = made(200)
    const source = Uint8Array.from({length: 5 + VNET_HEADER + 34}, (_, i) => i)
    const view = new DataView(source.buffer)
    view.setUint8(5, 1) // needs checksum
    view.setUint8(6, 1) // GSO, TCPv4
    view.setUint16(7, 54, true) // hdr_len
    view.setUint16(11, 34, true) // csum_start
    view.setUint16(13, 16, true) // csum_offset
    expect(queue.pushTagged(source, 5, VNET_HEADER + 34, 0, 0x8100, 0x2064)).toBe(true)
    const out = ring.subarray(queue.offset(0), queue.offset(0) + queue.size(0))
    const seen = new DataView(out.buffer, out.byteOffset)
    expect([seen.getUint16(2, true), seen.getUint16(6, true), seen.getUint16(8, true)]).toEqual([58, 38, 16])
    const macs = source.subarray(5 + VNET_HEADER, 5 + VNET_HEADER + 12)
    const rest = source.subarray(5 + VNET_HEADER + 12)
    expect([...out.subarray(VNET_HEADER)]).toEqual([...macs, 0x81, 0x00, 0x20, 0x64, ...rest])
  })
})
