// An operating system in memory, as far as the agent touches it: routes, rules, a disk that may fill up.
import type {Family} from '../../../src/net/netlink/netlink-message.ts'
import {type DefaultRoute, parseDefaultRoute} from '../../../src/net/netlink/route-message.ts'
import {RouteError, type RouteEvents} from '../../../src/net/netlink/route-socket.ts'
import type {PolicyRule} from '../../../src/net/netlink/rule-message.ts'
import type {AgentKernel} from '../../../src/services/agent/kernel.ts'
import {CHANGES} from './changes.ts'

/** What outlives the agent, until the VM is started again. */
export interface FakeMachine {
  readonly files: Map<string, string>
  readonly routes: DefaultRoute[]
  readonly rules: PolicyRule[]
  /** What nft was told: hold everything, or what was open; undefined if there is no such table. */
  drain: 'everything' | 'open' | undefined
}

export interface FakeKernel extends AgentKernel {
  readonly machine: FakeMachine
  readonly files: Map<string, string>
  readonly routes: DefaultRoute[]
  readonly rules: PolicyRule[]
  /** Interfaces that take no route. */
  readonly down: Set<number>
  readonly logs: string[]
  events: RouteEvents | undefined
  /** Calls to writeDurably after which the disk is full that has /state. */
  room: number
  /** Gateways through which the probes answer. */
  readonly forwarding: Set<string>
  /** Round trips by address, ms; who is not here does not answer. */
  readonly rtts: Map<string, number>
}

/** eth0, 10.0.0.10/24, default gateway 10.0.0.1; 10.0.0.1 and 10.0.0.2 forward. */
export function fakeKernel(
  files = new Map<string, string>(),
  bootId = 'boot-1',
  machine: FakeMachine = {
    files,
    routes: [mainRoute('10.0.0.1', 2)],
    rules: [],
    drain: undefined,
  },
): FakeKernel {
  const {routes, rules} = machine
  const down = new Set<number>()
  const taken = ({interfaceIndex}: DefaultRoute): void => {
    if (down.has(interfaceIndex)) throw new RouteError('ENETDOWN', 'Network is down')
  }
  /** What the kernel tells them apart by. */
  const keyOf = ({family, priority, table, mark}: PolicyRule): string =>
    [family, priority, table, mark?.value, mark?.mask].join()
  const same = (a: PolicyRule, b: PolicyRule): boolean => keyOf(a) === keyOf(b)
  const kernel: FakeKernel = {
    ...{
      machine,
      files,
      down,
      routes,
      rules,
      logs: [] as string[],
      events: undefined,
      room: Number.POSITIVE_INFINITY,
    },
    forwarding: new Set(['10.0.0.1', '10.0.0.2']),
    rtts: new Map(),
    links: () => [{index: 2, name: 'eth0', mac: '02:00:00:00:00:10', up: !down.has(2)}],
    addresses: () => [{family: 4, interfaceIndex: 2, address: '10.0.0.10', length: 24}],
    neighbours: () =>
      ['10.0.0.1', '10.0.0.2'].map((ip) => ({
        interfaceIndex: 2,
        ip,
        mac: '02:00:00:00:0a:01',
        state: 2,
        external: false,
      })),
    defaultRoutes: (family: Family, table: number) =>
      routes.filter((route) => route.family === family && route.table === table),
    listRules: (family) =>
      rules
        .filter((rule) => rule.family === family)
        .map((rule) => ({...rule, selector: {}, own: true, catchAll: false}))
        .toSorted((a, b) => a.priority - b.priority),
    prefixRoutes: () => [],
    routeTo({family, outgoing}) {
      const mine = routes.filter(
        (route) => route.family === family && (outgoing === undefined || route.interfaceIndex === outgoing),
      )
      const table = rules.some((rule) => rule.family === family && rule.table === 142) ? [142, 254] : [254]
      const [route] = table.flatMap((each) =>
        mine.filter((route) => route.table === each).toSorted((a, b) => a.metric - b.metric),
      )
      if (route === undefined) return undefined
      const {gateway, interfaceIndex} = route
      return {
        gateway,
        interfaceIndex,
        table: route.table,
        source: '10.0.0.10',
        length: 0,
        redirected: false,
        expiresS: undefined,
      }
    },
    replace(route, create) {
      taken(route)
      const at = routes.findIndex(
        (each) => each.family === route.family && each.table === route.table && each.metric === route.metric,
      )
      if (at < 0 && !create) throw new RouteError('ENOENT', 'no such route')
      routes.splice(at < 0 ? routes.length : at, at < 0 ? 0 : 1, route)
    },
    append(route) {
      taken(route)
      routes.push(route)
    },
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
    async setDrain(_rules, phase) {
      machine.drain = phase === 'new' ? 'open' : 'everything'
    },
    async clearDrain() {
      machine.drain = undefined
    },
    hasDrain: async () => machine.drain !== undefined,
    drainProblem: async () => undefined,
    watchDrain: () => ({close: async () => {}}),
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
    readOurs: (path) => kernel.files.get(path),
    writeDurably(path, text) {
      if (path.startsWith('/state/') && --kernel.room < 0) throw new Error('ENOSPC')
      kernel.files.set(path, text)
    },
    log: (line) => void kernel.logs.push(line),
  }
  return kernel
}

/** A default route of the main table, as somebody makes it by hand. */
export function mainRoute(gateway: string, interfaceIndex: number, metric = 0): DefaultRoute {
  const attribute = (type: number, ...data: number[]): number[] => [8, 0, type, 0, ...data]
  return parseDefaultRoute(
    Buffer.from([
      ...[2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0],
      ...attribute(5, ...gateway.split('.').map(Number)),
      ...attribute(4, interfaceIndex, 0, 0, 0),
      ...attribute(6, metric & 0xff, metric >> 8, 0, 0),
    ]),
  )!
}

/** The gateway that ordinary traffic takes. */
export const inUse = ({routes, rules}: FakeKernel): string | undefined =>
  (rules.some(({table}) => table === 142)
    ? routes.find(({table}) => table === 142)
    : routes.find(({table}) => table === 254)
  )?.gateway

/** The same machine, for the agent that comes after one that was killed. */
export const afterwards = ({machine}: FakeKernel): FakeKernel => fakeKernel(machine.files, 'boot-1', machine)

/** Takes an interface down, and its routes with it, as the kernel does. */
export function takeDown({down, routes}: FakeKernel, index: number): void {
  down.add(index)
  const kept = routes.filter(({interfaceIndex}) => interfaceIndex !== index)
  routes.splice(0, routes.length, ...kept)
}

export interface Doom {
  /** What the last call was; undefined while it has not come to that. */
  killedAfter: string | undefined
}

/** The `last`th call that changes something is the last one: nothing that is called afterwards has an effect. */
export function doomed(kernel: FakeKernel, last: number): {readonly kernel: FakeKernel; readonly doom: Doom} {
  const doom: Doom = {killedAfter: undefined}
  let calls = 0
  const wrap = (name: (typeof CHANGES)[number]) => {
    const original = kernel[name] as (...args: unknown[]) => unknown
    return (...args: unknown[]): unknown => {
      if (doom.killedAfter !== undefined) throw new Error('dead')
      const result = original(...args)
      if (++calls < last) return result
      doom.killedAfter = name
      throw new Error('killed')
    }
  }
  const wrapped = Object.fromEntries(CHANGES.map((name) => [name, wrap(name)]))
  return {kernel: {...kernel, ...wrapped} as FakeKernel, doom}
}
