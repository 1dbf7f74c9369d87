// `gwswitch watch` as a command: at the ports of a real bridge, and on what it is given to read.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces, withLab} from '../support/namespaces.ts'
import {until} from '../support/until.ts'
import {DCI, gratuitousArp, INVENTORY_YAML, rarp, withArrivalsLab} from './arrivals-lab.ts'

const bin = join(import.meta.dirname, '../../bin/run.js')
const folder = mkdtempSync(join(tmpdir(), 'gwswitch-watch-'))
const inventory = join(folder, 'gwswitch.yaml')
beforeAll(() => writeFileSync(inventory, INVENTORY_YAML))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

const VM = {mac: '02:00:00:00:01:10', ip: '10.1.0.10'}
const LOCAL = {mac: '02:00:00:00:01:11', ip: '10.1.0.11'}
const PORTS = ['vnet1', 'vnet2', DCI]

interface Watcher {
  readonly child: ChildProcess
  readonly out: () => string
  says(text: string): Promise<void>
  /** Everything, after this signal. */
  end(signal: NodeJS.Signals): Promise<string>
}

function watch(namespace: string, ...args: readonly string[]): Watcher {
  const [program = '', ...rest] = namespaceCommand(namespace, [process.execPath, bin, 'watch', ...args])
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {...process.env, NO_COLOR: '1', TZ: 'UTC'},
  })
  const exited = once(child, 'close')
  let [stdout, both] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
    both += chunk
  })
  child.stderr.on('data', (chunk) => {
    both += chunk
  })
  return {
    child,
    out: () => stdout,
    says: (text) => until(async () => both.includes(text), 15_000, `"${text}" in: ${both}`),
    async end(signal) {
      child.kill(signal)
      expect((await exited)[0], both).toBe(0)
      return stdout
    },
  }
}

describe.skipIf(noNamespaces)('gwswitch watch', {timeout: 60_000}, () => {
  it('says who arrives and leaves, and what a switch would do, and ends with a summary', () =>
    withArrivalsLab(PORTS, async (lab) => {
      const watcher = watch(lab.switch, 'y', '-i', 'vnet*', '-f', inventory)
      try {
        await watcher.says('watching vnet1 vnet2')
        lab.behind('vnet1').send(rarp(VM.mac))
        await watcher.says('db-03')
        lab.behind('vnet2').send(gratuitousArp(LOCAL.mac, LOCAL.ip))
        lab.behind('vnet2').send(rarp('02:00:00:00:99:99'))
        await watcher.says('not in the inventory')
        await lab.removePort('vnet2')
        await watcher.says('02:00:00:00:99:99  -')
        await watcher.says('its port is gone')
        const lines = (await watcher.end('SIGINT')).replaceAll(/^\d\d:\d\d:\d\d\.\d{3}|\d+ s$/gm, 'TIME').split('\n')
        expect(lines).toMatchInlineSnapshot(`
          [
            "TIME  arrived     db-03              10.1.0.10          vnet1            its hypervisor announces it; last at site x",
            "              would switch it to by, strategy arp: this host has no filter, and bx no address but the shared 10.1.0.254: its own neighbour checks move db-03 back within a minute, unless the DCI is filtered elsewhere (gwswitch filter) or the VM is held (--guard 60)",
            "TIME  arrived     02:00:00:00:99:99  -                  vnet2            its hypervisor announces it; not in the inventory",
            "TIME  left        db-04              10.1.0.11          vnet2            its port is gone, or has no carrier",
            "TIME  left        02:00:00:00:99:99  -                  vnet2            its port is gone, or has no carrier; not in the inventory",
            "2 arrived, 2 left in TIME",
            "  here now: db-03",
            "  not here: 02:00:00:00:99:99, db-04",
            "",
          ]
        `)
      } finally {
        watcher.child.kill()
      }
    }))

  it('says the same as JSON lines, and ends when its time is over', () =>
    withArrivalsLab(PORTS, async (lab) => {
      const watcher = watch(lab.switch, 'y', '-i', 'br0', '-f', inventory, '--json', '--for', '6')
      const exited = once(watcher.child, 'close')
      const sending = setInterval(() => lab.behind('vnet1').send(rarp(VM.mac)), 200)
      await exited
      clearInterval(sending)
      const events = watcher
        .out()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(events).toMatchObject([
        {
          ...{schema: 'gwswitch.watch-event/1', event: 'arrived', vm: 'db-03', ...VM, segment: 'tenant-b'},
          ...{ports: ['vnet1'], source: 'rarp', lastSite: 'x', host: null},
          plan: {strategy: 'arp', to: 'by'},
        },
        {schema: 'gwswitch.watch-event/1', event: 'ended', arrived: 1, left: 0, here: ['db-03'], away: [], exitCode: 0},
      ])
      expect(events[0].afterMs).toBeLessThan(1000)
    }))

  it('sends nothing, whoever comes and goes', () =>
    withArrivalsLab(PORTS, async (lab) => {
      const watcher = watch(lab.switch, 'y', '-f', inventory)
      await watcher.says('watching vnet1 vnet2')
      const before = await lab.run('cat', '/sys/class/net/vnet2/statistics/tx_packets')
      lab.behind('vnet1').send(rarp(VM.mac))
      await watcher.says('would switch it')
      await watcher.end('SIGTERM')
      // That one frame, which the bridge floods.
      const after = await lab.run('cat', '/sys/class/net/vnet2/statistics/tx_packets')
      expect(Number(after) - Number(before)).toBe(1)
    }))

  it('sees a VM of the lab come from the other site, by what QEMU sends', () =>
    withLab({}, async (lab) => {
      const watcher = watch(lab.ns('sw-y'), 'y', '-f', lab.inventoryFile)
      try {
        await watcher.says('watching ')
        await (await moveVm(lab.prefix, 'db-03', 'y')).announced
        await watcher.says('would switch it to by')
        await (await moveVm(lab.prefix, 'db-03', 'x')).announced
        await until(async () => / {2}(?:left|back again) .*db-03/.test(watcher.out()), 15_000, 'it leaves')
        const lines = (await watcher.end('SIGINT')).split('\n')
        expect(lines.filter((line) => / {2}(?:arrived|left|back again) .*db-03/.test(line))).toHaveLength(2)
        expect(lines).toContainEqual(expect.stringMatching(/^1 arrived, (?:1 left|0 left, 1 went back again) in/))
      } finally {
        watcher.child.kill()
      }
    }))

  it('needs CAP_NET_RAW, and says so in one line', () =>
    withArrivalsLab(PORTS, async (lab) => {
      const under = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw']
      const {code, stderr} = await gwswitch(['watch', 'y', '-f', inventory], {namespace: lab.switch, under})
      expect({code, lines: stderr.trim().split('\n').length}, stderr).toEqual({code: 6, lines: 1})
      expect(stderr).toContain('raw frames need CAP_NET_RAW')
    }))
})

describe('gwswitch watch --from', () => {
  const event = (vm: string): string =>
    readFileSync(join(import.meta.dirname, '../domain/movement/recorded/libvirt-destination.txt'), 'utf8').replaceAll(
      /domain '[^']*'/g,
      `domain '${vm}'`,
    )

  it('reads what libvirt says on standard input', async () => {
    const {code, stdout} = await gwswitch(['watch', 'y', '--from', 'libvirt', '-f', inventory, '--json'], {
      input: `nonsense\n${event('db-03')}`,
    })
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(code).toBe(0)
    expect(events).toMatchObject([
      {event: 'arrived', vm: 'db-03', mac: VM.mac, source: 'libvirt', ports: []},
      {event: 'left', vm: 'db-03'},
      {event: 'ended', arrived: 1, left: 1},
    ])
  })

  it('passes it on to the resident service, and says what that does not take', async () => {
    const path = join(folder, 'site.sock')
    const heard: string[] = []
    const server = createServer((socket) => {
      socket.on('data', (chunk) => {
        heard.push(...chunk.toString().trim().split('\n'))
        socket.write(
          '{"schema":"gwswitch.site-answer/1","ok":false,"said":"unknown","error":{"message":"no such VM"}}\n',
        )
      })
    }).listen(path)
    try {
      const {code, stderr} = await gwswitch(['watch', '--from', 'libvirt', '--tell', path], {input: event('db-77')})
      expect({code, heard}, stderr).toEqual({code: 0, heard: ['arrived db-77', 'left db-77']})
      expect(stderr).toContain('the service says: no such VM')
    } finally {
      server.close()
    }
  })

  it.each([
    [['--from', 'libvirt', '--tell', join(folder, 'none.sock')], 5, /none\.sock: no such socket/],
    [['--from', 'nonsense'], 2, /--from/],
    [['z', '-f', inventory, '--from', 'qmp'], 2, /no site "z"/],
    [['--from', 'qmp', '-i', 'vnet0'], 2, /--from/],
  ] as const)('ends with a line for %j', async (args, exit, message) => {
    const {code, stderr} = await gwswitch(['watch', ...args])
    expect({code, stderr}).toEqual({code: exit, stderr: expect.stringMatching(message)})
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })
})
