// The whole run touches nothing of the machine outside the namespaces that tests make, and leaves no process behind.
// Compared before and after: addresses, routes, rules, packet filter and the resolver, which DHCP clients like to
// rewrite; and every few seconds in between, so that it can be said when something changed. Where `npm test` may, it runs
// apart from the machine (scripts/apart.sh), and all of it is the run's own doing. Elsewhere others live here too: what
// changes is told, and is nobody's failure; a process is the run's own if it carries its mark.
import {execFile} from 'node:child_process'
import {readdirSync, readFileSync} from 'node:fs'
import {setTimeout as delay} from 'node:timers/promises'
import {promisify} from 'node:util'
import {changesText, type Sample} from './changes.ts'

const EVERY_MS = 5000
/** Processes that watch the run, or are told to end by its end, may take this long. */
const END_MS = 5000
const MARK = 'GWSWITCH_TEST_RUN'
/** Set by scripts/apart.sh. */
const apart = process.env.GWSWITCH_APART !== undefined

const VIEWS: Readonly<Record<string, () => Promise<string>>> = {
  '/etc/resolv.conf': async () => readFileSync('/etc/resolv.conf', 'utf8'),
  addresses: () => run('ip', '-o', 'address', 'show'),
  routes: () => run('ip', 'route', 'show', 'table', 'all'),
  'IPv6 routes': () => run('ip', '-6', 'route', 'show', 'table', 'all'),
  rules: () => run('ip', 'rule', 'show'),
  'nft ruleset': () => run('nft', 'list', 'ruleset'),
}

async function run(program: string, ...args: string[]): Promise<string> {
  const {stdout} = await promisify(execFile)(program, args)
  // Lifetimes count down by themselves.
  return stdout.replace(/(?:valid_lft|preferred_lft|expires) \S+/g, '')
}

async function look(): Promise<Sample> {
  const atMs = Date.now()
  const views = Object.entries(VIEWS).map(async ([name, view]) => {
    const text = await view().catch(() => 'not to be seen')
    return [name, text] as const
  })
  return {atMs, views: Object.fromEntries(await Promise.all(views))}
}

/** vitest's globalSetup: what it returns runs when all tests are done. */
export default async function untouched(): Promise<() => Promise<void>> {
  // Everything that the run starts inherits it.
  process.env[MARK] = `${process.pid}`
  const samples = [await look()]
  const timer = setInterval(async () => samples.push(await look()), EVERY_MS)
  timer.unref()
  return async () => {
    clearInterval(timer)
    samples.push(await look())
    const changes = changesText(samples)
    const left = await leftProcesses()
    if (changes.length > 0 && !apart) {
      process.stderr.write(`this machine changed while the tests ran, by them or by others:\n${changes.join('\n')}\n`)
    }
    const faults = [...(apart ? changes : []), ...left.map((line) => `left running: ${line}`)]
    if (faults.length > 0) throw new Error(`the tests left traces:\n${faults.join('\n')}`)
  }
}

/** What the run started and has not ended, one line a process, after those that end by themselves had their time. */
async function leftProcesses(): Promise<string[]> {
  for (const end = performance.now() + END_MS; performance.now() < end && ownProcesses().length > 0; ) await delay(100)
  return ownProcesses().map((pid) => `${pid} ${argumentsOf(pid)}, since ${startOf(pid)}`)
}

function ownProcesses(): number[] {
  const mark = `${MARK}=${process.pid}`
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && !isRunner(pid) && variables(pid).includes(mark))
}

/** The runner itself, and its workers, which it ends after this. */
const isRunner = (pid: number): boolean => pid === process.pid || /\bvitest\b/.test(argumentsOf(pid))

const argumentsOf = (pid: number): string => fields(pid, 'cmdline').join(' ')
const variables = (pid: number): string[] => fields(pid, 'environ')

/** Empty for one that has ended, also where its parent has not noticed. */
function fields(pid: number, file: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').filter(Boolean)
  } catch {
    return []
  }
}

/** When a process started, by the clock on the wall (proc_pid_stat(5), field 22, in ticks of 10 ms since the boot). */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
    const up = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
    return new Date(Date.now() - (up - ticks / 100) * 1000).toLocaleTimeString('en-GB')
  } catch {
    return 'a moment ago'
  }
}
