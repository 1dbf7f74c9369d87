// One rule and one table for a VM, in the kernel of this router, by ip(8).
import {execFile} from 'node:child_process'
import {promisify} from 'node:util'
import {Failure} from 'gwswitch'

/** Where a VM's rule is and what its table says. JSON: a plan carries it. */
export interface PolicyPlace {
  /** The VM's address. */
  readonly ip: string
  /** The leg by which the VM's packets come in. */
  readonly leg: string
  /** Number of the table: the address as a number, so that no two VMs share one. */
  readonly table: number
}

/** The kernel, or what a test puts in its place. */
export interface PolicyTables {
  /** The next hop that the VM's rule leads to; null: there is no rule. */
  read(place: PolicyPlace): Promise<string | null>
  /** Leads the VM to that next hop on its leg; null: takes rule and table away. May be repeated. */
  write(place: PolicyPlace, via: string | null): Promise<void>
}

/** Before `main` (32766), after what administrators put in by hand without saying where. */
const PRIORITY = 30_000

export const placeOf = (ip: string, leg: string): PolicyPlace => ({
  ...{ip, leg},
  table: ip.split('.').reduce((number, byte) => number * 256 + Number(byte), 0),
})

interface RuleRow {
  readonly src?: string
  readonly iif?: string
  readonly table?: string
}

export const kernelTables: PolicyTables = {
  async read(place) {
    if ((await rulesOf(place)).length === 0) return null
    const rows = (await ipJson(['route', 'show', 'table', String(place.table)])) as {dst: string; gateway?: string}[]
    return rows.find(({dst}) => dst === 'default')?.gateway ?? null
  },
  async write(place, via) {
    const {ip, leg, table} = place
    const rule = ['from', ip, 'iif', leg, 'lookup', String(table), 'priority', String(PRIORITY)]
    const rules = await rulesOf(place)
    if (via === null) {
      for (const _ of rules) await runIp(['rule', 'del', ...rule])
      await runIp(['route', 'flush', 'table', String(table)])
      return
    }
    // The table first: a rule that leads nowhere would lead to the next rule, and one that is there is not left for a moment.
    await runIp(['route', 'replace', 'default', 'via', via, 'dev', leg, 'table', String(table)])
    if (rules.length === 0) await runIp(['rule', 'add', ...rule])
  },
}

async function rulesOf({ip, leg, table}: PolicyPlace): Promise<RuleRow[]> {
  const rows = (await ipJson(['rule', 'show', 'priority', String(PRIORITY)])) as RuleRow[]
  return rows.filter((row) => row.src === ip && row.iif === leg && row.table === String(table))
}

const ipJson = async (args: readonly string[]): Promise<unknown> =>
  JSON.parse((await runIp(['-json', ...args])) || '[]')

/** @throws Failure `privilege` without the right to change routes, `runtime` for whatever else ip(8) says. */
async function runIp(args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)('ip', ['-4', ...args])).stdout
  } catch (error) {
    const {stderr = '', message} = error as Error & {stderr?: string}
    const said = (stderr.trim() || message).split('\n').at(-1)!
    // A table that was never used is as good as one that was emptied (ip-route(8)).
    if (args.includes('flush') || args.includes('show')) if (/FIB table does not exist/.test(stderr)) return ''
    const kind = /not permitted/.test(said) ? 'privilege' : 'runtime'
    throw new Failure(kind, `ip ${args.join(' ')}: ${said}`, {cause: error})
  }
}
