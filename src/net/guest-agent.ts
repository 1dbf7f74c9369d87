// The QEMU guest agent over its unix socket: runs a program inside the VM (QEMU's qga protocol, one JSON object a line).
import {setTimeout as delay} from 'node:timers/promises'
import {Failure} from '../errors.ts'
import {connectJson} from './dhcp-control.ts'

interface GuestAnswer {
  readonly return?: unknown
  readonly error?: {readonly desc?: string}
}

interface GuestExecStatus {
  readonly exited: boolean
  readonly exitcode?: number
  readonly 'out-data'?: string
  readonly 'err-data'?: string
}

/**
 * Runs `path` with `args` in the guest as the agent's user, and resolves to what it wrote when it has ended with code 0.
 * @throws Failure `silent` if no agent answers, `refused` if it does not run programs or the program fails.
 */
export async function guestRun(socket: string, path: string, args: readonly string[], timeoutMs: number): Promise<string> {
  const agent = await connectJson(socket, 'the QEMU guest agent')
  const call = async (execute: string, parameters: object): Promise<unknown> => {
    const answer = (await agent.ask({execute, arguments: parameters})) as GuestAnswer
    if (answer.error) throw new Failure('refused', `the guest agent at ${socket}: ${execute}: ${answer.error.desc ?? 'refused'}`)
    return answer.return
  }
  try {
    await sync(call, socket)
    const {pid} = (await call('guest-exec', {path, arg: args, 'capture-output': true})) as {readonly pid: number}
    for (const endMs = Date.now() + timeoutMs; Date.now() < endMs; await delay(50)) {
      const status = (await call('guest-exec-status', {pid})) as GuestExecStatus
      if (!status.exited) continue
      const text = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString()
      if (status.exitcode === 0) return text(status['out-data'])
      const why = text(status['err-data']).trim().split('\n').at(-1) || `it ended with code ${status.exitcode}`
      throw new Failure('refused', `in the guest: ${why}`)
    }
    throw new Failure('silent', `${socket}: the program in the guest did not end within ${timeoutMs / 1000} s`)
  } finally {
    agent.close()
  }
}

/** An answer that an earlier caller left unread comes first and would be taken for ours; it is waited out. */
async function sync(call: (execute: string, parameters: object) => Promise<unknown>, socket: string): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const token = (Date.now() + attempt) % 0x7fff_ffff
    if ((await call('guest-sync', {id: token})) === token) return
    await delay(100)
  }
  throw new Failure('silent', `${socket}: the guest agent answers somebody else`)
}
