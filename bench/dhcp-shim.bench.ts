// What the shim costs a renewal: the same ones through a bridge alone and past the shim at it, in turns; a real dnsmasq on
// another host, one client that asks some hundred times a second. Needs root and dnsmasq.
import {readFileSync} from 'node:fs'
import {median, quantile} from '../src/domain/trace/statistics.ts'
import {table} from '../src/render/table.ts'
import {VM_IP, withDhcpLab} from '../test/peers/dhcp-lab.ts'
import {renewer} from '../test/peers/dhcp-renewer.ts'
import {SERVERS} from '../test/peers/dhcp-servers.ts'
import {startShim, stop} from '../test/peers/dhcp-shims.ts'

const ROUNDS = process.argv.includes('--quick') ? 2 : 5
const RENEWALS = 5000
/** The code of the shim and of the client is compiled by then. */
const WARM = 5000
/** USER_HZ: ticks a second of /proc/PID/stat. */
const TICK_US = 10_000
const IDLE_MS = 5000

const ticks = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return Number(fields[11]) + Number(fields[12])
}
const rows = new Map<string, number[]>()
const note = (what: string, value: number): void => void rows.set(what, [...(rows.get(what) ?? []), value])

await withDhcpLab(
  'dnsmasq',
  async (lab) => {
    await SERVERS.dnsmasq.start(lab)
    await lab.client.run('ip', 'address', 'add', `${VM_IP}/24`, 'dev', lab.client.interface)
    await using client = await renewer(lab)
    await client.lease()
    const measure = async (how: string): Promise<void> => {
      const {delaysMs, unanswered, repeated} = await client.renew(RENEWALS)
      if (unanswered + repeated > 0) throw new Error(`${how}: ${unanswered} unanswered, ${repeated} repeated`)
      note(`p50 ms, ${how}`, median(delaysMs))
      note(`p99 ms, ${how}`, quantile(delaysMs, 0.99))
    }
    await client.renew(WARM)
    for (let round = 0; round < ROUNDS; round++) {
      await measure('the bridge alone')
      const shim = await startShim(lab, 'y')
      const pid = shim.process.pid!
      await client.renew(WARM)
      const before = ticks(pid)
      await measure('past the shim')
      note('CPU µs a reply', ((ticks(pid) - before) * TICK_US) / RENEWALS)
      const idle = ticks(pid)
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
      note('% of a core, idle', ((ticks(pid) - idle) * TICK_US) / IDLE_MS / 10)
      note('MiB', Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)
      await stop(shim)
    }
  },
  {apart: true},
)

const lines = [...rows].map(([what, values]) => [
  what,
  median(values).toFixed(2),
  Math.min(...values).toFixed(2),
  Math.max(...values).toFixed(2),
])
console.log(table([['', 'median', 'min', 'max'], ...lines], {align: ['left', 'right', 'right', 'right']}))
