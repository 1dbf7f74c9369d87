// Memory for recvmmsg(2) and sendmmsg(2), laid out once and used again for every batch.
import {addressOf} from '../libc.ts'
import {CONTROL, IOVEC, MMSGHDR} from './socket-constants.ts'

const NAME = 32 // sockaddr_ll is 20

/** `count` message slots of `slotSize` data bytes each, with address and ancillary room. */
export interface MessageBatch {
  readonly count: number
  readonly slotSize: number
  /** The `struct mmsghdr[count]` to hand to the kernel. */
  readonly headers: Buffer
  /** Restores the lengths that the last receive overwrote. */
  prepareReceive(): void
  /** Copies `frame` into slot `i` as a message to send. */
  fill(i: number, frame: Uint8Array): void
  /** What the kernel put into slot `i`: views into the batch, valid until the next receive. */
  slot(i: number): {readonly data: Buffer; readonly name: Buffer; readonly control: Buffer; readonly wireLength: number}
}

export function messageBatch(count: number, slotSize: number): MessageBatch {
  // One allocation: the addresses written into it must stay valid, and V8 never moves a backing store.
  const sizes = [MMSGHDR, IOVEC, NAME, CONTROL, slotSize].map((size) => size * count)
  const memory = Buffer.alloc(
    Math.max(
      128,
      sizes.reduce((a, b) => a + b),
    ),
  )
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0))
  const [headersAt, iovecsAt, namesAt, controlsAt, dataAt] = starts as [number, number, number, number, number]
  const base = addressOf(memory)
  const headers = memory.subarray(headersAt, headersAt + sizes[0]!)
  const address = (offset: number): bigint => base + BigInt(offset)

  for (let i = 0; i < count; i++) {
    const header = headersAt + i * MMSGHDR
    memory.writeBigUInt64LE(address(iovecsAt + i * IOVEC), header + 16)
    memory.writeBigUInt64LE(1n, header + 24)
    memory.writeBigUInt64LE(address(dataAt + i * slotSize), iovecsAt + i * IOVEC)
    memory.writeBigUInt64LE(BigInt(slotSize), iovecsAt + i * IOVEC + 8)
  }

  return {
    count,
    slotSize,
    headers,
    prepareReceive() {
      for (let i = 0; i < count; i++) {
        const header = headersAt + i * MMSGHDR
        memory.writeBigUInt64LE(address(namesAt + i * NAME), header)
        memory.writeUInt32LE(NAME, header + 8)
        memory.writeBigUInt64LE(address(controlsAt + i * CONTROL), header + 32)
        memory.writeBigUInt64LE(BigInt(CONTROL), header + 40)
        memory.writeInt32LE(0, header + 48)
      }
    },
    fill(i, frame) {
      memory.set(frame, dataAt + i * slotSize)
      // The upper half of the length stays 0; writing all of it would make a BigInt a frame.
      memory.writeUInt32LE(frame.length, iovecsAt + i * IOVEC + 8)
    },
    slot(i) {
      const header = headersAt + i * MMSGHDR
      const wireLength = memory.readUInt32LE(header + 56)
      const controlLength = Number(memory.readBigUInt64LE(header + 40))
      const data = dataAt + i * slotSize
      return {
        wireLength,
        data: memory.subarray(data, data + Math.min(wireLength, slotSize)),
        name: memory.subarray(namesAt + i * NAME, namesAt + i * NAME + memory.readUInt32LE(header + 8)),
        control: memory.subarray(controlsAt + i * CONTROL, controlsAt + i * CONTROL + controlLength),
      }
    },
  }
}

/** The control messages (cmsg(3)) in `control`, in order. */
export function* controlMessages(control: Buffer): Generator<{level: number; type: number; data: Buffer}> {
  let at = 0
  while (at + 16 <= control.length) {
    const length = Number(control.readBigUInt64LE(at))
    if (length < 16 || at + length > control.length) return
    yield {
      level: control.readInt32LE(at + 8),
      type: control.readInt32LE(at + 12),
      data: control.subarray(at + 16, at + length),
    }
    at += (length + 7) & ~7
  }
}
