import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {describe, expect, it} from 'vitest'
import {startSession} from '../../src/lab/session.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {tryCommand} from '../../src/net/process/command.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {hasProgram, noNamespaces, withLab} from '../support/namespaces.ts'
import {textOf, until} from './dhcp-lab.ts'

const missing = noNamespaces ?? ((await hasProgram('dhcpcd')) ? undefined : 'dhcpcd is not installed')
const CLI = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

describe.skipIf(missing !== undefined)(`a migrated VM and the dhcp strategy${missing ? ` (${missing})` : ''}`, () => {
  it("is switched from its new site's gateway, where none of its renewal passes, and loses no session", async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gwswitch-dhcp-lab-'))
    const running: ReturnType<typeof spawnIn>[] = []
    try {
      await withLab({dciDelayMs: 2, wanDelayMs: 2}, async (lab) => {
        const inventory = join(dir, 'gwswitch.yaml')
        const segment = `dhcp: {server: gwswitch, address: 10.0.0.1, control: ${dir}/control, state: ${dir}/state.db}`
        writeFileSync(
          inventory,
          readFileSync(lab.inventoryFile, 'utf8').replace(
            '    prefix: 10.0.0.0/24\n',
            `    prefix: 10.0.0.0/24\n    ${segment}\n`,
          ),
        )
        const start = (node: string, name: string, ...argv: string[]): void => {
          running.push(
            spawnIn(lab.ns(node), ['sh', '-c', `exec "$@" >>${dir}/${name}.log 2>&1`, 'sh', ...argv], {
              stdio: 'ignore',
            }),
          )
        }
        const gwswitch = (node: string, ...args: string[]) =>
          tryCommand('ip', ['netns', 'exec', lab.ns(node), process.execPath, CLI, ...args, '-f', inventory])
        const router = async () =>
          (await lab.run('web-07', 'ip', '-4', 'route', 'show', 'default')).match(/^default via (\S+)/m)?.[1]

        start(
          'rx',
          'serve',
          process.execPath,
          CLI,
          'serve',
          'dhcp',
          '-i',
          'seg-a',
          '-f',
          inventory,
          '--site',
          'x',
          '--store',
          join(dir, 'leases.db'),
          '--control',
          join(dir, 'control'),
          '--user',
          'root',
          '--probe-wait',
          '0',
        )
        await until(
          () => textOf(join(dir, 'serve.log')).includes('event=ready'),
          () => textOf(join(dir, 'serve.log')),
        )
        const nic = (JSON.parse(await lab.run('web-07', 'ip', '-json', 'link')) as {ifname: string}[]).find(
          ({ifname}) => ifname !== 'lo',
        )!.ifname
        await lab.run('web-07', 'ip', 'address', 'flush', 'dev', nic)
        start(
          'web-07',
          'dhcpcd',
          'unshare',
          '-m',
          'sh',
          '-c',
          'mount -t tmpfs none /run && touch /run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf && mkdir -p /run/dhcpcd && mount -t tmpfs none /var/lib/dhcpcd && exec dhcpcd -B --nodev -4 "$1"',
          'sh',
          nic,
        )
        await until(
          async () => (await router()) !== undefined,
          () => textOf(join(dir, 'dhcpcd.log')) + textOf(join(dir, 'serve.log')),
        )
        expect(await router()).toBe('10.0.0.1')

        const session = await startSession(lab.prefix, 'web-07', 'user-y')
        await (await moveVm(lab.prefix, 'web-07', 'y')).announced
        const {stdout, stderr} = await gwswitch('ry', 'switch', 'web-07', '--to', 'y', '--strategy', 'dhcp', '--json')
        const document = JSON.parse(stdout || `"${stderr}"`) as SwitchDocument
        expect(document, textOf(join(dir, 'serve.log'))).toMatchObject({
          verified: true,
          exitCode: 0,
          plan: {interface: 'seg-a', triggers: [{kind: 'forcerenew'}]},
        })
        expect(document.evidence).toEqual([
          'its last ACK gave it 10.0.0.2',
          'web-07 leaves through ry (02:00:00:00:0b:01)',
        ])
        expect(document.steps.flatMap(({events}) => events.map(({text}) => text)).join()).toContain(
          'told by the server',
        )
        expect(await router()).toBe('10.0.0.2')

        // The trombone is gone, and the session never knew.
        const trace = await gwswitch('web-07', 'trace', '203.0.113.10', '--json')
        expect(trace.code, trace.stdout + trace.stderr).toBe(0)
        expect((await session.stop()).tcp).toMatchObject({contiguous: true, reconnects: 0})
      })
    } finally {
      for (const child of running) child.kill('SIGTERM')
      rmSync(dir, {recursive: true, force: true})
    }
  }, 180_000)
})
