// A frame laid into the tap of a VM that does not run yet is the first thing that the VM gets.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {namespaceCommand, namespaces} from '../../src/net/process/netns.ts'
import {runGarp} from '../../src/orders/garp/run-garp.ts'
import {arp} from '../../src/strategies/arp/arp.ts'
import {carryOut} from '../../src/strategies/switch.ts'
import {INVENTORY} from '../support/inventory.ts'
import {hasProgram, noNamespaces, withPrefix} from '../support/namespaces.ts'
import {until} from './arp-lab.ts'
import {worldIn} from './arp-link.ts'

const A = '02:00:00:00:0a:02'
const B = '02:00:00:00:0b:02'
const noPython = (await hasProgram('python3')) ? undefined : 'python3 is not installed'

/**
 * What a hypervisor does with a tap: opens it at once, and passes frames between it and the VM's interface only from when
 * the VM runs (a line on standard input). Until then they wait in the tap's queue.
 */
const HYPERVISOR = `
import fcntl, os, select, socket, struct, sys
tap = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack('16sH', b'tap0', 0x1002))
os.system('ip link set tap0 address 02:00:00:00:00:fe up')
vm = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
vm.bind(('vm0', 0))
print('ready', flush=True)
sys.stdin.readline()
while True:
    for ready in select.select([tap, vm], [], [])[0]:
        if ready is tap:
            vm.send(os.read(tap, 2048))
        else:
            frame, address = vm.recvfrom(2048)
            if address[2] != 4:
                os.write(tap, frame)
`

interface Guest {
  readonly host: string
  run(...argv: readonly string[]): Promise<string>
  resume(): void
}

async function withGuest<T>(fn: (guest: Guest) => Promise<T>): Promise<T> {
  const remove = async (prefix: string): Promise<void> => {
    for (const name of namespaces().filter((each) => each === `${prefix}-h` || each === `${prefix}-v`)) {
      await runCommand('ip', ['netns', 'del', name])
    }
  }
  return withPrefix(remove, async (prefix) => {
    const [host, vm] = [`${prefix}-h`, `${prefix}-v`]
    const inside = (name: string, argv: readonly string[]): Promise<string> => {
      const [program = '', ...args] = namespaceCommand(name, argv)
      return runCommand(program, args)
    }
    await runCommand('sh', [
      '-ec',
      `ip netns add ${host}; ip netns add ${vm}
       for ns in ${host} ${vm}; do ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; done
       ip link add index 31 name vm0 netns ${host} type veth peer index 32 name eth0 address 02:00:00:00:01:10 netns ${vm}
       ip -n ${host} link set vm0 up
       ip -n ${vm} link set eth0 up; ip -n ${vm} address add 10.1.0.10/24 dev eth0; ip -n ${vm} route add default via 10.1.0.254
       ip -n ${vm} neigh replace 10.1.0.254 lladdr ${A} dev eth0 nud reachable`,
    ])
    const [program = '', ...args] = namespaceCommand(host, ['python3', '-c', HYPERVISOR])
    const hypervisor: ChildProcess = spawn(program, args, {stdio: ['pipe', 'pipe', 'inherit']})
    try {
      await once(hypervisor.stdout!, 'data')
      return await fn({host, run: (...argv) => inside(vm, argv), resume: () => void hypervisor.stdin!.write('\n')})
    } finally {
      hypervisor.kill('SIGKILL')
      if (hypervisor.exitCode === null && hypervisor.signalCode === null) await once(hypervisor, 'exit')
    }
  })
}

const gatewayOf = async (guest: Guest): Promise<string | undefined> =>
  (JSON.parse(await guest.run('ip', '-json', 'neigh', 'show', '10.1.0.254')) as {lladdr?: string}[])[0]?.lladdr

const never = new AbortController().signal

describe.skipIf(noNamespaces ?? noPython)('a VM that does not run yet', () => {
  it('is switched by what waits in its tap: the first thing it sends goes to the new gateway', async () => {
    await withGuest(async (guest) => {
      const world = worldIn(guest.host)
      const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
      const switchover = switchoverFrom(resolveSwitchover(inventory, {vm: 'db-03', to: 'y'}))
      const plan = await arp.plan(switchover, {interfaceName: 'tap0', arrivalMs: 20_000}, world)
      expect(plan).toMatchObject({interface: 'tap0', arrivalMs: 20_000})
      const running = carryOut(arp, plan, world, never)
      await sleep(700)
      expect(await gatewayOf(guest)).toBe(A)
      guest.resume()
      const {verdict, steps} = await running
      expect(verdict).toEqual({ok: true, evidence: [`db-03 sends to by (${B})`]})
      expect(await gatewayOf(guest)).toBe(B)
      const frames = steps[0]!.events.map(({text, frame, atMs}) => ({text, atMs, direction: frame?.direction}))
      expect(frames[0]).toMatchObject({
        direction: 'out',
        text: expect.stringMatching(/^who-has 10\.1\.0\.10 tell 10\.1\.0\.254 at 02:00:00:00:0b:02/),
      })
      // One round was enough: the echo that waited with it was answered to the new gateway.
      expect(frames.filter(({text}) => text.startsWith('who-has'))).toHaveLength(1)
      expect(frames.find(({text}) => text.includes('echo reply'))).toMatchObject({text: expect.stringContaining(B)})
      expect(frames.at(-1)!.atMs).toBeGreaterThan(500)
    })
  })

  it('is waited for no longer than was said', async () => {
    await withGuest(async (guest) => {
      const order = {
        gateway: '10.1.0.254',
        interfaceName: 'tap0',
        mac: B,
        vmIp: '10.1.0.10',
        vmMac: '02:00:00:00:01:10',
        broadcast: false,
        listenMs: 100,
      }
      const document = await runGarp({...order, arrivalMs: 300}, undefined, {
        world: worldIn(guest.host),
        dryRun: false,
        signal: never,
      })
      expect(document).toMatchObject({verdict: 'silent', exitCode: 5})
      guest.resume()
      // What was laid into the queue stays there: the VM is moved all the same when it comes.
      expect(
        await until(
          () => gatewayOf(guest),
          (mac) => mac === B,
        ),
      ).toBe(B)
    })
  })
})
