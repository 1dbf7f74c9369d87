// Pictures of docs/pictures: what commands of the tutorial print in a lab of their own, and what `trace --svg` draws.
import {execFileSync} from 'node:child_process'
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {root} from './reference.ts'
import {terminalSvg} from './terminal-svg.ts'

const PREFIX = 'gwpict'
const COLUMNS = 100
const FOLDER = join(root, 'docs/pictures')

const program = [process.execPath, join(root, 'bin/run.js')]
const lab = (...args: string[]): string =>
  execFileSync(program[0]!, [program[1]!, 'lab', ...args, '--prefix', PREFIX], {encoding: 'utf8'})
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/** What `gwswitch ARGS` writes in a node to a terminal that script(1) makes, without its progress on standard error. */
function onTerminal(node: string, args: readonly string[]): string {
  const command = ['ip', 'netns', 'exec', `${PREFIX}-${node}`, ...program, ...args].map(quoted).join(' ')
  const files = `/run/gwswitch/lab-${PREFIX}`
  const env = {
    PATH: process.env.PATH,
    TERM: 'xterm-256color',
    GWSWITCH_INVENTORY: `${files}/gwswitch.yaml`,
    GWSWITCH_JOURNAL: `${files}/journal.db`,
  }
  const onIt = `stty cols ${COLUMNS} rows 60; exec ${command} 2>/dev/null`
  return execFileSync('script', ['--quiet', '--command', onIt, '/dev/null'], {encoding: 'utf8', env})
}

function keep(name: string, node: string, ...args: string[]): void {
  writeFileSync(join(FOLDER, `${name}.svg`), terminalSvg(`gwswitch ${args.join(' ')}`, onTerminal(node, args), COLUMNS))
}

export function makePictures(): void {
  mkdirSync(FOLDER, {recursive: true})
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-pictures-'))
  try {
    lab('up')
    lab('move', 'db-03', '--to', 'y')
    const drawn = join(scratch, 'trace.svg')
    keep('trace', 'db-03', 'trace', '203.0.113.10')
    onTerminal('db-03', ['trace', '203.0.113.10', '--svg', drawn])
    writeFileSync(join(FOLDER, 'trace-svg.svg'), readFileSync(drawn))
    keep('switch', 'ry', 'switch', 'db-03', '--to', 'y')
    keep('who', 'sw-y', 'who', '-i', 'br-b', '--site', 'y', '--segment', 'tenant-b')
  } finally {
    lab('down')
    rmSync(scratch, {recursive: true, force: true})
  }
}
