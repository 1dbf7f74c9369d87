import {once} from 'node:events'
import {renameSync} from 'node:fs'
import {createServer} from 'node:net'

/** Leaves a unix socket at `path` that nobody listens on, as a process that was killed does. */
export async function deadSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.alive`)
  await once(server, 'listening')
  renameSync(`${path}.alive`, path)
  server.close()
  await once(server, 'close')
}
