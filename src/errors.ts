// The failures that users are meant to read. Every floor may throw them; the commands turn each kind into its exit code.

/** What went wrong, by who has to act. The numbers are gwswitch's exit codes (README, "Exit codes"). */
export const EXIT = {
  /** Runtime error: an interface is down, a file cannot be written. */
  runtime: 1,
  /** The command line or the inventory is wrong; nothing was sent. */
  usage: 2,
  /** The network did not agree with the switch, which was rolled back. */
  'rolled-back': 3,
  /** The peer answered and did not do it. */
  refused: 4,
  /** Nobody answered before the deadline. */
  silent: 5,
  /** A capability is missing; the message names it. */
  privilege: 6,
} as const

export type FailureKind = keyof typeof EXIT

const BRAND = Symbol.for('gwswitch.Failure')

/** One line for the user: what is wrong, where, and what would be right. Never shown with a stack trace. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
    Object.defineProperty(this, BRAND, {value: true})
  }

  /** True for Failures of another copy of this package too: oclif plugins bring their own. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}

/** For what the command line or the inventory got wrong. */
export const usage = (message: string): Failure => new Failure('usage', message)
