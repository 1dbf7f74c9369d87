import {chmodSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync} from 'node:fs'
import {describe, expect, it} from 'vitest'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {startServer as serveForSwitch, startDhclient} from './dhcp-clients.ts'
import {type DhcpLab, GATEWAYS, textOf, until, VM_IP, withDhcpLab} from './dhcp-lab.ts'
import {startServer, threadStatus} from './dhcp-server-lab.ts'
import {startDhcpcd} from './dhcp-servers.ts'

const need = async (...programs: string[]): Promise<string | undefined> => {
  for (const program of programs) if (!(await hasProgram(program))) return `${program} is not installed`
  return noNamespaces
}
const title = (text: string, missing: string | undefined): string =>
  missing === undefined ? text : `${text} (${missing})`

const serve = (lab: DhcpLab, ...args: readonly string[]) => {
  // The server becomes nobody, who must reach its store.
  chmodSync(lab.dir, 0o755)
  return startServer(lab.server.namespace, {interfaceName: lab.server.interface, dir: lab.dir}, [
    '-f',
    lab.inventory,
    ...args,
  ])
}

/** One lease by busybox, which asks again after 10 s, so that a slow machine counts no message twice; resolves to what its script was told. */
const udhcpcOnce = (lab: DhcpLab, ...args: readonly string[]): Promise<string> =>
  lab.client.run(
    'sh',
    '-c',
    `cat >${lab.dir}/script <<'EOF'\n#!/bin/sh\necho "$1 $ip $router $lease" >&2\nEOF\nchmod +x ${lab.dir}/script; busybox udhcpc -i ${lab.client.interface} -n -q -f -t 3 -T 10 -s ${lab.dir}/script ${args.join(' ')} 2>&1`,
  )

const noDhcpcd = await need('dhcpcd')
const noUdhcpc = await need('busybox')
const noDhclient = await need('dhclient')
const noShark = await need('tshark', 'tcpdump', 'perfdhcp', 'busybox')

describe.skipIf(noNamespaces !== undefined)('serve dhcp', () => {
  it.skipIf(noDhcpcd)(
    title(
      'keeps leases, sites and nonces over kill -9: dhcpcd obeys the FORCERENEW of the server that comes after',
      noDhcpcd,
    ),
    async () => {
      await withDhcpLab('gwswitch', async (lab) => {
        const first = await serve(lab)
        await startDhcpcd(lab)
        expect(await lab.router()).toBe(GATEWAYS.rx.ip)
        const before = await first.ask({do: 'transaction', vm: 'web-07'})
        expect(before).toMatchObject({kind: 'dhcpcd', renewsEvery: 1800})
        await first.end('SIGKILL')

        const second = await serve(lab, '--t1', '5')
        try {
          expect(await second.ask({do: 'transaction', vm: 'web-07'})).toEqual(before)
          lab.start(lab.client, 'monitor', 'stdbuf', '-oL', 'ip', '-4', 'monitor', 'address')
          const events = await second.watch()
          expect(await second.ask({do: 'relocate', vm: 'web-07', site: 'y'})).toMatchObject({
            trigger: 'forcerenew',
            router: GATEWAYS.ry.ip,
          })
          await until(
            async () => (await lab.router()) === GATEWAYS.ry.ip,
            () => second.log(),
          )
          const [sent, asked] = [
            events.find(({answer}) => answer === 'DHCPFORCERENEW')!,
            events.find(({answer}) => answer === 'DHCPACK')!,
          ]
          expect(asked).toMatchObject({
            message: 'DHCPREQUEST',
            state: 'renewing',
            ip: VM_IP,
            router: GATEWAYS.ry.ip,
            site: 'y',
          })
          expect(lab.log('monitor')).not.toContain('Deleted')
          process.stdout.write(`FORCERENEW to ACK: ${Number(BigInt(asked.atNs) - BigInt(sent.atNs)) / 1e6} ms\n`)
        } finally {
          await second.end('SIGTERM')
        }
      })
    },
  )

  it.skipIf(noUdhcpc)(
    title(
      'has no privileges left but two, on any thread; stops on SIGTERM with a document; lets no second server in',
      noUdhcpc,
    ),
    async () => {
      await withDhcpLab('gwswitch', async (lab) => {
        const server = await serve(lab, '--json')
        expect(await udhcpcOnce(lab)).toContain(`bound ${VM_IP} ${GATEWAYS.rx.ip} 3600`)
        await expect(server.ask({do: {toString: 1}} as never)).rejects.toThrow('must be one of')
        expect(await server.ask({do: 'transaction', vm: 'web-07'})).toMatchObject({kind: 'udhcpc'})
        const tids = readdirSync(`/proc/${server.pid}/task`).sort((a, b) => Number(a) - Number(b))
        const [main, ...others] = threadStatus(server.pid, tids, 'CapPrm')
        // CAP_NET_BIND_SERVICE (10) and CAP_NET_RAW (13).
        expect(main).toBe('0000000000002400')
        expect(others.length).toBeGreaterThan(0)
        // Those of before the drop have lost all; those that the main thread makes later get its own two.
        expect(others.filter((held) => !['0000000000000000', main].includes(held))).toEqual([])
        expect(new Set(threadStatus(server.pid, tids, 'Uid')).size).toBe(1)
        expect(threadStatus(server.pid, tids, 'Uid')[0]).not.toMatch(/^0\b/)

        const rival = await lab.gwswitch(
          'serve',
          'dhcp',
          '-i',
          lab.server.interface,
          '--store',
          `${lab.dir}/other/leases.db`,
          '--control',
          `${lab.dir}/other.sock`,
        )
        expect([rival.code, rival.stderr]).toEqual([
          1,
          `gwswitch: UDP port 67 is in use on ${lab.server.interface}: another DHCP server or relay runs here\n`,
        ])
        const same = await lab.gwswitch(
          'serve',
          'dhcp',
          '-i',
          lab.server.interface,
          '--store',
          `${lab.dir}/leases/leases.db`,
          '--control',
          `${lab.dir}/other.sock`,
        )
        expect([same.code, same.stderr]).toEqual([
          1,
          `gwswitch: ${lab.dir}/leases/leases.db: the lease store is in use by another server\n`,
        ])

        const {code, stdout} = await server.end('SIGTERM')
        expect([code, JSON.parse(stdout)]).toMatchObject([
          0,
          {
            schema: 'gwswitch.serve-dhcp/1',
            stoppedBy: 'stopped by SIGTERM',
            status: {sent: {DHCPOFFER: 1, DHCPACK: 1}},
          },
        ])
      })
    },
  )

  it.skipIf(noUdhcpc)(
    title(
      'offers no address that a host on the segment uses, and serves a host that is not in the inventory the next',
      noUdhcpc,
    ),
    async () => {
      await withDhcpLab('gwswitch', async (lab) => {
        const {client} = lab
        await client.run('ip', 'link', 'set', client.interface, 'address', '02:00:00:00:00:77')
        await client.run(
          'ip',
          'link',
          'add',
          'squatter',
          'link',
          client.interface,
          'address',
          '02:00:00:00:00:78',
          'type',
          'macvlan',
          'mode',
          'bridge',
        )
        await client.run('ip', 'address', 'add', '10.9.0.100/24', 'dev', 'squatter')
        await client.run('ip', 'link', 'set', 'squatter', 'up')
        const server = await serve(lab, '--pool', '10.9.0.100-10.9.0.101', '--probe-wait', '1000')
        try {
          expect(await udhcpcOnce(lab)).toContain('bound 10.9.0.101')
          const {leases} = await server.ask({do: 'leases'})
          expect(leases.map(({ip, state}) => `${ip} ${state}`).sort()).toEqual([
            '10.9.0.100 declined',
            '10.9.0.101 bound',
          ])
          expect(server.log()).toContain('10.9.0.100 is in use by 02:00:00:00:00:78, a host that did not get it here')
        } finally {
          await server.end('SIGTERM')
        }
      })
    },
  )

  it.skipIf(noUdhcpc)(
    title('names a host that answers ARP for everybody, and has its whole pool when that is gone', noUdhcpc),
    async () => {
      await withDhcpLab('gwswitch', async (lab) => {
        await lab.client.run('ip', 'link', 'set', lab.client.interface, 'address', '02:00:00:00:00:77')
        // The kernel's own proxy ARP leaves out what asks without an address of its own; who holds all addresses does not.
        const answers = (change: 'add' | 'del') =>
          runCommand('ip', ['-n', lab.gateway('ry'), 'route', change, 'local', '10.9.0.96/28', 'dev', 'lo'])
        await answers('add')
        const server = await serve(lab, '--pool', '10.9.0.100-10.9.0.104', '--probe-wait', '400')
        try {
          const client = lab.start(
            lab.client,
            'udhcpc',
            'busybox',
            'udhcpc',
            '-f',
            '-i',
            lab.client.interface,
            '-T',
            '1',
            '-t',
            '1',
            '-n',
            '-s',
            '/bin/true',
          )
          await until(
            () => server.log().includes('answers for every address'),
            () => server.log(),
          )
          client.kill('SIGKILL')
          expect(server.log()).toContain(
            `${GATEWAYS.ry.mac} answers for every address that is asked for (10.9.0.100, 10.9.0.101, 10.9.0.102)`,
          )
          const status = await server.ask({do: 'status'})
          expect(status.segments[0]).toMatchObject({pool: {size: 5, free: 5}})
          await answers('del')
          expect(await udhcpcOnce(lab)).toContain('bound 10.9.0.10')
        } finally {
          await server.end('SIGTERM')
        }
      })
    },
  )

  it.skipIf(noShark)(
    title('sends nothing that tshark calls malformed, and completes what perfdhcp asks at a modest rate', noShark),
    async () => {
      await withDhcpLab('gwswitch', async (lab) => {
        const {client, dir} = lab
        const options = [
          '--dns',
          '10.9.0.53',
          '--search',
          'a.example',
          '--search',
          'b.a.example',
          '--route',
          '10.8.0.0/16=10.9.0.4',
          '--option',
          `43=hex:${'5a'.repeat(240)}`,
        ]
        const server = await serve(lab, '--pool', '10.9.0.100-10.9.0.250', '--probe-wait', '0', '--quiet', ...options)
        try {
          const capture = lab.start(
            lab.server,
            'tcpdump',
            'tcpdump',
            '-U',
            '-n',
            '-i',
            lab.server.interface,
            '-w',
            `${dir}/dhcp.pcap`,
            'udp port 67 or udp port 68',
          )
          await until(
            () => textOf(`${dir}/tcpdump.log`).includes('listening'),
            () => textOf(`${dir}/tcpdump.log`),
          )
          expect(await udhcpcOnce(lab, '-O', '121', '-O', '119', '-O', '43', '-R')).toContain('bound')
          await client.run('ip', 'address', 'add', '10.9.0.20/24', 'dev', client.interface)
          const perf = await tryCommand('ip', [
            'netns',
            'exec',
            client.namespace,
            'perfdhcp',
            '-4',
            '-r',
            '40',
            '-R',
            '100',
            '-n',
            '100',
            '-W',
            '2000000',
            '-d',
            '10',
            '-l',
            client.interface,
            '10.9.0.1',
          ])
          const received = [...perf.stdout.matchAll(/received packets: (\d+)/g)].map(([, count]) => Number(count))
          // A busy machine may lose it some; the server loses none.
          for (const count of received.slice(0, 2)) expect(count, perf.stdout + perf.stderr).toBeGreaterThanOrEqual(98)
          const status = await server.ask({do: 'status'})
          expect(status.received.DHCPDISCOVER).toBeGreaterThanOrEqual(99)
          expect(status.sent.DHCPOFFER).toBe(status.received.DHCPDISCOVER)
          expect(status.sent.DHCPACK).toBe(status.received.DHCPREQUEST)
          capture.kill('SIGINT')
          await until(
            () => textOf(`${dir}/tcpdump.log`).includes('packets captured'),
            () => textOf(`${dir}/tcpdump.log`),
          )
          const shark = (filter: string) => lab.server.run('tshark', '-n', '-r', `${dir}/dhcp.pcap`, '-Y', filter)
          expect(await shark('_ws.malformed || _ws.expert.severity >= 0x00600000')).toBe('')
          expect(
            (await shark('dhcp.type == 2 && dhcp.option.dhcp == 5')).trim().split('\n').length,
          ).toBeGreaterThanOrEqual(99)
        } finally {
          await server.end('SIGTERM')
        }
      })
    },
  )

  it.skipIf(noUdhcpc)(
    title('reads its inventory again on SIGHUP, and goes on with the one before where it is wrong', noUdhcpc),
    async () => {
      await withDhcpLab('gwswitch', async (lab) => {
        const server = await serve(lab)
        try {
          expect(await udhcpcOnce(lab)).toContain(`bound ${VM_IP} ${GATEWAYS.rx.ip} 3600`)
          const reload = async (text: string, word: string) => {
            writeFileSync(lab.inventory, text)
            process.kill(server.pid, 'SIGHUP')
            await until(
              () => server.log().includes(word),
              () => server.log(),
            )
          }
          const before = readFileSync(lab.inventory, 'utf8')
          await reload('version: 1\nsegments: 7\n', 'inventory not taken')
          expect(server.log()).toMatch(/inventory not taken: [^\n]*gwswitch\.yaml:2[^\n]*; goes on with the one before/)
          expect(await udhcpcOnce(lab)).toContain(`bound ${VM_IP} ${GATEWAYS.rx.ip} 3600`)
          await reload(before.replace('10.9.0.0/24', '10.9.0.0/25'), 'is taken at a restart')
          await reload(before.replace(', site: x, strategies', ', site: y, strategies'), 'event=reloaded')
          expect(server.log()).toContain('event=reloaded segments=lan vms=1')
          expect(await udhcpcOnce(lab)).toContain(`bound ${VM_IP} ${GATEWAYS.ry.ip} 3600`)
        } finally {
          expect((await server.end('SIGTERM')).code).toBe(0)
        }
      })
    },
  )

  it.skipIf(noUdhcpc)(
    title('says that its disk is full, gives nobody a lease while it is, and goes on when there is room', noUdhcpc),
    async () => {
      await withDhcpLab('gwswitch', async (lab) => {
        const {dir, inventory} = lab
        chmodSync(dir, 0o755)
        const small = `mkdir -p ${dir}/full && mount -t tmpfs -o size=512k none ${dir}/full && exec "$@"`
        const server = await startServer(
          lab.server.namespace,
          {
            interfaceName: lab.server.interface,
            dir,
            store: `${dir}/full/leases.db`,
            under: ['unshare', '-m', 'sh', '-c', small, 'sh'],
          },
          ['-f', inventory],
        )
        const onDisk = (command: string) => runCommand('nsenter', ['-t', `${server.pid}`, '-m', 'sh', '-c', command])
        try {
          await onDisk(`dd if=/dev/zero of=${dir}/full/filler bs=4k 2>/dev/null || true`)
          lab.start(
            lab.client,
            'udhcpc',
            'busybox',
            'udhcpc',
            '-f',
            '-i',
            lab.client.interface,
            '-T',
            '1',
            '-t',
            '3',
            '-n',
            '-s',
            '/bin/true',
          )
          await until(
            () => server.log().includes('the disk is full'),
            () => server.log(),
          )
          expect(server.log()).toContain('leases.db: cannot store leases, so that nobody gets one: the disk is full')
          expect(server.log()).not.toContain('event=DHCPACK')
          await onDisk(`rm ${dir}/full/filler`)
          await until(
            () => server.log().includes('event=DHCPACK'),
            () => server.log(),
          )
        } finally {
          await server.end('SIGTERM')
        }
      })
    },
  )

  it.skipIf(noDhclient)(
    title('tells a switch that a VM runs stock dhclient, of which its inventory says nothing', noDhclient),
    async () => {
      await withDhcpLab('gwswitch', async (lab) => {
        await serveForSwitch(lab, '--t1', '15')
        await startDhclient(lab, false)
        const planned = await lab.gwswitch('switch', 'web-07', '--to', 'y', '-i', lab.server.interface, '--dry-run')
        expect([planned.code, planned.stdout]).toEqual([
          0,
          expect.stringContaining('answer its next renewal, within 16 s, with a NAK'),
        ])
      })
    },
  )

  it('stops at once, with one line, where its store has lost what its log is for, and as often as it is started', async () => {
    await withDhcpLab('gwswitch', async (lab) => {
      await (await serve(lab)).end('SIGKILL')
      const store = `${lab.dir}/leases/leases.db`
      truncateSync(store, 0)
      for (let i = 0; i < 2; i++) {
        const {code, stderr} = await (await serve(lab)).end('SIGTERM')
        expect([code, stderr]).toEqual([
          1,
          expect.stringMatching(
            /^gwswitch: .*leases\.db: the lease store is corrupt \(leases\.db is empty, and its log leases\.db-wal holds \d+ bytes\): [^\n]+\n$/,
          ),
        ])
      }
      expect(statSync(`${store}-wal`).size).toBeGreaterThan(0)
    })
  })

  it('stops at once, with one line, where its store is read-only, and for a wrong command line', async () => {
    await withDhcpLab('gwswitch', async ({server, dir, inventory, gwswitch}) => {
      const ro = [
        'unshare',
        '-m',
        'sh',
        '-c',
        `mkdir -p ${dir}/ro && mount -t tmpfs -o ro none ${dir}/ro && exec "$@"`,
        'sh',
      ]
      const started = await startServer(
        server.namespace,
        {interfaceName: server.interface, dir, store: `${dir}/ro/leases.db`, under: ro},
        ['-f', inventory],
      )
      const {code, stderr} = await started.end('SIGTERM')
      expect([code, stderr]).toEqual([
        1,
        `gwswitch: ${dir}/ro/leases.db: the lease store cannot be written (its file system is read-only)\n`,
      ])
      expect(await gwswitch('serve', 'dhcp')).toMatchObject({
        code: 2,
        stderr: 'gwswitch: no interface is given (want -i IF, one on the segment to serve)\n',
      })
      expect(
        await gwswitch('serve', 'dhcp', '-i', server.interface, '--user', 'no-such-user', '--store', `${dir}/l/l.db`),
      ).toMatchObject({code: 2})
    })
  })
})
