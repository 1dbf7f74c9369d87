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
  carryOut('the guard is never armed', 'await options.arm?.(armed, standby !== undefined)', ''),
  carryOut(
    'nobody waits until the guard is armed',
    'await options.arm?.(armed, standby !== undefined)',
    'void options.arm?.(armed, standby !== undefined)',
  ),
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
  carryOut(
    'the guard is disarmed before it is written that the VM is verified',
    'await options.onVerified?.(verdict)',
    'void options.onVerified?.(verdict)',
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

const MANY_TESTS = ['test/strategies/carry-out-many.test.ts', 'test/orders/switch/run-many.test.ts']
const carryOutMany = of('src/strategies/carry-out-many.ts', ...MANY_TESTS)
const gathering = of('src/strategies/gathering.ts', ...MANY_TESTS)
const runMany = of('src/orders/switch/run-many.ts', ...MANY_TESTS)
const selectVms = of('src/orders/switch/select-vms.ts', ...MANY_TESTS)
const sharing = of('src/net/shared-world.ts', 'test/net/shared-world.test.ts')
const sharedLink = of('src/net/packet/shared-links.ts', 'test/net/shared-world.test.ts')
const MANY: readonly Mutant[] = [
  of('src/strategies/carry-out.ts', ...MANY_TESTS)(
    'VMs are told all at once before the guard of each is armed',
    'await options.arm?.(armed, standby !== undefined)',
    'void options.arm?.(armed, standby !== undefined)',
  ),
  carryOutMany(
    'a switch that fails keeps the others from being begun',
    'await carry(job).catch((error) => failures.push(error))',
    'await carry(job)',
  ),
  carryOutMany(
    'what is stopped goes on with the next',
    'return stop.aborted ? undefined : jobs[begun++]',
    'return jobs[begun++]',
  ),
  carryOutMany('the rate is not kept', '(n * 1000) / rate', '0 / rate'),
  runMany(
    'a switch that fails takes the rows of all others with it',
    '(error: unknown) => failedRow(prepared[i]!, error, times()),',
    '(error: unknown) => Promise.reject(error),',
  ),
  gathering(
    'fewer answers than plans are taken for what they are not',
    'if (results.length !== all.length)',
    'if (results.length > all.length)',
  ),
  gathering('a plan that fails fails for all', '.catch(() => strategy.plan(...asked))', ''),
  selectVms(
    'what a bridge has learned is not heeded',
    'port !== null || (!isNamed && site !== from)',
    '!isNamed && site !== from',
  ),
  selectVms(
    'a VM that was named is left alone in silence',
    "kind: isNamed ? 'refused' : 'left-alone'",
    "kind: 'left-alone'",
  ),
  sharing(
    'a question that had begun before answers',
    'if (last !== undefined && !last.begun) return',
    'if (last !== undefined) return',
  ),
  sharedLink(
    'what comes by both sockets is heard twice',
    "(frame.packetType === 'outgoing' || !isAnswer(frame.bytes)) && hand(frame)",
    'hand(frame)',
  ),
]

const proof = of('src/domain/proof/proof.ts', 'test/domain/proof/proof.test.ts')
const PROOF: readonly Mutant[] = [
  proof(
    'a firewall that answers the segment alone is another gateway',
    "subject.sees === 'to' && usesAnother(subject, seen)",
    "subject.sees === 'to'",
  ),
  proof(
    'a dead gateway serves',
    "if (isDead(seen.target, seen.old)) return ends('target-dead'",
    "if (false) return ends('target-dead'",
  ),
  proof('a VM that stayed is served', 'if (!onTarget.every(Boolean)) {', 'if (false) {'),
  proof('one family of two is enough', 'if (!onTarget.every(Boolean)) {', 'if (!onTarget.some(Boolean)) {'),
  proof('half of the address space is enough', 'unanswered.filter((place) => !halves.has(halfOf(place)))', '[]'),
  of('src/domain/proof/place.ts', 'test/domain/proof/proof.test.ts')(
    'one witness decides against another',
    'said.every((each) => each.apart)) return',
    'true) return',
  ),
  of('src/orders/notify/notify.ts', 'test/orders/notify/notify.test.ts')(
    'what speaks against the word of a VM is confirmed',
    'proof !== undefined && AGAINST.includes(proof.code)',
    'proof !== undefined && AGAINST.length === 0',
  ),
  of('src/domain/proof/gateway.ts', 'test/domain/proof/proof.test.ts')(
    'ARP is proof',
    "? 'target-dead' : 'unverified'",
    "? 'target-dead' : 'served'",
  ),
  of('src/domain/proof/gateway.ts', 'test/domain/proof/proof.test.ts')(
    'what takes IPv4 on serves IPv6',
    'family === 4 ? seen.target.beyond : seen.target6?.beyond',
    'seen.target.beyond',
  ),
]

const anything = 'test/domain/agent/switchover-any.test.ts'
const switchover = of('src/domain/agent/switchover.ts', anything)
const GUEST: readonly Mutant[] = [
  of('src/domain/agent/plan.ts', 'test/domain/agent/policy.test.ts')(
    'a gateway that is in use is changed for itself',
    '  if (planned.from === to) return sameGateway(planned, ways)\n',
    '',
  ),
  switchover(
    'what the kernel sends elsewhere is confirmed',
    '  if (proof.wrong !== undefined) return undo(turn, record, proof.wrong.reason, proof.wrong.detail)\n',
    '',
  ),
  of('src/domain/agent/standing.ts', anything)(
    'an overlay stays over whatever its owner does',
    'own.find(({gateway}) => gateway === from)',
    'own[0]',
  ),
  of('src/domain/agent/memory.ts', anything)(
    'an undoing that cannot be done keeps every command waiting',
    "(record.phase !== 'rolling_back' || record.trouble === undefined)",
    'true',
  ),
  of('src/domain/agent/switchover-undo.ts', 'test/domain/agent/switchover-standing.test.ts')(
    'what was taken back stands',
    '...standingAgain(record, record.changes), ...(owed',
    '...(owed',
  ),
]

const standing = of('src/strategies/standing.ts', 'test/strategies/arp/strategy.test.ts')
const strategy = of('src/strategies/agent/agent.ts', 'test/strategies/agent/agent.test.ts')
const signed = of('src/strategies/agent/signed.ts', 'test/strategies/agent/signed.test.ts')
const AGENT: readonly Mutant[] = [
  standing('a rollback goes to a dead gateway', 'isDead(seen, null)', 'false'),
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
const keyring = of('src/domain/agent/keyring.ts', 'test/domain/agent/keyring.test.ts')
const nearest = of('src/domain/agent/nearest.ts', 'test/domain/agent/site-silence.test.ts')
const policy = of('src/domain/agent/policy.ts', 'test/domain/agent/policy.test.ts')
const plan = of('src/domain/agent/plan.ts', 'test/domain/agent/policy.test.ts')
const TRUST: readonly Mutant[] = [
  jws('no signature is checked', '!verify(null, ', 'false && !verify(null, '),
  jws('a command is taken for an answer', "if (header.typ !== kind.typ) return silent('wrong_typ')", ''),
  jws('a tag is not checked', 'tag !== undefined && !isTagOf(', 'false && !isTagOf('),
  keyring('a revoked key is obeyed', 'if (end !== undefined) return', 'if (end === null) return'),
  keyring(
    "a thief's keys outlive the stolen one",
    'const all = [target.publicKey, ...gone]',
    'const all = [target.publicKey]',
  ),
  nearest('a site that is heard alone is where the VM is', 'if (!living) return true', 'if (true) return true'),
  jws(
    'a field that is not understood is passed over',
    'if (!needs.includes(name) && !may.includes(name))',
    'if (false)',
  ),
  policy('no sequence number is checked', 'if (known && command.seq <= known.seq)', 'if (known && command.seq < 0)'),
  policy('an expired command is obeyed', 'if (command.exp + clockSkewS < nowS)', 'if (false)'),
  plan('any key may choose any gateway', '&& key.gateways.includes(wanted.to)', ''),
  of('src/wire/dhcp-auth.ts', 'test/wire/dhcp-auth.test.ts')(
    'any FORCERENEW is authentic',
    'return timingSafeEqual(',
    'return true || timingSafeEqual(',
  ),
]

const rules = of('src/domain/dhcp/rules.ts', 'test/domain/dhcp/rules.test.ts')
const replication = of(
  'src/domain/dhcp/replication.ts',
  'test/domain/dhcp/replication.test.ts',
  'test/services/dhcp/peer.test.ts',
)
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
  replication(
    'a NAK that one of two servers sent is sent again',
    'nak: held.nak && came.nak, site',
    'nak: held.nak, site',
  ),
  replication('what was said last loses to who was told more', 'Math.max(last + 1, nowMs)', 'last + 1'),
  of('src/services/dhcp/peer-session.ts', 'test/services/dhcp/peer.test.ts')(
    'any server of any segment is the other one',
    'if (why !== undefined) return',
    'if (false) return',
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

const standIn = of('src/probe/stand-in.ts', 'test/probe/stand-in.test.ts')
const upkeep = of('src/strategies/speak-for/upkeep.ts', 'test/strategies/speak-for/upkeep.test.ts')
const roundTrips = of('src/domain/passive/tcp-round-trips.ts', 'test/domain/passive/tcp-round-trips.test.ts')
const vmPort = of('src/domain/vantage/vm-port.ts', 'test/domain/vantage/vm-port.test.ts')
const VANTAGE: readonly Mutant[] = [
  standIn('something is sent for a VM that is elsewhere', 'if (moved) throw moved', ''),
  standIn('the place of a VM that is silent is taken', 'if (alive) return', 'return'),
  upkeep("a routing daemon's entry is taken for the VM's own", '&& !entry.external', ''),
  upkeep('an old site that has not withdrawn is not waited out', 'calm: stands && isHere', 'calm: stands'),
  of('src/strategies/speak-for/plan.ts', 'test/strategies/speak-for/frames.test.ts')(
    'a VM that is to stay where it is is moved by being made known',
    'mayMove || !isShared(ip)',
    'true',
  ),
  of('src/strategies/left-ip6.ts', 'test/strategies/arp/strategy.test.ts')(
    'a VM whose IPv6 stays behind is served',
    'if (!leaves || !verdict.ok) return verdict',
    'return verdict',
  ),
  of('src/orders/garp/speak-request.ts', 'test/orders/garp/speak-request.test.ts')(
    'a gateway is announced as if it were a VM',
    'if (router)',
    'if (false)',
  ),
  vmPort('frames of a VM are laid into an uplink', 'if (!VM_KINDS.has(port.kind))', 'if (false)'),
  vmPort(
    'frames of a VM are laid into a port that others are behind',
    'if (!named && isShared(port, vm, learned))',
    'if (false)',
  ),
  roundTrips(
    'a timestamp is timed that may have been sent before',
    'if (newest !== undefined) push(session.timestamps,',
    'push(session.timestamps,',
  ),
  roundTrips(
    'data that was sent again is timed',
    'if (!isNew) session.data.length = 0',
    'if (false) session.data.length = 0',
  ),
]

const verdict = of('src/domain/trace/verdict.ts', 'test/domain/trace/verdict.test.ts')
const decisions = of('src/domain/trace/decision-table.ts', 'test/domain/trace/verdict.test.ts')
const TRACE: readonly Mutant[] = [
  of('src/domain/trace/compare.ts', 'test/domain/trace/verdict.test.ts')(
    'the threshold is a whole DCI round trip',
    '{ms: dci.rttMs / 2, source',
    '{ms: dci.rttMs, source',
  ),
  verdict('a trombone ends with 0', '  trombone: 10,', '  trombone: 0,'),
  decisions(
    'a slower exit at the own site is a trombone',
    "reason: 'local-exit-slower', applies",
    "reason: 'detour', applies",
  ),
  of('src/domain/trace/alternative-works.ts', 'test/domain/trace/verdict.test.ts')(
    'a local exit that swallows large packets is recommended',
    'failed(alternative.works?.full) &&',
    'false &&',
  ),
  verdict('of several destinations the mildest counts', '[10, 12, 1, 11] as const', '[11, 12, 1, 10] as const'),
  of('src/domain/trace/sequential.ts', 'test/domain/trace/sequential.test.ts')(
    'a side is named of a burst of load',
    'QUEUE_PATIENCE_MS : PATIENCE_MS',
    'QUEUE_PATIENCE_MS : 0',
  ),
  of('src/domain/trace/sequential.ts', 'test/domain/trace/sequential.test.ts')(
    'a side is named of a queue that stays for seconds',
    'QUEUE_PATIENCE_MS : PATIENCE_MS',
    'PATIENCE_MS : PATIENCE_MS',
  ),
  of('src/domain/trace/plan.ts', 'test/domain/trace/plan.test.ts')(
    'an exit is recommended that was never tried alone',
    'if (unchecked(exit)) return exit',
    'if (false) return exit',
  ),
  of('src/probe/trace/pacer.ts', 'test/probe/trace/pacer.test.ts')(
    'the promised rate is not kept',
    'const over = mine.length + Math.min(packets, most) - most',
    'const over = mine.length + Math.min(packets, most) - 2 * most',
  ),
  of('src/probe/trace/exit.ts', 'test/probe/trace/trace.test.ts')(
    'both exits share their identities',
    'flows.get(key) ?? identities.fresh(protocol)',
    'flows.get(key) ?? 1',
  ),
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

const journalFile = 'test/orders/journal/journal-file.test.ts'
const chain = of('src/domain/journal/chain.ts', 'test/domain/journal/chain.test.ts', journalFile)
const rows = of('src/orders/journal/journal-rows.ts', journalFile)
const laterOn = of('src/orders/journal/standing.ts', 'test/orders/journal/standing.test.ts')
const JOURNAL: readonly Mutant[] = [
  runSwitch('what is planned is written down after the look', 'if (!atOnce) number()', ''),
  runSwitch('what is carried out is not written down before', 'journal?.begun(plan, deadMan.pid)', ''),
  runSwitch(
    'what is carried out at once is not written down before',
    'n = run.planBegun({...prepared, plan}, guard)',
    '',
  ),
  runSwitch(
    'a switch that cannot be written down is begun',
    "run.mark([{n: number(), state: 'executing', plan, guard}]),",
    "{ try { run.mark([{n: number(), state: 'executing', plan, guard}]) } catch {} },",
  ),
  runSwitch('that it is verified is not written', "journal?.mark({state: 'verified', verdict})", '{}'),
  runSwitch('its end is not written', "journal?.mark({state: 'ended', document: ended})", ''),
  runSwitch(
    'a journal that cannot be written stops a switch that was begun',
    'onTrouble(error as Error)',
    'throw error',
  ),
  chain('what a record says is not in its hash', 'kind, vm, mac, body]))', 'kind, vm, mac]))'),
  chain('a hash does not go on from the one before', 'JSON.stringify([before, seq,', 'JSON.stringify([seq,'),
  chain('verify does not compare hashes', 'if (record.hash !== chainHash(last.hash, record))', 'if (false)'),
  chain('verify does not miss a record', 'if (record.seq !== last.seq + 1)', 'if (false)'),
  chain('verify does not miss the last records', 'last.seq === head.seq && last.hash === head.hash', 'true'),
  rows('what is unfinished is dropped with the rest', '...ofHalf.all(seq)]', ']'),
  rows('what is half done is forgotten', 'else if (BEGUN.includes(kind)) begin.run(run, n)', ''),
  rows('the journal grows for ever', 'drop.run(seq)', ''),
  laterOn('a switch under way is taken back under its feet', "if (standing === 'under-way')", 'if (false)'),
  laterOn('a VM that was moved since is taken back', 'if (moved) {', 'if (false) {'),
]

export const MUTANTS: readonly Mutant[] = [
  ...SWITCH,
  ...MANY,
  ...JOURNAL,
  ...PROOF,
  ...AGENT,
  ...GUEST,
  ...TRUST,
  ...DHCP,
  ...FILTER,
  ...VANTAGE,
  ...TRACE,
  ...READERS,
]
