// `npm run fuzz -- [SECONDS] [--seed N] [--only PART] [--input HEX]`: tries the readers of foreign bytes and text with
// inputs that nobody would write. Ends with 1 if one of them does not stand it.
import {randomInt} from 'node:crypto'
import {parseArgs} from 'node:util'
import {check, type Find, hexOf} from './check.ts'
import {TARGETS} from './targets/index.ts'
import {fuzzWatched} from './watch.ts'

const USAGE = 'npm run fuzz -- [SECONDS] [--seed N] [--only PART OF A NAME]... [--input HEX]'
const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {seed: {type: 'string'}, only: {type: 'string', multiple: true}, input: {type: 'string'}},
})
const seconds = Number(positionals[0] ?? 30)
const seed = Number(values.seed ?? randomInt(2 ** 31))
const only = values.only ?? []
const chosen = TARGETS.filter(({name}) => only.length === 0 || only.some((part) => name.includes(part)))
if (!(seconds > 0) || !Number.isSafeInteger(seed) || positionals.length > 1) stop(USAGE)
if (chosen.length === 0) stop(`no target ${only.join(', ')}; there are: ${TARGETS.map(({name}) => name).join(', ')}`)

let finds = 0
if (values.input !== undefined) {
  const input = Uint8Array.from(Buffer.from(values.input, 'hex'))
  for (const target of chosen) {
    const find = await check(target, input)
    if (find) show(find)
    else console.log(`${target.name}: well`)
  }
} else {
  console.log(`${chosen.length} targets, ${seconds} s, seed ${seed}`)
  const module = new URL('./targets/index.ts', import.meta.url).href
  const counts = await fuzzWatched({module, only, seed, seconds, hangMs: 10_000, onFind: show})
  const width = Math.max(0, ...[...counts.keys()].map((name) => name.length))
  for (const [name, inputs] of counts) console.log(`${name.padEnd(width)} ${String(inputs).padStart(10)}`)
  console.log(`${[...counts.values()].reduce((sum, n) => sum + n, 0)} inputs, ${finds} finds`)
}
process.exitCode = finds > 0 ? 1 : 0

function show({target, what, detail, input}: Find): void {
  finds++
  const again = `npm run fuzz -- --only "${target}" --input ${hexOf(input)}`
  console.log(`\nFOUND  ${target}: ${what}\n${detail}\nseed   ${seed}\nhex    ${hexOf(input)}\nagain  ${again}\n`)
}

function stop(line: string): never {
  console.error(line)
  process.exit(2)
}
