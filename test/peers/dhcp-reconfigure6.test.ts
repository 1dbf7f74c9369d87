import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {describe, expect, it} from 'vitest'
import {tryCommand} from '../../src/net/process/command.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
import {hasProgram, noNamespaces, type PairEnd, withPair} from '../support/namespaces.ts'
import {killAll, NONCE, textOf, until} from './dhcp-lab.ts'

const missing = noNamespaces ?? ((await hasProgram('dhcpcd')) ? undefined : 'dhcpcd is not installed')
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

describe.skipIf(missing !== undefined)(`send-reconfigure --ipv6${missing ? ` (${missing})` : ''}`, () => {
  it('makes dhcpcd renew with the key that --learn saw, and a wrong key leaves it silent', async () => {
    await withPair(async (server, client) => {
      const dir = mkdtempSync(join(tmpdir(), 'gwswitch-dhcp6-'))
      const start = (end: PairEnd, name: string, ...argv: string[]) =>
        spawnIn(end.namespace, ['sh', '-c', `exec "$@" >>${dir}/${name}.log 2>&1`, 'sh', ...argv], {stdio: 'ignore'})
      const log = (name: string): string => textOf(join(dir, `${name}.log`))
      const gwswitch = (...args: string[]) =>
        tryCommand('ip', [
          'netns',
          'exec',
          server.namespace,
          process.execPath,
          here('../../bin/run.js'),
          'send-reconfigure',
          ...args,
          '--state',
          `${dir}/state.db`,
          '-i',
          server.interface,
        ])
      try {
        for (const end of [server, client]) {
          await end.run(
            'sysctl',
            '-qw',
            `net/ipv6/conf/${end.interface}/accept_dad=0`,
            `net/ipv6/conf/${end.interface}/disable_ipv6=0`,
          )
        }
        start(server, 'server', process.execPath, here('./dhcp6-server.ts'), server.interface, NONCE)
        await until(
          () => log('server').includes('ready'),
          () => log('server'),
        )
        start(
          server,
          'learn',
          process.execPath,
          here('../../bin/run.js'),
          'send-reconfigure',
          '--learn',
          '--verbose',
          '-i',
          server.interface,
          '--state',
          `${dir}/state.db`,
        )
        await until(
          async () => (await server.run('cat', '/proc/net/packet')).split('\n').length > 2,
          () => log('learn'),
        )

        writeFileSync(
          join(dir, 'dhcpcd.conf'),
          'duid\noption dhcp6_reconfigure_accept\nipv6only\nnoipv6rs\ninterface eth0\nia_na 1\n',
        )
        const own =
          'mount -t tmpfs none /run && touch /run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf && mkdir -p /run/dhcpcd && mount -t tmpfs none /var/lib/dhcpcd && exec dhcpcd -B -d --nodev -6 -f "$1" "$2"'
        start(client, 'dhcpcd', 'unshare', '-m', 'sh', '-c', own, 'sh', join(dir, 'dhcpcd.conf'), client.interface)
        await until(
          async () => (await client.run('ip', '-6', 'address')).includes('2001:db8::10'),
          () => log('dhcpcd') + log('server'),
        )
        await until(
          () => log('learn').includes('with a reconfigure key'),
          () => log('learn'),
        )

        const good = await gwswitch('fe80::ff:fe00:b', '--mac', client.mac, '--ipv6', '--json')
        expect(JSON.parse(good.stdout || good.stderr), log('dhcpcd')).toMatchObject({
          exitCode: 0,
          clients: [{outcome: 'acted', router: null}],
        })
        expect(
          log('server')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line).type),
        ).toContain(5)

        writeFileSync(join(dir, 'wrong'), '00'.repeat(16))
        const bad = await gwswitch(
          'fe80::ff:fe00:b',
          '--mac',
          client.mac,
          '--ipv6',
          '--json',
          '--nonce-file',
          join(dir, 'wrong'),
          '--attempts',
          '1',
        )
        expect(JSON.parse(bad.stdout)).toMatchObject({exitCode: 5, clients: [{outcome: 'silent'}]})
      } finally {
        await killAll([server.namespace, client.namespace])
        rmSync(dir, {recursive: true, force: true})
      }
    })
  }, 120_000)
})
