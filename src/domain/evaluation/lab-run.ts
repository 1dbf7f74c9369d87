// What `gwswitch lab run` saw: real migrations of one VM between two sites, a row for each way to move its gateway, and what
// was captured of each. Nothing in here is the tool's own belief, but what is named so.

/** `qemu`: a guest that is live-migrated; `netns`: a namespace whose link is moved. */
export type LabRunVm = 'qemu' | 'netns'
type Site = 'x' | 'y'

/** The document of `lab run`. It is kept while the run goes on, and a run that was interrupted is resumed from it. */
export interface LabRun {
  readonly schema: 'gwswitch.lab-run/1'
  readonly vm: LabRunVm
  /** Rounds that were asked for; each has every row once, its controls too, in an order of its own. */
  readonly repeat: number
  /** Of the order of rows, so that it can be had again. */
  readonly seed: number
  /** What stands in the way of a packet: one way, ms. */
  readonly delaysMs: {readonly dci: number; readonly wan: number}
  /** Between two echoes of a stream as ping(8) was asked, ms; `sent` tells how many it made. */
  readonly paceMs: number
  readonly provenance: LabRunProvenance
  readonly rows: readonly LabRunRow[]
  /** Rows that were asked for and cannot run here, and why. */
  readonly left: readonly {readonly id: string; readonly why: string}[]
  readonly exitCode: number
}

export interface LabRunProvenance {
  readonly gwswitch: string
  readonly node: string
  readonly kernel: string
  readonly distribution: string
  readonly cpus: number
  /** Load of the last minute at the start and at the end (proc_loadavg(5)). */
  readonly load: readonly [number, number]
  /** ISO 8601, at the start and at the end of it. */
  readonly span: readonly [string, string]
  /** Versions of what took part, by name: QEMU, the guest's kernel, DHCP clients, dnsmasq, arping, plugins. */
  readonly parts: Readonly<Record<string, string>>
}

export interface LabRunRow {
  /** Stable, as `--row` takes it: `arp.before-resume`. */
  readonly id: string
  /** For people: `arp, switch --before-resume`. */
  readonly title: string
  /** `control`: nothing is done. `other`: done without gwswitch. */
  readonly kind: 'control' | 'gwswitch' | 'other'
  /** The strategy that it is a form of, by the name under which it is installed. */
  readonly strategy?: string | undefined
  /** The row of kind `control` that ran in every round with the same guest. Its own id for a control. */
  readonly control: string
  /** What was done, as one could type it. */
  readonly how: string
  readonly samples: readonly LabRunSample[]
}

/** One migration. Times are ms from QMP RESUME at the destination unless named otherwise, by the kernel's timestamps of captures. */
export interface LabRunSample {
  /** From 1. */
  readonly round: number
  /** Where the VM came from, and where it went. */
  readonly from: Site
  readonly to: Site
  /** ISO 8601, of RESUME. */
  readonly at: string
  /** Why it does not count: the guest's counter jumped, a capture dropped packets. */
  readonly void?: string | undefined
  /** From the source's STOP to RESUME, ms; null for a namespace, whose link merely moves. */
  readonly downtimeMs: number | null
  /** How long was looked, ms from RESUME. */
  readonly windowMs: number
  readonly ipv4: LabRunFamily
  /** Null where the VM has no IPv6 in this row. */
  readonly ipv6: LabRunFamily | null
  readonly tcp: {
    /** Through gateways that only route. */
    readonly plain: LabRunSession
    /** Through gateways that translate addresses. */
    readonly nat: LabRunSession | null
  }
  /** Sends that the guest's kernel refused for want of a route, ENETUNREACH; null where it was not asked. */
  readonly unreachable: number | null
  /** What the tool said of its own work; shown, and used for no figure. */
  readonly said: string | null
}

export interface LabRunFamily {
  /** First packet of the VM at the destination's gateway; null: none in the window. */
  readonly toFirstMs: number | null
  /** Packets of the VM that the old site's gateway got after RESUME. */
  readonly trombone: number
  /** The user near the destination, and the one near the source. */
  readonly near: LabRunStream
  readonly far: LabRunStream
}

/** Echoes between a user and the VM. */
export interface LabRunStream {
  readonly sent: number
  /** When those were sent that never came back, ms from RESUME (before it: negative). */
  readonly lostAtMs: readonly number[]
  /** Of them, those sent after the first echo had come back from the destination. */
  readonly lostAfter: number
  /** Longest time without a packet, the migration's own included: from the VM at the user, and from the user at the VM's port. */
  readonly gapOutMs: number
  readonly gapInMs: number
  /** Median round trips: before the migration; while the way led through the old site; at the end. Null where there was none. */
  readonly rttMs: {readonly before: number | null; readonly trombone: number | null; readonly after: number | null}
}

/** A TCP session that the guest opened to the user near the destination, or far from it, and counts on. */
export interface LabRunSession {
  /** `alive`: it counted on without a hole until the end. */
  readonly end: 'alive' | 'cut' | 'silent'
  /** Longest time without a new line of it, ms. */
  readonly gapMs: number
}
