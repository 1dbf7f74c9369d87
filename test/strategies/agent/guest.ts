// A guest without an agent of ours, in memory: routes, neighbours and files as ip(8), ping(8) and a shell there show and
// change them.
import type {CommandResult} from '../../../src/net/process/command.ts'
import type {GuestInterface} from '../../../src/net/stream/qga.ts'
import type {AgentTarget, SwitchOrder} from '../../../src/strategies/agent/conversation.ts'

const MAC = '02:00:00:00:00:10'
export const [OLD4, NEW4, OLD6, NEW6] = ['10.0.0.1', '10.0.0.2', 'fd00::1', 'fd00::2'] as const
export const [BEYOND4, BEYOND6] = ['198.51.100.1', '2001:db8::1'] as const
export const FILE = '/run/gwswitch-r1'

export const ROUTE4 = `default via ${OLD4} dev eth0 proto static metric 100`
export const ROUTE6 = `default via ${OLD6} dev eth0 metric 200`

export const target = (over: Partial<AgentTarget> = {}): AgentTarget => ({
  ...{name: 'web-07', id: 'web-07', ip: '10.0.0.10', mac: MAC, agentKey: null, kid: null},
  transport: {kind: 'qga', socket: '/run/web-07.qga'},
  ...over,
})

export const order = (over: Partial<SwitchOrder> = {}): SwitchOrder => ({
  ...{run: 'r1', site: 'y', to: {v4: NEW4, v6: null}, from: {v4: OLD4, v6: null}, mode: null},
  ...{probes: [BEYOND4], confirmS: 30, timeoutMs: 5000},
  ...over,
})

/** Of both families. */
export const order46 = (over: Partial<SwitchOrder> = {}): SwitchOrder =>
  order({to: {v4: NEW4, v6: NEW6}, from: {v4: OLD4, v6: OLD6}, probes: [BEYOND4, BEYOND6], ...over})

export interface GuestFacts {
  nics: readonly GuestInterface[]
  /** Lines of `ip route show`, the lowest metric first. */
  routes: Record<'4' | '6', readonly string[]>
  /** What `ip route get` says whatever the routes are. */
  sendsTo: string | undefined
  /** Lines of `ip neigh show`, by address. */
  neighbours: Readonly<Record<string, string>>
  /** Who answers an echo. */
  answer: readonly string[]
  /** Programs that fail, by how their line begins. */
  failing: readonly string[]
}

export const ETH0: GuestInterface = {
  name: 'eth0',
  mac: MAC,
  addresses: [
    {ip: '10.0.0.10', length: 24},
    {ip: 'fd00::10', length: 64},
  ],
}

const reachable = (ip: string): string => `${ip} lladdr 02:00:00:00:0b:01 REACHABLE`

const ok = (stdout = ''): CommandResult => ({code: 0, stdout, stderr: ''})
const failed = (stderr: string): CommandResult => ({code: 2, stdout: '', stderr: `${stderr}\n`})

/** It answers to argv; `lines` is what was run, without the text of scripts. */
export function guest(over: Partial<GuestFacts> = {}) {
  const facts: GuestFacts = {
    nics: [ETH0],
    routes: {4: [ROUTE4], 6: [ROUTE6]},
    sendsTo: undefined,
    neighbours: {[NEW4]: reachable(NEW4), [NEW6]: reachable(NEW6)},
    answer: [BEYOND4, BEYOND6],
    failing: [],
    ...over,
  }
  const files = new Map<string, string>()
  const lines: string[] = []

  function replace(family: '4' | '6', words: readonly string[]): CommandResult {
    const route = words.join(' ')
    const key = (line: string): string => line.replace(/via \S+ /, '')
    if (!facts.routes[family].some((line) => key(line) === key(route)))
      return failed('RTNETLINK answers: no such route')
    facts.routes[family] = facts.routes[family].map((line) => (key(line) === key(route) ? route : line))
    return ok()
  }

  function ip(words: readonly string[]): CommandResult {
    const [family, , verb, ...rest] = words
    if (family === 'neigh') return ok(facts.neighbours[words[2]!])
    const version = family === '-4' ? '4' : '6'
    if (verb === 'show') return ok(facts.routes[version].join('\n'))
    if (verb === 'replace') return replace(version, rest)
    const gateway = facts.sendsTo ?? /via (\S+)/.exec(facts.routes[version][0] ?? '')?.[1]
    return gateway === undefined ? failed('RTNETLINK answers: Network is unreachable') : ok(`${rest[0]} via ${gateway}`)
  }

  function answerTo(argv: readonly string[]): CommandResult {
    const [program, ...words] = argv
    const last = words.at(-1)!
    if (program === 'ip') return ip(words)
    if (program === 'ping') return facts.answer.includes(last) ? ok() : {code: 1, stdout: '', stderr: ''}
    if (program === '/bin/sh') return [files.set(words[3]!, words.slice(4).join('\n')), ok()][1] as CommandResult
    if (program === 'cat') return files.has(last) ? ok(files.get(last)) : failed(`cat: ${last}: No such file`)
    return files.delete(last) || words[0] === '-f' ? ok() : failed(`rm: ${last}: No such file`)
  }

  const textOf = (argv: readonly string[]): string =>
    argv[0] === '/bin/sh' ? ['sh', ...argv.slice(4)].join(' ') : argv.join(' ')

  return {
    facts,
    files,
    lines,
    run(argv: readonly string[]): CommandResult {
      const line = textOf(argv)
      lines.push(line)
      return facts.failing.some((each) => line.startsWith(each)) ? failed(`${argv[0]}: no`) : answerTo(argv)
    },
    start: (argv: readonly string[]): void => void lines.push(`${textOf(argv)} &`),
    /** Its time is over: it runs what was saved, if that is still there. */
    goesBack() {
      for (const line of files.get(FILE)?.split('\n') ?? []) ip(line.split(' '))
      files.delete(FILE)
    },
    /** Where its default routes lead. */
    gateways: () =>
      (['4', '6'] as const).map((family) => /via (\S+)/.exec(facts.routes[family][0] ?? '')?.[1] ?? 'none'),
  }
}
