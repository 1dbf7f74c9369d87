// The process that counts on to a listener from the namespace of a VM.
import {once} from 'node:events'
import {spawnScript} from '../processes.ts'

export interface CounterProcess {
  end(): Promise<void>
}

/** `to`: `IP:PORT`. */
export function startCounter(prefix: string, node: string, to: string): CounterProcess {
  const child = spawnScript(prefix, node, 'run/counter-main', to.split(':'), {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  const closed = once(child, 'close')
  return {
    async end() {
      child.kill('SIGKILL')
      await closed
    },
  }
}
