// A result that cannot be printed is said to be so, and how it ended with it: the switch was made all the same.
import {EXIT} from '../errors.ts'
import {say} from '../net/process/say.ts'

let lastLine = ''
let broken: string | undefined

/** Notes what is printed: the last line that is not indented says how it ended, also where --json prints another form. */
export function noteLine(text: string): void {
  lastLine = text.split('\n').findLast((line) => /^\S/.test(line)) ?? lastLine
}

/**
 * From now on, standard output that takes no more (a full disk, a terminal that hung up) ends nothing in the middle: what
 * goes on goes on, and the process ends with one line on standard error and exit code 1. A reader that went away (`| head`,
 * EPIPE) is none of our business. To be called again after oclif has loaded a command.
 */
export function heedOutput(): void {
  // oclif's own throws, in the middle of whatever is under way.
  process.stdout.removeAllListeners('error')
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || broken !== undefined) return
    broken = error.code ?? error.message
    process.once('exit', unprinted)
  })
  process.stderr.removeAllListeners('error')
  process.stderr.on('error', () => {})
}

function unprinted(code: number): void {
  const ended = lastLine === '' ? '' : ` of "${lastLine.trim().replaceAll(/\s+/g, ' ')}"`
  say(`gwswitch: standard output: ${broken}: the result${ended}, exit code ${code}, cannot be printed`)
  process.exitCode = EXIT.runtime
}
