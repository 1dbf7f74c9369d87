// A run that was never run: numbers by a seed, for tests of what is made of numbers. Nothing of it may be shown as measured.
import type {LabRun, LabRunFamily, LabRunRow, LabRunSample, LabRunStream} from '../../src/domain/evaluation/lab-run.ts'

/** Mulberry32: the same numbers from the same seed, 0 to 1. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What a stream without a fault is like. */
export const stream = (over: Partial<LabRunStream> = {}): LabRunStream => ({
  ...{sent: 900, lostAtMs: [], lostAfter: 0, gapOutMs: 150, gapInMs: 150},
  rttMs: {before: 20.7, trombone: 40.9, after: 0.8},
  ...over,
})

export const family = (over: Partial<LabRunFamily> = {}): LabRunFamily => ({
  ...{toFirstMs: 50, trombone: 2, near: stream(), far: stream()},
  ...over,
})

export const sample = (over: Partial<LabRunSample> = {}): LabRunSample => ({
  ...{round: 1, from: 'x', to: 'y', at: '2026-01-02T03:04:05.000Z', downtimeMs: 120, windowMs: 4500},
  ...{ipv4: family(), ipv6: null, unreachable: 0, said: null},
  tcp: {plain: {end: 'alive', gapMs: 250}, nat: null},
  ...over,
})

export const row = (over: Partial<LabRunRow> & Pick<LabRunRow, 'id'>): LabRunRow => ({
  ...{title: over.id, kind: 'gwswitch', strategy: over.id.split('.')[0]!, control: 'nothing', how: `do ${over.id}`},
  samples: [1, 2, 3, 4, 5].map((round) => sample({round})),
  ...over,
})

export const run = (rows: readonly LabRunRow[], over: Partial<LabRun> = {}): LabRun => ({
  ...{schema: 'gwswitch.lab-run/1', vm: 'qemu', repeat: 5, seed: 1, delaysMs: {dci: 10, wan: 10}, paceMs: 5},
  provenance: {
    ...{gwswitch: '0.1.0', node: 'v26.10.0', kernel: '6.18.0', distribution: 'Debian GNU/Linux 12', cpus: 2},
    ...{load: [0.4, 3.1], span: ['2026-01-02T03:00:00.000Z', '2026-01-02T03:15:00.000Z']},
    parts: {QEMU: '7.2.22', "guest's kernel": '6.1.0-44-cloud-amd64', dnsmasq: '2.90', dhcpcd: '9.4.1'},
  },
  ...{rows, left: [], exitCode: 0},
  ...over,
})

interface Made {
  readonly id: string
  readonly title: string
  readonly kind?: LabRunRow['kind']
  readonly control?: string
  /** First packet at the new gateway, about, ms; null: never. */
  readonly first: number | null
  readonly nat?: 'alive' | 'cut'
}

const ROWS: readonly Made[] = [
  {id: 'nothing.shared', title: 'nothing, shared gateway IP', kind: 'control', first: null, nat: 'alive'},
  {id: 'nothing.per-site', title: 'nothing, gateway IP per site', kind: 'control', first: null, nat: 'alive'},
  {id: 'arping.request', title: 'arping -U from a hook', kind: 'other', first: 51, nat: 'cut'},
  {id: 'arping.reply', title: 'arping -A from a hook', kind: 'other', first: 91, nat: 'cut'},
  {id: 'arp.command', title: 'arp, switch from the hook', first: 423, nat: 'cut'},
  {id: 'arp.before-resume', title: 'arp, switch --before-resume', first: 44, nat: 'cut'},
  {id: 'arp.service.socket', title: 'arp, serve site, told on its socket', first: 60, nat: 'cut'},
  {id: 'mac-proxy.command', title: 'mac-proxy, switch from the hook', first: 566, nat: 'cut'},
  {id: 'dhcp.forcerenew.dhcpcd', title: 'dhcp, FORCERENEW, dhcpcd', control: 'nothing.per-site', first: 497},
  {id: 'dhcp.forcerenew.udhcpc', title: 'dhcp, FORCERENEW, udhcpc', control: 'nothing.per-site', first: null},
  {id: 'dhcp.short-t1.udhcpc', title: 'dhcp, short T1, udhcpc', control: 'nothing.per-site', first: 2100},
  {id: 'agent.udp', title: 'agent, notify-agent by udp', control: 'nothing.per-site', first: 1141, nat: 'cut'},
  {id: 'agent.qga', title: 'agent, notify-agent by qga', control: 'nothing.per-site', first: 1266, nat: 'cut'},
  {id: 'ip.replace', title: 'ip route replace by qga', kind: 'other', control: 'nothing.per-site', first: 753},
]

/** A whole run, of every kind of row. */
export function madeRun(seed = 1, repeat = 5): LabRun {
  const random = numbers(seed)
  const about = (middle: number, spread: number): number => Math.round((middle + spread * (random() - 0.4)) * 10) / 10
  const rows = ROWS.map(({id, title, kind = 'gwswitch', control = 'nothing.shared', first, nat}): LabRunRow => {
    const samples = Array.from({length: repeat}, (_, i) => {
      const downtimeMs = about(130, 110)
      const toFirstMs = first === null ? null : about(first, first * 0.5)
      const gap = about(downtimeMs + 85, 70)
      const made = (extra: number): LabRunStream => ({
        ...stream({gapOutMs: gap + extra, gapInMs: about(gap, 20)}),
        lostAtMs: Array.from({length: Math.round(downtimeMs / 5)}, (_, k) => about(k * 5 - downtimeMs, 1)),
        lostAfter: random() < 0.04 ? 1 : 0,
        rttMs: {before: about(20.6, 1), trombone: about(41, 2), after: first === null ? null : about(0.7, 0.4)},
      })
      const of = (): LabRunFamily => ({
        toFirstMs,
        trombone: toFirstMs === null ? about(900, 20) | 0 : (toFirstMs / 5) | 0,
        near: made(0),
        far: made(10),
      })
      return sample({
        ...{round: i + 1, from: i % 2 === 0 ? 'x' : 'y', to: i % 2 === 0 ? 'y' : 'x', downtimeMs},
        ...(id === 'arp.command' && i === 2 && {void: "the guest's counter jumped"}),
        ...{ipv4: of(), ipv6: id.startsWith('dhcp') ? null : of()},
        unreachable: id.startsWith('arp') ? null : 0,
        tcp: {
          plain: {end: 'alive', gapMs: gap + 20},
          nat: nat === undefined ? null : {end: nat, gapMs: nat === 'alive' ? gap + 20 : 4500},
        },
      })
    })
    return row({
      ...{id, title, kind, samples},
      control: kind === 'control' ? id : control,
      strategy: kind === 'gwswitch' ? id.split('.')[0] : undefined,
    })
  })
  return run(rows, {seed, repeat, left: [{id: 'arp.service.libvirt', why: 'libvirtd is not here'}]})
}
