// Turns the process that read the command line into the server.
import type {Inventory} from '../../domain/inventory/site.ts'
import {dropHandover, leaveHandover, takeHandover} from '../../net/file/handover.ts'
import {programCommand} from '../../net/process/program.ts'
import type {ServeOptions} from './serve.ts'

/** All that the server needs to know, as JSON. */
export interface ServeOrder {
  readonly options: ServeOptions
  readonly inventory: Inventory | undefined
  /** Print a document on standard output. */
  readonly json: boolean
}

/**
 * Young objects get 4 MB a half instead of 16: most of what a packet makes is gone with its reply, and leases are old
 * soon. (With less, half-done batches are taken for old, which costs more than it saves.) And the old ones are looked
 * through when they have grown by 15 %, not when they have doubled.
 */
const NODE_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=15']

/**
 * Becomes serve-main, under the same pid (execve(2)), so that the command line, YAML and the schema are out of memory.
 * Returns false where Node cannot do that.
 */
export function becomeServer(order: ServeOrder): boolean {
  if (typeof process.execve !== 'function') return false
  const file = leaveHandover(order)
  const argv = programCommand('services/dhcp/serve-main', [file], NODE_FLAGS)
  try {
    process.execve(process.execPath, argv, {...process.env, NODE_NO_WARNINGS: '1'})
  } catch {
    dropHandover(file)
  }
  return false
}

/** Reads what {@link becomeServer} left, and removes it. */
export const takeOrder = (file: string): ServeOrder => takeHandover(file) as ServeOrder
