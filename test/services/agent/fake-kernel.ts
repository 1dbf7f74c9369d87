// An operating system in memory, as far as the agent touches it: routes, rules, a disk that may fill up.
import {type DefaultRoute, type Family, ownRoute, type PolicyRule} from '../../../src/net/route-message.ts'
import {RouteError, type RouteEvents} from '../../../src/net/route-socket.ts'
import type {AgentKernel} from '../../../src/services/agent/kernel.ts'

export interface FakeKernel extends AgentKernel {
  readonly files: Map<string, string>
  readonly routes: DefaultRoute[]
  readonly rules: PolicyRule[]
  readonly logs: string[]
  events: RouteEvents | undefined
  /** Calls to writeDurably after which the disk is full. */
  room: number
  /** Gateways through which the probes answer. */
  readonly forwarding: Set<string>
  /** Round trips by address, ms; who is not here does not answer. */
  readonly rtts: Map<string, number>
}

/** eth0, 10.0.0.10/24, default gateway 10.0.0.1; 10.0.0.1 and 10.0.0.2 forward. */
export function fakeKernel(files = new Map<string, string>(), bootId = 'boot-1'): FakeKernel {
  const main: DefaultRoute = {...ownRoute(4, 254, '10.0.0.1', 2, false), protocol: 3}
  const routes: DefaultRoute[] = [main]
  const rules: PolicyRule[] = []
  const same = (a: PolicyRule, b: PolicyRule): boolean => a.priority === b.priority && a.family === b.family
  const kernel: FakeKernel = {
    ...{
      files,
      routes,
      rules,
      logs: [] as string[],
      events: undefined,
      room: Number.POSITIVE_INFINITY,
    },
    forwarding: new Set(['10.0.0.1', '10.0.0.2']),
    rtts: new Map(),
    links: () => [{index: 2, name: 'eth0', mac: '02:00:00:00:00:10', up: true}],
    addresses: () => [{family: 4, interfaceIndex: 2, address: '10.0.0.10', length: 24}],
    neighbours: () =>
      ['10.0.0.1', '10.0.0.2'].map((ip) => ({interfaceIndex: 2, ip, mac: '02:00:00:00:0a:01', state: 2})),
    defaultRoutes: (family: Family, table: number) =>
      routes.filter((route) => route.family === family && route.table === table),
    ownRules: (family) => rules.filter((rule) => rule.family === family),
    replace(route, create) {
      const at = routes.findIndex(
        (each) => each.family === route.family && each.table === route.table && each.metric === route.metric,
      )
      if (at < 0 && !create) throw new RouteError('ENOENT', 'no such route')
      routes.splice(at < 0 ? routes.length : at, at < 0 ? 0 : 1, route)
    },
    append: (route) => void routes.push(route),
    deleteRoute(route) {
      const at = routes.findIndex((each) =>
        (['family', 'table', 'metric', 'gateway'] as const).every((key) => each[key] === route[key]),
      )
      if (at >= 0) routes.splice(at, 1)
    },
    addRule: (rule) => void (rules.some((each) => same(each, rule)) || rules.push(rule)),
    deleteRule(rule) {
      const at = rules.findIndex((each) => same(each, rule))
      if (at >= 0) rules.splice(at, 1)
    },
    async echoAny(targets, {mark}) {
      const via = mark === undefined ? inUse(kernel) : routes.find(({table}) => table === 143)?.gateway
      return {answered: kernel.forwarding.has(via ?? '') ? targets[0] : undefined, elapsedMs: 1}
    },
    echoRtts: async (targets) =>
      new Map(targets.flatMap((ip) => (kernel.rtts.has(ip) ? [[ip, kernel.rtts.get(ip)!]] : []))),
    setDrain: async () => {},
    clearDrain: async () => {},
    watchRoutes(events) {
      kernel.events = events
      return {close: async () => {}}
    },
    routeOwner: () => undefined,
    now: Date.now,
    uptime: () => Math.round(performance.now()),
    bootId: () => bootId,
    dmiUuid: () => undefined,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, ms)
        const stop = (): void => {
          clearTimeout(timer)
          reject(signal.reason)
        }
        signal.addEventListener('abort', stop, {once: true})
      }),
    read: (path) => kernel.files.get(path),
    writeDurably(path, text) {
      if (--kernel.room < 0) throw new Error('ENOSPC')
      kernel.files.set(path, text)
    },
    log: (line) => void kernel.logs.push(line),
  }
  return kernel
}

/** The gateway that ordinary traffic takes. */
export const inUse = ({routes, rules}: FakeKernel): string | undefined =>
  (rules.some(({priority}) => priority === 6700)
    ? routes.find(({table}) => table === 142)
    : routes.find(({table}) => table === 254)
  )?.gateway
