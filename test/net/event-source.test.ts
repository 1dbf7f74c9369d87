// Programs of platforms that are not here, as scripts that write what these write.
import {chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterEach, beforeEach, expect, it} from 'vitest'
import {type EventSource, readEventSource} from '../../src/domain/movement/events.ts'
import {eventCommand, nextPauseMs, openEvents} from '../../src/services/site/event-source.ts'
import {GOVC, laidOut, MOVING, READY, vmi} from '../domain/movement/recorded.ts'
import {eventually} from '../support/until.ts'

const path = process.env.PATH
let scratch: string
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'gwswitch-event-source-'))
  process.env.PATH = `${scratch}:${path}`
})
afterEach(() => {
  process.env.PATH = path
  rmSync(scratch, {recursive: true})
})

/** `turns`: what it prints, the n-th time that it is started; then it says why it ends. The last turn stays. */
function program(name: string, turns: readonly (readonly string[])[]): void {
  for (const [i, lines] of turns.entries())
    writeFileSync(join(scratch, `out-${i}`), lines.map((line) => `${line}\n`).join(''))
  const script = `#!/bin/sh
cd ${scratch}; echo "$@" >> args
n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) > n; cat out-$n
[ $n = ${turns.length - 1} ] && exec sleep 600
echo 'the server went away' >&2; exit 1
`
  writeFileSync(join(scratch, name), script)
  chmodSync(join(scratch, name), 0o755)
}

function listen(source: EventSource) {
  const heard: string[] = []
  const said: string[] = []
  const stage = {
    nowMs: () => Date.parse('2026-12-01T08:59:00Z'),
    sleep: (ms: number) => delay(ms / 20),
    log: (line: string) => void said.push(line),
  }
  const open = openEvents(source, stage, ({kind, vm, host}) => heard.push(`${kind} ${vm} ${host}`))
  return {heard, said, [Symbol.asyncDispose]: () => open[Symbol.asyncDispose]()}
}

it('a VM that came while kubectl was away is told, once', async () => {
  const before = laidOut({type: 'ADDED', object: vmi(MOVING)})
  const after = laidOut({type: 'ADDED', object: vmi(READY)})
  program('kubectl', [before, [], after, after])
  await using site = listen({kind: 'kubevirt', where: 'dc-y'})
  await eventually(async () => expect(site.said).toHaveLength(3))
  expect(site.said.map((line) => line.replace(/ in .*/, ''))).toEqual(
    Array(3).fill('no events of kubevirt: kubectl ended: the server went away; tried again'),
  )
  expect(site.heard).toEqual(['arrived tenant-a/web-07 node-y', 'left tenant-a/web-07 node-x'])
  expect(readFileSync(join(scratch, 'args'), 'utf8').split('\n')[0]).toBe(
    '--context dc-y get vmi -A -w -o json --output-watch-events',
  )
})

it('what govc repeats of before is said and not told; what it repeats of its last turn neither', async () => {
  const old = {...GOVC, createdTime: '2026-12-01T08:00:00Z', key: 4710}
  const both = [...laidOut(old, 2), ...laidOut(GOVC, 2)]
  program('govc', [both, both])
  await using site = listen({kind: 'vcenter', where: '/dc-1'})
  await eventually(async () => expect(site.said.at(-1)).toMatch(/^no events of vcenter: govc ended/))
  await eventually(async () => expect(readFileSync(join(scratch, 'n'), 'utf8')).toBe('2\n'))
  expect(site.heard).toEqual(['arrived web-07 esx-y.example', 'left web-07 esx-x.example'])
  expect(site.said[0]).toMatch(/^vcenter: web-07 arrived 3540 s ago, before this began to listen: not acted on/)
  expect(site.said.filter((line) => line.includes('3540 s ago'))).toHaveLength(2)
})

it('a program that is not there, or a socket or file, is said, and tried again', async () => {
  for (const [source, why] of [
    ['incus', 'incus ended: setpriv: failed to execute incus: No such file or directory'],
    [`qmp=${scratch}/none`, `${scratch}/none: no such socket (does the VM run on this host, with a QMP socket there?)`],
    [
      `nova=${scratch}/none`,
      `${scratch}/none: no such file (want the URL of a RabbitMQ, in a file that its owner alone may read)`,
    ],
  ] as const) {
    await using site = listen(readEventSource(source))
    await eventually(async () =>
      expect(site.said[1]).toBe(`no events of ${source.split('=')[0]}: ${why}; tried again in 2 s`),
    )
  }
})

it('a file with the URL of a RabbitMQ is nobody else’s to read', async () => {
  const file = join(scratch, 'nova.url')
  writeFileSync(file, 'amqp://u:p@127.0.0.1:1/', {mode: 0o644})
  await using open = listen(readEventSource(`nova=${file}`))
  await eventually(async () =>
    expect(open.said[0]).toMatch(/nova\.url: holds a secret that every user may read \(mode 0644\)/),
  )
  writeFileSync(join(scratch, 'other.url'), 'http://127.0.0.1', {mode: 0o600})
  await using other = listen(readEventSource(`nova=${scratch}/other.url`))
  await eventually(async () => expect(other.said[0]).toMatch(/other\.url: holds no URL of a RabbitMQ/))
})

it.each([
  ['libvirt', 'virsh event --event lifecycle --loop --timestamp'],
  ['libvirt=qemu+ssh://h/system', 'virsh -c qemu+ssh://h/system event --event lifecycle --loop --timestamp'],
  ['vcenter', 'govc events -f -json -l'],
  ['incus=cluster:', 'incus monitor cluster: --type=lifecycle --format=json --all-projects'],
])('%s is listened to by %s', (source, command) => {
  expect(eventCommand(readEventSource(source))?.join(' ')).toBe(command)
})

it.each([
  [500, 10, 1000],
  [1000, 59_000, 2000],
  [32_000, 10, 60_000],
  [60_000, 10, 60_000],
  [60_000, 60_000, 1000],
])('a pause of %i ms, and %i ms of listening: the next is %i', (pause, ran, next) =>
  expect(nextPauseMs(pause, ran)).toBe(next),
)
