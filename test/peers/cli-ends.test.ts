// How a run ends for whoever called it: one line, one document, one exit code, whatever went wrong beside the network.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout} from 'node:timers/promises'
import {afterAll, describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {type CliOptions, type CliResult, gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {
  BEYOND,
  type SegmentLab,
  type SegmentOptions,
  VM_MAC,
  withSegmentLab,
  X_MAC,
  Y_MAC,
} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-ends-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

/** Runs with standard output or a file system that takes nothing more. */
const redirected = (to: string): readonly string[] => ['sh', '-c', `exec "$@" ${to}`, 'sh']

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')

/** One document, whose exit code is the process's, and no stack trace. */
function expectOneEnd({json, code, stderr}: CliResult, exit: number, message: RegExp): void {
  expect({exit: code, document: json?.exitCode, of: json?.error?.exit}, stderr).toEqual({
    ...{exit, document: exit, of: exit},
  })
  expect(json.error.message).toMatch(message)
  expect(json.error.message).not.toContain('\n')
  expect(stderr).not.toMatch(/^\s+at /m)
}

const SWITCH = ['switch', 'db-03', '--to', 'y', '--strategy', 'arp', '-i', 'vnet0']

describe('what is wrong with the command line', () => {
  it.each<[readonly string[], RegExp]>([
    [['swich', 'db-03', '--to', 'y'], /^no command "swich db-03" \(did you mean "switch"\?\)$/],
    [['filter', 'aply'], /^no command "filter aply" \(did you mean "filter apply"\?\)$/],
    [['nonsense'], /^no command "nonsense" \(see gwswitch --help\)$/],
    [['trace', '--nope'], /^Nonexistent flag: --nope$/],
    [['switch', 'db-03', '--guard', 'x'], /^--guard: "x" is not a whole number/],
  ])('is a line, and a document: %j', async (args, message) => {
    expectOneEnd(await gwswitch([...args, '--json']), 2, message)
    const plain = await gwswitch(args)
    expect(plain).toMatchObject({code: 2, stdout: ''})
    expect(lines(plain.stderr)).toHaveLength(1)
  })
})

describe('a standard output that takes nothing', () => {
  it.each([[['strategies']], [['strategies', '--json']], [['--help']]])(
    'is said in one line with exit 1: %j',
    async (args) => {
      const {code, stderr} = await gwswitch(args, {under: redirected('>/dev/full')})
      expect(code).toBe(1)
      expect(lines(stderr)).toEqual([expect.stringMatching(/^gwswitch: standard output: ENOSPC: the result.* cannot/)])
    },
  )

  it('is nobody’s business where its reader has gone', async () => {
    const {code, stderr} = await gwswitch(['strategies'], {under: ['sh', '-c', '"$@" | true', 'sh']})
    expect({code, stderr}).toEqual({code: 0, stderr: ''})
  })

  it('and a standard error that takes nothing leave the exit code', async () => {
    expect((await gwswitch(['trace', '--nope'], {under: redirected('2>/dev/full')})).code).toBe(2)
  })
})

describe('an ip(8) that fails', () => {
  const bin = mkdtempSync(join(folder, 'bin-'))
  writeFileSync(join(bin, 'ip'), '#!/bin/sh\n$SAY\n', {mode: 0o755})
  const run = (say: string) =>
    gwswitch(['mac-proxy', 'list', '--json'], {env: {PATH: `${bin}:${process.env.PATH}`, SAY: say}})

  it('ends in what it said', async () => {
    expectOneEnd(await run('eval printf "out\\nof\\nmemory\\n" >&2; exit 2'), 1, /^ip -json .*: /)
  })

  it('ends in one line if it says no JSON', async () => {
    expectOneEnd(await run('echo Usage: ip'), 1, /^ip link show: the answer is no JSON$/)
  })
})

describe.skipIf(noNamespaces)('in a segment', () => {
  const at = (lab: SegmentLab, args: readonly string[], options: CliOptions = {}) =>
    gwswitch([...args, '-f', lab.inventoryFile], {namespace: lab.ns('sw'), ...options})

  it('a switch whose result cannot be printed is made, and says so', async () => {
    await withSegmentLab({shared: true}, async (lab) => {
      const {code, stderr} = await at(lab, SWITCH, {under: redirected('>/dev/full')})
      expect(code).toBe(1)
      expect(lines(stderr)).toEqual([
        expect.stringMatching(
          /^gwswitch: standard output: ENOSPC: the result of "SWITCHED db-03 is served by by \(site y\)", exit code 0, cannot be printed$/,
        ),
      ])
      expect(await lab.gateway()).toBe(Y_MAC)
    })
  })

  it('a recording that cannot be begun ends it before anything is done, and leaves no process', async () => {
    await withSegmentLab({shared: true}, async (lab) => {
      const {code, json} = await at(lab, [...SWITCH, '--json', '--pcap', join(folder, 'no/x.pcap')])
      expect({code, json}).toMatchObject({
        code: 1,
        json: {
          exitCode: 1,
          end: 'not-begun',
          error: {kind: 'runtime', message: expect.stringMatching(/^cannot write /)},
        },
      })
      expect(await lab.gateway()).toBe(X_MAC)
      expect(lines(await runCommand('ip', ['netns', 'pids', lab.ns('sw')]))).toEqual([])
    })
  })

  it('a recording that the disk has no room for ends early, and the switch is made', async () => {
    await withSegmentLab({shared: true}, async (lab) => {
      const result = await at(lab, [...SWITCH, '--json', '--pcap', '/dev/full'])
      expect(result).toMatchObject({code: 0, json: {end: 'switched', exitCode: 0}})
      expect(lines(result.stderr)).toEqual(['gwswitch: warning: /dev/full ends early: ENOSPC'])
      expect(await lab.gateway()).toBe(Y_MAC)
    })
  })

  const TRACE = ['trace', BEYOND, '-i', 'eth0', '--via', 'by', '--pairs', '12', '--interval', '20', '--json']

  it('a picture that cannot be written is said before anything is sent', async () => {
    await withSegmentLab({shared: true}, async (lab) => {
      const pcap = join(folder, 'unsent.pcap')
      const args = [...TRACE, '--svg', join(folder, 'no/x.svg'), '--pcap', pcap]
      expectOneEnd(await at(lab, args, {namespace: lab.ns('vm')}), 1, /no\/x\.svg: cannot be written: ENOENT/)
      expect(readdirSync(folder)).not.toContain('unsent.pcap')
    })
  })

  it('a picture that the disk has no room for never loses the result', async () => {
    await withSegmentLab({shared: true}, async (lab) => {
      const {json, code, stderr} = await at(lab, [...TRACE, '--svg', '/dev/full'], {namespace: lab.ns('vm')})
      expect(json).toMatchObject({schema: expect.stringContaining('gwswitch.trace'), exitCode: code})
      expect(lines(stderr)).toEqual(['gwswitch: warning: /dev/full: cannot be written: ENOSPC'])
    })
  })

  it('an interface that goes down in the middle ends it in one document', async () => {
    await withSegmentLab({shared: true}, async (lab) => {
      const pcap = join(folder, 'down.pcap')
      const args = ['trace', BEYOND, '-i', 'eth0', '--via', 'by', '--json', '--pcap', pcap]
      const trace = at(lab, args, {namespace: lab.ns('vm')})
      await until(async () => existsSync(pcap), 20_000, 'its first frame')
      await lab.run('vm', 'ip link set eth0 down')
      const {code, json, stderr} = await trace
      expect(code).toBe(11)
      expect(json).toMatchObject({complete: false, results: [{complete: false, egress: {verdict: 'inconclusive'}}]})
      expect(stderr).toBe('')
    })
  })

  it('a signal ends it with one exit code in the document and in the process', async () => {
    await withSegmentLab({shared: true}, async (lab) => {
      // It says nothing, and is waited for.
      await lab.run('vm', 'ip address flush dev eth0')
      const bin = join(import.meta.dirname, '../../bin/run.js')
      const child = spawn(
        'ip',
        [
          'netns',
          'exec',
          lab.ns('sw'),
          process.execPath,
          bin,
          ...SWITCH,
          '--before-resume',
          '60',
          '--json',
          '-f',
          lab.inventoryFile,
        ],
        {stdio: ['ignore', 'pipe', 'ignore']},
      )
      let text = ''
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      // Its guard is started when it listens to signals already.
      const hasGuard = async (): Promise<boolean> =>
        readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim() !== ''
      await until(hasGuard, 30_000, 'the switch has its guard')
      await setTimeout(1000)
      child.kill('SIGINT')
      const [code] = (await once(child, 'close')) as [number | null]
      expect(JSON.parse(text)).toMatchObject({exitCode: code, uses: null})
    })
  })
})

describe.skipIf(noNamespaces)('a dry run', () => {
  /** Empty places for whatever gwswitch keeps; what lies there afterwards goes to standard error. */
  const WATCHED = [
    ...['unshare', '-m', '--propagation', 'private', 'sh', '-c'],
    'for d in /run /var/lib /mnt; do mount -t tmpfs none $d; done; HOME=/mnt "$@"; code=$?; find /run /var/lib /mnt -mindepth 1 ! -path /run/mount >&2; exit $code',
    'sh',
  ]
  const inKernel = 'nft list ruleset; bridge fdb; bridge -d link; ip neigh; ip route; ip link'

  /** Frames that left any interface of the bridge's namespace. */
  const sent = async (lab: SegmentLab): Promise<number> =>
    (JSON.parse(await lab.run('sw', 'ip -s -j link')) as {stats64: {tx: {packets: number}}}[]).reduce(
      (sum, {stats64}) => sum + stats64.tx.packets,
      0,
    )

  const to = (strategy: string): string[] => ['switch', 'db-03', '--to', 'y', '--strategy', strategy, '-i', 'vnet0']
  const SHARED = [
    [...to('arp'), '--guard', '60'],
    [...to('arp'), '--verify-to', BEYOND],
    [...to('arp'), '--before-resume', '5'],
    to('mac-proxy'),
    ['garp', 'by', '--vm', 'db-03', '--mac', Y_MAC, '-i', 'vnet0'],
    [
      'send-reconfigure',
      '10.1.0.10',
      '--unauthenticated',
      '--xid',
      '12345678',
      '--mac',
      VM_MAC,
      '--server-id',
      '10.1.0.9',
      '-i',
      'br0',
    ],
    ['garp', '10.1.0.254', '--mac', Y_MAC, '-i', 'br0'],
    ['filter', 'apply', '-i', 'p-gx', '--force'],
    ['filter', 'remove'],
  ]
  const OWN = [to('agent'), to('mac-proxy'), ['notify-agent', 'db-03', '--to', 'y']]

  it.each<[string, SegmentOptions, readonly string[][]]>([
    ['share', {shared: true}, SHARED],
    ['do not share', {shared: false, vmKeys: 'agent: { qga: /nowhere/db-03.qga }'}, OWN],
  ])(
    'touches nothing and sends nothing where the gateways %s their address',
    async (_, options, calls) => {
      await withSegmentLab(options, async (lab) => {
        // Nobody asks again for what the segment's building made it learn.
        for (const node of ['vm', 'gx', 'gy'] as const) await lab.run(node, 'ip neigh flush all')
        // The bridge's own IGMP reports, the last of which comes a second after it is up.
        await setTimeout(2500)
        const before = await lab.run('sw', inKernel)
        const frames = await sent(lab)
        for (const args of calls) {
          const {code, stderr, stdout} = await at(lab, [...args, '--dry-run'], WATCHED)
          const said = lines(stderr).filter((line) => !line.startsWith('gwswitch: warning: '))
          expect({args, code, said}, stdout).toEqual({args, code: 0, said: []})
        }
        expect(await lab.run('sw', inKernel)).toBe(before)
        expect(await sent(lab)).toBe(frames)
      })
    },
    120_000,
  )

  const at = (lab: SegmentLab, args: readonly string[], under: readonly string[]) =>
    // Where a journal would be, were there one.
    gwswitch([...args, '-f', lab.inventoryFile], {
      ...{namespace: lab.ns('sw'), under},
      env: {GWSWITCH_JOURNAL: '/var/lib/gwswitch/journal.db'},
    })
})
