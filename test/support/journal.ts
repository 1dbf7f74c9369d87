// Switches to be written down, and a journal in a scratch folder.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import {type Prepared, plannedOf, type SwitchDocument, switchDocument} from '../../src/orders/switch/switch-document.ts'
import type {Strategy} from '../../src/strategies/strategy.ts'
import {INVENTORY} from './inventory.ts'
import {strategyNamed} from './strategy.ts'

export const preparedFor = (vm = 'web-07', to = 'y', strategy: Strategy = strategyNamed('s')): Prepared => ({
  switchover: switchoverFrom(resolveSwitchover(parseInventory(INVENTORY, 'gwswitch.yaml'), {vm, to})),
  ...{strategy, plan: {by: strategy.name}, describe: ['does it'], passedOver: []},
})

export const endedFor = (prepared: Prepared, over: Partial<SwitchDocument> = {}): SwitchDocument =>
  switchDocument(plannedOf(prepared), {end: 'switched', verified: true, code: 'served', ...over})

/** Calls `fn` with the path of a file that is not there yet, in a folder that goes when it is done. */
export async function withJournalFile<T>(fn: (file: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'gwswitch-journal-'))
  try {
    return await fn(join(folder, 'journal.db'))
  } finally {
    rmSync(folder, {recursive: true, force: true})
  }
}
