// A frame laid into the tap of a VM that does not run yet is the first thing that the VM gets.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {runGarp} from '../../src/orders/garp/run-garp.ts'
import {arp} from '../../src/strategies/arp/arp.ts'
import {carryOut} from '../../src/strategies/carry-out.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {type SegmentLab, VM_MAC, withSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {until} from './arp-lab.ts'
import {worldIn} from './arp-link.ts'

const noPython = (await hasProgram('python3')) ? undefined : 'python3 is not installed'

/**
 * What a hypervisor does with a tap: opens it at once, and passes frames between it and the VM's interface only from when
 * the VM runs (a line on standard input). Until then they wait in the tap's queue.
 */
const HYPERVISOR = `
import fcntl, os, select, socket, struct, sys
tap = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack('16sH', b'tap0', 0x1002))
os.system('ip link set tap0 address 02:00:00:00:00:fe master br0 up')
vm = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
vm.bind(('vnet0', 0))
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

/** The segment, with the VM behind a tap in place of its port. It does not run until it is resumed. */
async function withGuest<T>(fn: (lab: SegmentLab, resume: () => void) => Promise<T>): Promise<T> {
  return withSegmentLab({}, async (lab) => {
    await lab.run('sw', 'ip link set vnet0 nomaster')
    const [program = '', ...args] = namespaceCommand(lab.ns('sw'), ['python3', '-c', HYPERVISOR])
    const hypervisor: ChildProcess = spawn(program, args, {stdio: ['pipe', 'pipe', 'inherit']})
    try {
      await once(hypervisor.stdout!, 'data')
      return await fn(lab, () => void hypervisor.stdin!.write('\n'))
    } finally {
      hypervisor.kill('SIGKILL')
      if (hypervisor.exitCode === null && hypervisor.signalCode === null) await once(hypervisor, 'exit')
    }
  })
}

const never = new AbortController().signal

describe.skipIf(noNamespaces ?? noPython)('a VM that does not run yet', () => {
  it('is switched by what waits in its tap: the first thing it sends goes to the new gateway', async () => {
    await withGuest(async (lab, resume) => {
      const world = worldIn(lab.ns('sw'))
      const inventory = parseInventory(lab.inventory, 'gwswitch.yaml')
      const switchover = switchoverFrom(resolveSwitchover(inventory, {vm: 'db-03', to: 'y'}))
      const plan = await arp.plan(switchover, {interfaceName: 'tap0', arrivalMs: 20_000}, world)
      expect(plan).toMatchObject({interface: 'tap0', arrivalMs: 20_000})
      const running = carryOut(arp, plan, world, {signal: never})
      await sleep(700)
      expect(await lab.gateway()).toBe(X_MAC)
      resume()
      const {end, verdict, steps} = await running
      expect({end, verdict}).toMatchObject({
        end: 'switched',
        verdict: {
          ...{ok: true, code: 'served', uses: {name: 'by'}},
          evidence: expect.arrayContaining([`db-03 leaves through by (${Y_MAC})`]),
        },
      })
      expect(await lab.gateway()).toBe(Y_MAC)
      const frames = steps
        .find(({step}) => step === 'execute')!
        .events.map(({text, frame, atMs}) => ({text, atMs, direction: frame?.direction}))
      expect(frames[0]).toMatchObject({
        direction: 'out',
        text: expect.stringMatching(/^who-has 10\.1\.0\.10 tell 10\.1\.0\.254 at 02:00:00:00:0b:02/),
      })
      // Two wait in the queue, of which QEMU takes one for itself; a third goes out where it is heard before it has followed.
      expect([2, 3]).toContain(frames.filter(({text}) => text.startsWith('who-has')).length)
      expect(frames.find(({text}) => text.includes('echo reply'))).toMatchObject({text: expect.stringContaining(Y_MAC)})
      expect(frames.at(-1)!.atMs).toBeGreaterThan(500)
    })
  })

  it('is waited for no longer than was said', async () => {
    await withGuest(async (lab, resume) => {
      const order = {
        gateway: '10.1.0.254',
        interfaceName: 'tap0',
        mac: Y_MAC,
        vmIp: '10.1.0.10',
        vmMac: VM_MAC,
        broadcast: false,
        listenMs: 100,
      }
      const document = await runGarp({...order, arrivalMs: 300}, undefined, {
        world: worldIn(lab.ns('sw')),
        dryRun: false,
        signal: never,
      })
      expect(document).toMatchObject({verdict: 'silent', exitCode: 5})
      resume()
      // What was laid into the queue stays there: the VM is moved all the same when it comes.
      expect(
        await until(
          () => lab.gateway(),
          (mac) => mac === Y_MAC,
        ),
      ).toBe(Y_MAC)
    })
  })
})
