// Sites that fall silent: what that says of where a VM is, and what not.
import {describe, expect, it} from 'vitest'
import {nearestSite} from '../../../src/domain/agent/nearest.ts'
import {vm} from './watched-vm.ts'

describe('a VM whose sites are too near each other to be told apart', () => {
  const alike = {'10.0.0.1': 0.2, '10.0.0.2': 0.25}

  it('stays where it is while the controller of its site is away, and knows it again afterwards', () => {
    const guest = vm({rtts: alike}).wait(20, 'x').wait(20, 'x', 'y')
    expect(guest.watch.site).toBe('x')
    guest.wait(600, 'y')
    expect(guest.watch.site).toBeUndefined()
    expect(guest.logs.filter((line) => /not known|clearly/.test(line))).toHaveLength(1)
    guest.wait(20, 'x', 'y')
    expect(guest.watch.site).toBe('x')
    expect(guest.notes).toEqual([])
  })

  it('does not know where it is if it was started meanwhile', () => {
    const guest = vm({rtts: alike}).wait(60, 'y')
    expect(guest.watch.site).toBeUndefined()
    expect(guest.notes).toEqual([])
    // Until the gateway in use is dead.
    guest.world.rtts = {'10.0.0.2': 0.25}
    expect(guest.wait(30, 'y').notes[0]).toMatchObject({why: 'beacons', site: 'y'})
  })

  it('stays also where the gateway in use answers nothing but ARP', () => {
    const guest = vm({rtts: {'10.0.0.2': 0.2}, resolved: ['10.0.0.1']})
    expect(guest.wait(20, 'x').wait(60, 'y').notes).toEqual([])
  })

  it('takes refuge where the gateway in use is dead, and comes back when all of its site has come back', () => {
    const guest = vm({rtts: alike}).wait(20, 'x', 'y')
    guest.world.gateway = '10.0.0.1'
    guest.wait(10, 'x')
    guest.world.rtts = {'10.0.0.2': 0.25}
    guest.wait(30, 'y')
    expect(guest.notes.at(-1)).toMatchObject({why: 'beacons', site: 'y'})
    guest.happen({kind: 'switch'})
    guest.world.gateway = '10.0.0.2'
    const before = guest.notes.length
    // The controller first: its gateway is what counts.
    guest.wait(60, 'x', 'y')
    expect(guest.notes).toHaveLength(before)
    guest.world.rtts = alike
    guest.wait(30, 'x', 'y')
    expect(guest.notes[before]).toMatchObject({why: 'beacons', site: 'x'})
  })

  it('is moved by an announcement to a site that was not heard where it was', () => {
    const guest = vm({rtts: alike}).wait(20, 'x').moved().wait(4, 'y')
    expect(guest.notes).toMatchObject([{why: 'notify_peers', site: 'y'}])
  })

  it('is not moved by an announcement to one that was heard there too', () => {
    const guest = vm({rtts: alike}).wait(20, 'x').wait(20, 'x', 'y').moved().wait(20, 'y')
    expect(guest.notes).toEqual([])
    expect(guest.watch.site).toBeUndefined()
  })
})

describe('nearestSite', () => {
  const dead = {ms: undefined, living: false, arrived: false}
  const at = (ms: number | undefined, arrived = false) => ({ms, living: true, arrived})
  it.each<[Record<string, number | undefined>, Parameters<typeof nearestSite>[2], string | undefined]>([
    [{}, dead, undefined],
    [{x: undefined}, dead, 'x'],
    [{x: 10}, dead, 'x'],
    [{x: 10}, at(0.2, true), undefined],
    [{x: 0.3}, at(0.2), undefined],
    [{x: 0.3}, at(0.2, true), 'x'],
    [{x: 0.2}, at(10), 'x'],
    [{x: 0.2}, at(undefined), undefined],
    [{x: 0.2}, at(undefined, true), 'x'],
    [{x: undefined}, at(0.2), undefined],
    [{x: 0.2, y: 10}, dead, 'x'],
    [{x: 0.2, y: 0.6}, dead, undefined],
    [{x: 0.2, y: 0.8}, dead, 'x'],
    [{x: 10, y: 21}, dead, 'x'],
    [{x: 10, y: 19}, dead, undefined],
    [{x: 0.2, y: undefined}, dead, undefined],
    [{x: 0.2, y: 10, z: 0.3}, dead, undefined],
    [{x: 5, y: 20}, at(0.2), undefined],
    [{x: 0.2, y: 20}, at(10), 'x'],
  ])('%j with %j of the gateway in use: %s', (rtts, inUse, site) => {
    expect(nearestSite(new Map(Object.entries(rtts)), Object.keys(rtts), inUse)).toBe(site)
  })
})
