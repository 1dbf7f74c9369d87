// Where what is kept from one run to the next lies: the host's own place for whoever may write there, else the user's.
import {accessSync, constants, existsSync} from 'node:fs'
import {homedir} from 'node:os'
import {dirname, join} from 'node:path'

const SYSTEM = '/var/lib/gwswitch'

/** XDG Base Directory Specification, `XDG_STATE_HOME`, for who may not write the host's. */
export function stateFile(name: string): string {
  const file = join(SYSTEM, name)
  if (process.geteuid?.() === 0 || isWritable(existsSync(file) ? file : dirname(file))) return file
  const {XDG_STATE_HOME, HOME} = process.env
  return join(XDG_STATE_HOME || join(HOME || homedir(), '.local', 'state'), 'gwswitch', name)
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}
