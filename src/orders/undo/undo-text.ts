// What `undo` says on a terminal.
import type {UndoDocument, UndoRow} from './run-undo.ts'

export function undoText({switches}: UndoDocument): string[] {
  return switches.flatMap(rowText)
}

function rowText({run, vm, from, to, strategy, outcome, reason, document}: UndoRow): string[] {
  const what = `${vm}  from ${from} back to ${to}  by ${strategy}  (run ${run})`
  switch (outcome) {
    case 'refused':
      return [`REFUSED     ${reason}`]
    case 'planned':
      return [`${what}: dry run, nothing was sent`]
    case 'undone':
      return [`UNDONE      ${what}`, ...because(document?.rollback?.evidence ?? [])]
    case 'unknown': {
      const error = document?.rollbackError
      const said = [...(document?.rollback?.evidence ?? []), ...(error ? [error.message] : [])]
      return [`UNKNOWN     ${what}: whether it is as it was is not known`, ...because(said)]
    }
  }
}

const because = (lines: readonly string[]): string[] => lines.map((line) => `            ${line}`)
