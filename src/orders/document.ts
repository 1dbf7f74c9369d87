// What every document says that a command prints, and the document of whatever was thrown.
import {EXIT, Failure, type FailureKind} from '../errors.ts'

/** What is printed of a command's document: when it was made, and the exit code of the process, unless it says its own. */
export const stamped = <Document extends object>(document: Document, exitCode: number, nowMs = Date.now()) => {
  const {schema, ...rest} = document as {readonly schema?: unknown}
  return {schema, at: new Date(nowMs).toISOString(), exitCode, ...rest}
}

export interface ErrorDocument {
  readonly schema: 'gwswitch.error/1'
  /** When it was made. */
  readonly at: string
  readonly error: {readonly kind: FailureKind; readonly exit: number; readonly message: string}
  /** That of the process. */
  readonly exitCode: number
}

/**
 * `stopCode` is the exit code of the signal that ended the run, if one did. It does not hide that the state of a VM is
 * unknown.
 */
export function errorDocument(error: unknown, stopCode?: number, nowMs = Date.now()): ErrorDocument {
  const kind = kindOf(error)
  const exit = EXIT[kind]
  return {
    schema: 'gwswitch.error/1',
    at: new Date(nowMs).toISOString(),
    error: {kind, exit, message: oneLine(error)},
    exitCode: kind === 'unknown' ? exit : (stopCode ?? exit),
  }
}

/** oclif's own errors carry an exit code; of ours, those it shares are of the command line. */
function kindOf(error: unknown): FailureKind {
  if (error instanceof Failure) return error.kind
  return (error as {oclif?: {exit?: number}} | undefined)?.oclif?.exit === EXIT.usage ? 'usage' : 'runtime'
}

/** What an error says, in one line: logs and scripts want that, and oclif lays its usage errors out over several. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error)
  return text
    .replace(/\n*See more help with --help\s*$/, '')
    .replace(/^The following errors? occurred:\s*/, '')
    .replace(/^Parsing (--[\w-]+)\s*\n\s*/, '$1: ')
    .replace(/\s*\n\s*/g, ' ')
    .trim()
}
