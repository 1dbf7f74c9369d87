// Stops what switches by itself where switches fail: a site without a way out must not take every VM that comes to it.

export interface FuseLimits {
  /** So many of the last {@link of} VMs whose switch failed its proof blow it. */
  readonly failures: number
  readonly of: number
}

/** Three bad VMs are bad luck among ten, and not among five. */
export const FUSE_LIMITS: FuseLimits = {failures: 3, of: 10}

interface FuseOutcome {
  readonly vm: string
  readonly proved: boolean
  /** Rises with each switch that is begun: what fails takes long, so that failures end together. */
  readonly begun: number
}

export interface Fuse {
  /** The newest outcome of each VM, in the order in which they were begun: one VM that fails again and again is one. */
  readonly outcomes: readonly FuseOutcome[]
  readonly blown: boolean
}

export const NEW_FUSE: Fuse = {outcomes: [], blown: false}

/** Takes the outcome of a switch. A blown one stays blown until it is replaced. */
export function burn({outcomes, blown}: Fuse, outcome: FuseOutcome, limits: FuseLimits): Fuse {
  const others = outcomes.filter((each) => each.vm !== outcome.vm)
  const newest = [...others, outcome].toSorted((a, b) => a.begun - b.begun).slice(-limits.of)
  const failed = newest.filter((each) => !each.proved).length
  return {outcomes: newest, blown: blown || failed >= limits.failures}
}

export const failedOf = ({outcomes}: Fuse): number => outcomes.filter(({proved}) => !proved).length
