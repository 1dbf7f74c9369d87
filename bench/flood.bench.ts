// Floods of the guest agent: what they cost it, and whether real commands are obeyed meanwhile.
//
// A stranger beside a gateway sends datagrams at a fixed rate, as somebody could who knows the name of a key; a controller
// sends commands with a tag, again until they are answered, as notify-agent does.
import {existsSync, readFileSync} from 'node:fs'
import {cpus} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {quantile} from '../src/domain/trace/statistics.ts'
import {table} from '../src/render/table.ts'
import {newPrivateKey, signCommand, withTag} from '../src/wire/agent-message.ts'
import {FAR4, NEW4, OLD4, type Site, VM4, withSite} from '../test/services/agent/site.ts'

const quick = process.argv.includes('--quick')
const RATES = quick ? [10_000] : [1000, 10_000, 50_000]
const SWITCHES = 8
const BUDGET_PERCENT = 25
const built = join(import.meta.dirname, '../dist/services/agent/agent-main.js')
const cli = join(import.meta.dirname, '..', existsSync(built) ? 'bin/run.js' : 'bin/dev.js')

const FLOOD = `
const {createSocket} = require('node:dgram')
const [message, rate, to] = process.argv.slice(1)
const bytes = Buffer.from(message, 'base64')
const socket = createSocket({type: 'udp4', sendBufferSize: 4 << 20})
const start = performance.now()
let sent = 0
setInterval(() => {
  const due = Math.min(((performance.now() - start) / 1000) * Number(rate) - sent, 500)
  for (let i = 0; i < due; i++, sent++) socket.send(bytes, 6742, to)
}, 1)`

const stranger = {kid: 'site-y', privateKey: newPrivateKey()}
const kinds = (site: Site): Record<string, Buffer> => {
  const token = signCommand(site.command({gw4: NEW4}), stranger)
  return {
    nothing: Buffer.alloc(0),
    noise: Buffer.alloc(600, 0xa5),
    'a signature of one character': Buffer.from(token.slice(0, -85)),
    "a stranger's signature": Buffer.from(token),
    'the same with a tag': Buffer.from(withTag(token, stranger)),
  }
}

/** proc_pid_stat(5), fields 14 and 15, in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** A command with a tag, again until it is decided; ms, or undefined if that takes more than 6 s. */
async function obeyed(site: Site, gw4: string): Promise<number | undefined> {
  const order = site.command({gw4, mode: 'replace'})
  const token = withTag(site.sign(order), {kid: 'site-y', privateKey: site.keys.site})
  const start = performance.now()
  for (let round = 0; performance.now() - start < 6000; round++) {
    if (round % 10 === 0) site.send(token)
    await delay(20)
    if (site.answers.some(({seq, state}) => seq === order.seq && state === 'confirmed'))
      return performance.now() - start
  }
  return undefined
}

const rows = await withSite({config: {probes: [FAR4], windows: {guardS: 0}}}, async (site) => {
  const agent = await site.start({program: [process.execPath, cli, 'agent', '--config']})
  const pid = agent.child.pid!
  const found: {name: string; rate: number; percent: number; ok: number; p50: number}[] = []
  for (const [name, message] of Object.entries(kinds(site))) {
    for (const rate of name === 'nothing' ? [0] : RATES) {
      const flood = site.spawn('r2', process.execPath, '-e', FLOOD, message.toString('base64'), `${rate}`, VM4)
      await delay(2000)
      const [before, start] = [cpuMs(pid), performance.now()]
      await delay(4000)
      const percent = ((cpuMs(pid) - before) / (performance.now() - start)) * 100
      const times: (number | undefined)[] = []
      for (let i = 0; i < SWITCHES; i++) times.push(await obeyed(site, i % 2 === 0 ? NEW4 : OLD4))
      flood.child.kill('SIGKILL')
      const done = times.filter((ms) => ms !== undefined)
      found.push({name, rate, percent, ok: done.length, p50: done.length === 0 ? Number.NaN : quantile(done, 0.5)})
    }
  }
  await agent.kill('SIGTERM')
  return found
})

console.log(`${cpus()[0]?.model}, ${cpus().length} CPUs; ${cli.endsWith('run.js') ? 'built' : 'from source'}`)
console.log(
  table(
    [
      ['flood', 'a second', 'CPU of a core', 'obeyed', 'p50'],
      ...rows.map(({name, rate, percent, ok, p50}) => [
        ...[name, `${rate}`, `${percent.toFixed(1)} %`, `${ok} of ${SWITCHES}`, `${p50.toFixed(0)} ms`],
      ]),
    ],
    {align: ['left', 'right', 'right', 'right', 'right']},
  ),
)
const bad = rows.filter(({percent, ok, rate}) => ok < SWITCHES || (rate <= 10_000 && percent > BUDGET_PERCENT))
if (bad.length > 0) process.exitCode = 1
