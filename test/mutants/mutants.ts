// Lines of src/ whose change a test must notice. One row a line: `npm run mutate` makes each change in a copy and runs the
// tests that the row names.

export interface Mutant {
  /** What the program would do wrong. */
  readonly name: string
  readonly file: string
  /** Text that is in the file exactly once. */
  readonly text: string
  readonly becomes: string
  /** Test files, any of which may notice. */
  readonly tests: readonly string[]
}

const of =
  (file: string, ...tests: readonly string[]) =>
  (name: string, text: string, becomes: string): Mutant => ({file, tests, name, text, becomes})

const runSwitch = of('src/orders/switch/run-switch.ts', 'test/orders/switch/run-switch.test.ts')
const carryOut = of(
  'src/strategies/carry-out.ts',
  'test/strategies/carry-out.test.ts',
  'test/orders/switch/run-switch.test.ts',
)
const SWITCH: readonly Mutant[] = [
  carryOut('the guard is never armed', 'await options.arm?.(plan)', ''),
  carryOut('nobody waits until the guard is armed', 'await options.arm?.(plan)', 'void options.arm?.(plan)'),
  runSwitch('the guard is never disarmed', 'disarm: () => deadMan.disarm()', 'disarm: () => {}'),
  carryOut(
    'a guard is disarmed before the rollback has returned',
    "const rollback = await run('rollback', (stage) => strategy.rollback(plan, stage))",
    "options.disarm?.()\n      const rollback = await run('rollback', (stage) => strategy.rollback(plan, stage))",
  ),
  runSwitch(
    'a runtime failure of plan is passed over as usage',
    "if (!(error instanceof Failure) || error.kind !== 'usage') throw error",
    'if (!(error instanceof Failure)) throw error',
  ),
  carryOut('a switch that was rolled back ends with 0', ": EXIT['rolled-back']", ': 0'),
  carryOut('what is not known ends as rolled back', 'return EXIT.unknown', "return EXIT['rolled-back']"),
  carryOut(
    'what failed half-way is left as it is',
    'return {...done, plan, verdict, error: asError(error), ...(await back())}',
    "return {...done, plan, verdict, error: asError(error), end: 'rolled-back'}",
  ),
  carryOut(
    'a rollback can be interrupted',
    "signal: name === 'rollback' ? new AbortController().signal : options.signal",
    'signal: options.signal',
  ),
  carryOut('what was said not to stand is left', 'if (!verdict.ok) return {...done', 'if (false) return {...done'),
]

const proof = of('src/domain/proof/proof.ts', 'test/domain/proof/proof.test.ts')
const PROOF: readonly Mutant[] = [
  proof('a dead gateway serves', "if (isDead(seen.target, seen.old)) return ends('target-dead')", ''),
  proof('a VM that stayed is served', 'if (!onTarget.every(Boolean)) {', 'if (false) {'),
  proof('one family of two is enough', 'if (!onTarget.every(Boolean)) {', 'if (!onTarget.some(Boolean)) {'),
  proof('half of the address space is enough', 'unanswered.filter((place) => !halves.has(halfOf(place)))', '[]'),
  proof('one witness decides against another', 'said.every((each) => each.apart)) return', 'true) return'),
  of('src/orders/notify/notify.ts', 'test/orders/notify/notify.test.ts')(
    'what speaks against the word of a VM is confirmed',
    'const against = proof !== undefined && AGAINST.includes(proof.code)',
    'const against = proof !== undefined && AGAINST.length === 0',
  ),
  proof('ARP is proof', "ends(forwards(seen.target) ? 'served' : 'unverified')", "ends('served')"),
]

const standing = of('src/strategies/standing.ts', 'test/strategies/arp/strategy.test.ts')
const strategy = of('src/strategies/agent/agent.ts', 'test/strategies/agent/agent.test.ts')
const signed = of('src/strategies/agent/signed.ts', 'test/strategies/agent/signed.test.ts')
const AGENT: readonly Mutant[] = [
  standing('a rollback goes to a dead gateway', 'isDead(gateway, null)', 'false'),
  strategy("the agent's rollback is always ok", 'ok: verdict.ok || believed', 'ok: true'),
  strategy(
    'what the network does not show is confirmed',
    'if (!seen.ok && !(plan.acceptUnverified && ACCEPTABLE.includes(seen.code))) return seen',
    '',
  ),
  strategy('an agent that has gone back is believed', "if (standing.state === 'confirmed') return", 'if (true) return'),
  strategy('a refusal is no error', "throw new Failure('refused', ", "void new Failure('refused', "),
  signed('an answer to another command is believed', '  answer.nonce === command.nonce &&\n', ''),
]

const jws = of('src/wire/agent-jws.ts', 'test/wire/agent-message.test.ts')
const policy = of('src/domain/agent/policy.ts', 'test/domain/agent/policy.test.ts')
const TRUST: readonly Mutant[] = [
  jws('no signature is checked', '!verify(null, ', 'false && !verify(null, '),
  jws('a command is taken for an answer', "if (typ !== kind.typ) return silent('wrong_typ')", ''),
  jws(
    'a field that is not understood is passed over',
    'if (!needs.includes(name) && !may.includes(name))',
    'if (false)',
  ),
  policy('no sequence number is checked', 'if (known && command.seq <= known.seq)', 'if (known && command.seq < 0)'),
  policy('an expired command is obeyed', 'if (command.exp + clockSkewS < nowS)', 'if (false)'),
  policy('any key may choose any gateway', '?.gateways.includes(to)', '?.gateways'),
  of('src/wire/dhcp-auth.ts', 'test/wire/dhcp-auth.test.ts')(
    'any FORCERENEW is authentic',
    'return timingSafeEqual(',
    'return true || timingSafeEqual(',
  ),
]

const rules = of('src/domain/dhcp/rules.ts', 'test/domain/dhcp/rules.test.ts')
const DHCP: readonly Mutant[] = [
  rules(
    'an expired lease is offered without a probe',
    'const own = held?.ip === ip && isActive(held, nowMs)',
    'const own = held?.ip === ip',
  ),
  rules('an address that somebody holds is given away', "if (held) return 'held-by-another'", ''),
  of('src/domain/dhcp/lease.ts', 'test/domain/dhcp/rules.test.ts', 'test/domain/dhcp/book.test.ts')(
    'no lease ever runs out',
    "lease.state !== 'released' && lease.expiresAtMs > nowMs",
    "lease.state !== 'released'",
  ),
]

const nft = of('src/domain/filter/nft-text.ts', 'test/domain/filter/filter.test.ts')
const bpf = of('src/net/packet/bpf.ts', 'test/net/packet/bpf.test.ts')
const FILTER: readonly Mutant[] = [
  nft(
    'the filter has no hook towards the other site',
    "  ...chain('to_dci', ['type filter hook postrouting priority 300; policy accept;', ...jumps(intent, 'oifname')]),\n",
    '',
  ),
  nft('a filter takes every VLAN of its ports', 'if (vlan === null) return', 'if (vlan !== undefined) return'),
  of('src/domain/filter/rules.ts', 'test/domain/filter/filter.test.ts')(
    "tenants' redundancy groups are cut",
    'groups.filter((each) => each.protocol === protocol)',
    'groups',
  ),
  of('src/domain/filter/kept.ts', 'test/domain/filter/record.test.ts')(
    "what was somebody else's before is taken away too",
    'hasNeighbour(before, each) || !isThere(each, facts)',
    'true',
  ),
  nft('what the filter matches passes', 'counter drop comment', 'counter accept comment'),
  bpf('a socket filter lets every frame through', '[JEQ, 0, left, test.value >>> 0]', '[JEQ, 0, 0, test.value >>> 0]'),
  bpf('a socket filter lets nothing through', '[RET, 0, 0, WHOLE_FRAME]', '[RET, 0, 0, 0]'),
]

const verdict = of('src/domain/trace/verdict.ts', 'test/domain/trace/verdict.test.ts')
const TRACE: readonly Mutant[] = [
  of('src/domain/trace/compare.ts', 'test/domain/trace/verdict.test.ts')(
    'the threshold is a whole DCI round trip',
    '{ms: dci.rttMs / 2, source',
    '{ms: dci.rttMs, source',
  ),
  verdict('a trombone ends with 0', '  trombone: 10,', '  trombone: 0,'),
  verdict(
    'a slower exit at the own site is a trombone',
    "reason: 'local-exit-slower', applies",
    "reason: 'detour', applies",
  ),
  verdict('of several destinations the mildest counts', '[10, 12, 11] as const', '[11, 12, 10] as const'),
]

const found = (file: string) => of(file, 'test/fuzz/finds.test.ts')
const READERS: readonly Mutant[] = [
  of('src/wire/icmp.ts', 'test/wire/icmp.test.ts')(
    'an ICMP message that was damaged is believed',
    'if (checksum(bytes) !== 0) throw',
    'if (false) throw',
  ),
  found('src/net/json-shape.ts')(
    'what other programs write is not looked at',
    'if (problem === undefined) return value as T',
    'return value as T',
  ),
  found('src/net/netlink/netlink-message.ts')(
    'what is cut of an rtnetlink message is read',
    'if (at + size <= data.length) return data',
    'return data',
  ),
  found('src/net/file/sqlite-wal.ts')('a log with pages of any size is read', '&& isPageSize(pageSize)', ''),
  found('src/wire/domain-names.ts')(
    'a chain of pointers is followed for ever',
    'if (++pointers > MOST_LABELS)',
    'if (false)',
  ),
]

export const MUTANTS: readonly Mutant[] = [
  ...SWITCH,
  ...PROOF,
  ...AGENT,
  ...TRUST,
  ...DHCP,
  ...FILTER,
  ...TRACE,
  ...READERS,
]
