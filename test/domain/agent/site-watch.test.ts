// Where a VM takes itself to be, and when it asks: told as a story of events in seconds, and what it did at each.
import {describe, expect, it} from 'vitest'
import {ALWAYS, ASK, atY, vm} from './watched-vm.ts'

describe('a VM that was moved, and knows by NOTIFY PEERS', () => {
  it('asks the only site it hears for that gateway, and stops once it is switched', () => {
    const guest = vm().wait(5, 'x')
    guest.world.rtts = atY
    guest.moved().wait(4, 'y')
    expect(guest.notes).toEqual([{kind: 'note', why: 'notify_peers', site: 'y', to: [ASK], atS: expect.any(Number)}])
    expect(guest.watch).toMatchObject({site: 'y', phase: {kind: 'asking'}})
    guest.happen({kind: 'switch'})
    guest.world.gateway = '10.0.0.2'
    guest.wait(60, 'y')
    expect(guest.notes).toHaveLength(1)
    expect(guest.watch.phase).toEqual({kind: 'settled'})
  })

  it('waits for who else may be here, unless everybody was heard', () => {
    const alone = vm({rtts: atY}).moved()
    alone.hear('y').wait(2.4)
    expect(alone.notes).toEqual([])
    alone.wait(0.1)
    expect(alone.notes).toMatchObject([{site: 'y'}])
    const all = vm({rtts: atY}).moved()
    all.hear('y', 'x')
    expect(all.notes).toMatchObject([{site: 'y', atS: 0}])
  })

  it('takes the nearest of several, and of those only one that is clearly nearer', () => {
    const table: [Record<string, number>, string | undefined][] = [
      [{'10.0.0.1': 10, '10.0.0.2': 0.2}, 'y'],
      [{'10.0.0.1': 0.2, '10.0.0.2': 10}, 'x'],
      [{'10.0.0.1': 1, '10.0.0.2': 0.6}, undefined],
      [{'10.0.0.1': 0.4, '10.0.0.2': 0.1}, undefined],
      [{'10.0.0.2': 0.2}, undefined],
    ]
    for (const [rtts, site] of table) {
      const guest = vm({rtts}).moved().wait(3, 'x', 'y')
      expect(guest.watch.site, JSON.stringify(rtts)).toBe(site)
      expect([...new Set(guest.notes.map((note) => note.site))]).toEqual(site === 'y' ? ['y'] : [])
    }
  })

  it('forgets what it heard where it was, and takes a burst of announcements for one move', () => {
    const guest = vm({keys: 3}).wait(5, 'x')
    guest.world.rtts = atY
    for (let i = 0; i < 5; i++) guest.moved().wait(0.2)
    guest.wait(3, 'y')
    expect(guest.notes).toMatchObject([{site: 'y'}])
    expect(guest.logs.filter((line) => /probably moved/.test(line))).toHaveLength(1)
    guest.moved().wait(3, 'y')
    expect(guest.logs.filter((line) => /probably moved/.test(line))).toHaveLength(2)
  })

  it('keeps what it hears between two announcements of one move, but for what may have waited in its socket', () => {
    const between = vm({rtts: atY}).moved().wait(0.2).hear('x').wait(0.2).moved().hear('y')
    expect(between.notes).toMatchObject([{site: 'y'}])
    const waited = vm({rtts: atY}).moved().hear('x').wait(0.1).moved().hear('y')
    expect(waited.notes).toEqual([])
    waited.wait(3)
    expect(waited.notes[0]).toMatchObject({site: 'y'})
  })

  it('asks nobody for a gateway that it uses already', () => {
    const guest = vm({gateway: '10.0.0.2', rtts: atY}).wait(5, 'x').moved().wait(4, 'y')
    expect(guest.notes).toEqual([])
    expect(guest.watch).toMatchObject({site: 'y', phase: {kind: 'settled'}})
  })

  it('asks for no gateway that is farther than the one it uses, however alone it is heard', () => {
    const guest = vm().wait(5, 'x').moved().wait(4, 'y')
    expect(guest.notes).toEqual([])
    expect(guest.watch.site).toBeUndefined()
    // The gateway in use is silent: then the only site heard is the one.
    const dead = vm({rtts: {'10.0.0.2': 10}})
      .wait(5, 'x')
      .moved()
      .wait(4, 'y')
    expect(dead.notes).toMatchObject([{site: 'y'}])
  })

  it('asks those whom it is told to ask in any case, also if it does not know where it is', () => {
    const guest = vm({askOnMove: [ALWAYS]})
      .moved()
      .wait(3)
    expect(guest.notes).toMatchObject([{site: undefined, to: [ALWAYS], why: 'notify_peers'}])
    const known = vm({askOnMove: [ALWAYS, ASK], rtts: atY})
      .moved()
      .wait(3, 'y')
    expect(known.notes).toMatchObject([{site: 'y', to: [ASK, ALWAYS]}])
  })

  it('without beacons asks at once, once a move, or nobody', () => {
    const guest = vm({beacons: false, askOnMove: [ALWAYS]})
      .moved()
      .wait(0.2)
      .moved()
      .wait(0.2)
      .moved()
    expect(guest.notes).toMatchObject([{site: undefined, to: [ALWAYS], atS: 0}])
    expect(vm({beacons: false}).moved().wait(100).notes).toEqual([])
  })

  it('repeats with longer and longer pauses, and not for ever', () => {
    const guest = vm({rtts: atY}).moved().wait(300, 'y')
    const at = guest.notes.map(({atS}) => Math.round(atS - guest.notes[0]!.atS))
    expect(at).toEqual([0, 2, 6, 14, 30, 60])
    expect(guest.watch).toMatchObject({phase: {kind: 'settled'}, note: {sent: 6}})
    expect(guest.logs.at(-1)).toMatch(/no answer to 6 notes/)
  })

  it('stops to ask when somebody else has changed the gateway', () => {
    const guest = vm({rtts: atY}).moved().wait(3, 'y')
    guest.world.gateway = '10.0.0.2'
    guest.wait(60, 'y')
    expect(guest.notes).toHaveLength(1)
  })

  it('heeds no measurement of where it was', () => {
    const guest = vm({rtts: {}})
    guest.moved().hear('x', 'y')
    const stale = guest.watch.round
    guest.wait(4).moved()
    guest.happen({
      kind: 'rtts',
      round: stale,
      rtts: new Map([
        ['10.0.0.1', 10],
        ['10.0.0.2', 0.1],
      ]),
      resolved: new Set(),
    })
    expect(guest.watch).toMatchObject({site: undefined, phase: {kind: 'listening'}})
  })
})

describe('a VM whose switch came to nothing', () => {
  /** Moved to y, it has asked once, and a command has come. */
  const switching = (over: Parameters<typeof vm>[0] = {}) => {
    const guest = vm({rtts: atY, ...over})
      .moved()
      .wait(3, 'y')
    guest.happen({kind: 'switch'})
    return guest
  }

  it("asks again after a pause, until the gateway of its site is in use, as long as its controller's back-off", () => {
    const guest = switching()
    guest.wait(2, 'y').happen({kind: 'switch_failed'})
    expect(guest.watch.phase.kind).toBe('backing_off')
    guest.wait(29, 'y')
    expect(guest.notes).toHaveLength(1)
    guest.wait(1, 'y')
    expect(guest.notes).toMatchObject([{}, {why: 'notify_peers', site: 'y', to: [ASK]}])
    guest.happen({kind: 'switch'})
    guest.happen({kind: 'switch_failed'})
    guest.wait(59, 'y')
    expect(guest.notes).toHaveLength(2)
    guest.wait(1, 'y')
    expect(guest.notes).toHaveLength(3)
    guest.happen({kind: 'switch'})
    guest.world.gateway = '10.0.0.2'
    guest.wait(3000, 'y')
    expect(guest.notes).toHaveLength(3)
    expect(guest.watch.phase).toEqual({kind: 'settled'})
  })

  it('asks with longer and longer pauses, and not for ever', () => {
    const guest = switching()
    const pausesS: number[] = []
    for (let i = 0; i < 10; i++) {
      guest.happen({kind: 'switch'})
      guest.happen({kind: 'switch_failed'})
      const {phase, failed} = guest.watch
      if (phase.kind !== 'backing_off') break
      pausesS.push((phase.untilMs - failed!.atMs) / 1000)
      guest.wait(pausesS.at(-1)!, 'y')
    }
    expect(pausesS).toEqual([30, 60, 120, 300, 600])
    expect(guest.notes).toHaveLength(6)
    expect(guest.logs.at(-1)).toMatch(/6 times now: not asked again until the next move/)
    expect(guest.wait(4000, 'y').notes).toHaveLength(6)
  })

  it('repeats its note after each pause, as its controller may wait for longer after the failure', () => {
    const guest = switching()
    guest.happen({kind: 'switch_failed'})
    guest.wait(4000, 'y')
    expect(guest.notes).toHaveLength(1 + 5 * 6)
    expect(guest.logs.at(-1)).toMatch(/no answer to 6 notes, 6 times now: not asked again/)
    expect(guest.watch.phase).toEqual({kind: 'settled'})
  })

  it('begins anew after a move, and asks where it is then', () => {
    const guest = switching()
    guest.happen({kind: 'switch_failed'})
    guest.wait(10, 'y')
    guest.world.gateway = '10.0.0.2'
    guest.world.rtts = {'10.0.0.1': 0.2, '10.0.0.2': 10}
    guest.moved().wait(5, 'x')
    expect(guest.notes.at(-1)).toMatchObject({site: 'x', why: 'notify_peers'})
    guest.happen({kind: 'switch'})
    guest.happen({kind: 'switch_failed'})
    const before = guest.notes.length
    guest.wait(30, 'x')
    expect(guest.notes.slice(before)).toMatchObject([{site: 'x'}])
  })

  it('asks for nothing where the gateway of its site is in use, or becomes so', () => {
    const away = vm().wait(10, 'x')
    away.happen({kind: 'switch'})
    away.happen({kind: 'switch_failed'})
    expect(away.watch.phase).toEqual({kind: 'settled'})
    const helped = switching()
    helped.happen({kind: 'switch_failed'})
    helped.wait(10, 'y').world.gateway = '10.0.0.2'
    expect(helped.wait(100, 'y').notes).toHaveLength(1)
  })

  it('knows it of the agent before it, as soon as it knows where it is', () => {
    const guest = vm({rtts: atY})
    guest.happen({kind: 'switch_failed'})
    guest.wait(35, 'y')
    expect(guest.notes[0]).toMatchObject({site: 'y', to: [ASK], why: 'beacons'})
    for (const quiet of [vm({beacons: false, askOnMove: [ALWAYS]}), vm({askOnMove: [ALWAYS]})]) {
      quiet.happen({kind: 'switch_failed'})
      expect(quiet.wait(100).notes).toEqual([])
    }
  })
})

describe('a VM whose NIC announces nothing', () => {
  it('finds out where it is, which is no move', () => {
    for (const sites of [['x'], ['x', 'y']]) {
      const guest = vm().wait(60, ...sites)
      expect(guest.watch.site).toBe('x')
      expect(guest.notes).toEqual([])
    }
  })

  it('asks when another site has been the only one heard for a while', () => {
    const guest = vm().wait(10, 'x')
    guest.world.rtts = atY
    guest.wait(4, 'y')
    expect(guest.notes).toEqual([])
    guest.wait(10, 'y')
    expect(guest.notes[0]).toMatchObject({why: 'beacons', site: 'y', to: [ASK]})
  })

  it('asks when another site has been the nearest one for a while, and measures seldom till then', () => {
    const guest = vm().wait(60, 'x', 'y')
    expect(guest.measured.length).toBeLessThanOrEqual(8)
    guest.world.rtts = atY
    guest.wait(20, 'x', 'y')
    expect(guest.notes[0]).toMatchObject({why: 'beacons', site: 'y'})
    guest.happen({kind: 'switch'})
    guest.world.gateway = '10.0.0.2'
    guest.world.rtts = {'10.0.0.1': 0.2, '10.0.0.2': 10}
    guest.wait(25, 'x', 'y')
    expect(guest.notes.at(-1)).toMatchObject({why: 'beacons', site: 'x'})
  })

  it('is not moved by a short change, nor by a site that falls silent', () => {
    const guest = vm().wait(20, 'x', 'y')
    guest.world.rtts = atY
    guest.wait(3, 'x', 'y')
    guest.world.rtts = {'10.0.0.1': 0.2, '10.0.0.2': 10}
    guest.wait(60, 'x', 'y').wait(60, 'y').wait(60).wait(60, 'y')
    expect(guest.notes).toEqual([])
    expect(guest.watch.site).toBeUndefined()
  })

  it('has nothing to measure while it hears one site and uses its gateway', () => {
    expect(vm().wait(60, 'x').measured).toEqual([])
  })

  it('takes two controllers of one site for one site', () => {
    const guest = vm({keys: 3})
    for (let i = 0; i < 20; i++) {
      guest.wait(1, 'x')
      const heard = {site: 'x', segment: undefined, gateways: ['10.0.0.1'], ask: []}
      guest.happen({kind: 'beacon', kid: 'site-x2', heard: {...heard, atMs: 0, untilMs: Number.MAX_SAFE_INTEGER}})
    }
    expect(guest.watch.site).toBe('x')
    expect(guest.measured).toEqual([])
  })
})
