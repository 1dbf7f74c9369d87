// Two QEMUs that migrate a VM to each other, with a second monitor each, and what is heard there.
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, describe, expect, it} from 'vitest'
import {openQmp, type Qmp} from '../../src/lab/guest/qmp.ts'
import {openEvents} from '../../src/services/site/event-source.ts'
import {hasProgram} from '../support/namespaces.ts'
import {eventually} from '../support/until.ts'

const MAC = '02:00:00:00:00:10'
const missing = (await hasProgram('qemu-system-x86_64')) ? undefined : 'QEMU is not installed'
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-qmp-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

interface Machine {
  /** The monitor that the hypervisor has. */
  readonly own: Qmp
  readonly heard: string[]
  readonly said: string[]
}

let count = 0
/** A VM that boots nothing, or waits for its memory; `with` what is on its command line besides. */
async function machine(open: AsyncDisposableStack, ...besides: readonly string[]): Promise<Machine> {
  const path = join(scratch, `${++count}`)
  const monitors = ['own', 'second'].flatMap((name) => ['-qmp', `unix:${path}.${name},server=on,wait=off`])
  const hardware = [
    '-M',
    'pc',
    '-m',
    '32',
    '-display',
    'none',
    '-nodefaults',
    '-device',
    `virtio-net-pci,mac=${MAC},romfile=`,
  ]
  const child = spawn('qemu-system-x86_64', [...hardware, ...monitors, ...besides], {stdio: 'ignore'})
  open.defer(() => ended(child))
  let own: Qmp | undefined
  await eventually(async () => {
    own = await openQmp(`${path}.own`)
  })
  open.use(own!)
  // As libvirt sets it.
  await own!.ask('migrate-set-capabilities', {capabilities: [{capability: 'events', state: true}]})
  const heard: string[] = []
  const said: string[] = []
  const stage = {nowMs: Date.now, sleep: (ms: number) => delay(ms / 20), log: (line: string) => void said.push(line)}
  open.use(
    openEvents({kind: 'qmp', where: `${path}.second`}, stage, ({kind, vm, mac, atMs}) => {
      expect(Math.abs(Date.now() - atMs!)).toBeLessThan(20_000)
      heard.push(`${vm} ${mac} ${kind}`)
    }),
  )
  await eventually(async () => expect(said).toEqual(['listening to qmp']))
  return {own: own!, heard, said}
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await gone
}

const migrate = ({own}: Machine, uri: string) => own.ask('migrate', {uri})
const status = async ({own}: Machine) => (await own.ask('query-status')).status

describe.skipIf(missing !== undefined)(`events of QEMU${missing ? ` (${missing})` : ''}`, () => {
  it('tell that a VM came here when it runs, and that it left when all of it is there', {
    timeout: 120_000,
  }, async () => {
    await using open = new AsyncDisposableStack()
    const uri = `unix:${scratch}/live`
    const source = await machine(open, '-name', 'web-07')
    const destination = await machine(open, '-name', 'web-07', '-incoming', uri)
    // A pause is no arrival.
    await source.own.ask('stop')
    await source.own.ask('cont')
    await migrate(source, uri)
    const who = `web-07 ${MAC}`
    await eventually(async () =>
      expect([source.heard, destination.heard]).toEqual([[`${who} left`], [`${who} arrived`]]),
    )
    expect(await status(destination)).toBe('running')
    await destination.own.ask('stop')
    await destination.own.ask('cont')
    await source.own.ask('quit').catch(() => {})
    await eventually(async () =>
      expect(source.said[1]).toMatch(/^no events of qmp: .*: QEMU went away; tried again in 1 s$/),
    )
    expect(destination.heard).toHaveLength(1)
  })

  it('tell a migration that was cancelled, and one that found nobody', {timeout: 120_000}, async () => {
    await using open = new AsyncDisposableStack()
    const source = await machine(open)
    const uri = `unix:${scratch}/slow`
    await machine(open, '-incoming', uri)
    await source.own.ask('migrate-set-parameters', {'max-bandwidth': 10_000})
    await migrate(source, uri)
    await source.own.ask('migrate_cancel')
    await eventually(async () => expect(source.heard).toEqual([`null ${MAC} cancelled`]))
    await migrate(source, `exec:false`)
    await eventually(async () => expect(source.heard).toEqual([`null ${MAC} cancelled`, `null ${MAC} cancelled`]))
    expect(await status(source)).toBe('running')
  })
})
