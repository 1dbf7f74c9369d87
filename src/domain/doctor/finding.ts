// What is wrong on a host, and the command that mends it.

/** `fine`: it was looked at, and is as it should be. `wrong`: it works, and will bite. `broken`: something cannot work. */
export type Level = 'fine' | 'wrong' | 'broken'

export interface DoctorFinding {
  /** Stable, for scripts. */
  readonly code: string
  readonly level: Level
  readonly what: string
  /** What follows from it; null where it is fine. */
  readonly why: string | null
  /** Works as pasted, as root; null: no command does it. */
  readonly mend: string | null
}

export const fine = (code: string, what: string): DoctorFinding => ({code, level: 'fine', what, why: null, mend: null})
export const wrong = (code: string, what: string, why: string, mend: string | null): DoctorFinding => ({
  ...{code, level: 'wrong', what, why, mend},
})
export const broken = (code: string, what: string, why: string, mend: string | null): DoctorFinding => ({
  ...{code, level: 'broken', what, why, mend},
})

/** 0 nothing is wrong, 10 something is, 12 something cannot work. */
export const doctorExit = (findings: readonly DoctorFinding[]): 0 | 10 | 12 =>
  findings.some(({level}) => level === 'broken') ? 12 : findings.some(({level}) => level === 'wrong') ? 10 : 0
