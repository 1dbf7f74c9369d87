// What a process may do (proc_pid_status(5)).
import {readdirSync, readFileSync} from 'node:fs'

/** Capabilities that any thread of it holds, or that it may ever get, by their bits; and whether it may gain no others. */
export function heldRights(pid: number): {readonly capabilities: number[]; readonly noNewPrivileges: boolean} {
  const threads = readdirSync(`/proc/${pid}/task`).map((tid) => readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8'))
  const sets = threads.flatMap((status) => [...status.matchAll(/^Cap(?:Prm|Eff|Inh|Bnd|Amb):\s*([0-9a-f]+)$/gm)])
  const all = sets.reduce((sum, [, set]) => sum | BigInt(`0x${set}`), 0n)
  return {
    capabilities: Array.from({length: 64}, (_, bit) => bit).filter((bit) => (all >> BigInt(bit)) & 1n),
    noNewPrivileges: threads.every((status) => /^NoNewPrivs:\s*1$/m.test(status)),
  }
}
