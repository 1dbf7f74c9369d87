// Stops what switches by itself where switches fail: a site without a way out must not take every VM that comes to it.

export interface FuseLimits {
  /** So many of the last {@link of} VMs whose switch failed its proof blow it. */
  readonly failures: number
  readonly of: number
}

/** Three bad VMs are bad luck among ten, and not among five. */
export const FUSE_LIMITS: FuseLimits = {failures: 3, of: 10}

export interface Fuse {
  /** The newest outcome of each VM, oldest first: one VM that fails again and again is one. */
  readonly outcomes: readonly {readonly vm: string; readonly proved: boolean}[]
  readonly blown: boolean
}

export const NEW_FUSE: Fuse = {outcomes: [], blown: false}

/** Takes the outcome of a switch. A blown one stays blown until it is replaced. */
export function burn({outcomes, blown}: Fuse, vm: string, proved: boolean, limits: FuseLimits): Fuse {
  const newest = [...outcomes.filter((each) => each.vm !== vm), {vm, proved}].slice(-limits.of)
  const failed = newest.filter((each) => !each.proved).length
  return {outcomes: newest, blown: blown || failed >= limits.failures}
}

export const failedOf = ({outcomes}: Fuse): number => outcomes.filter(({proved}) => !proved).length
