// Every `gwswitch ...` in an example of a page, or of --help, is taken by the command's own parser. Nothing is run.
import {globSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {type Command, Config, Parser} from '@oclif/core'
import {describe, expect, it} from 'vitest'
import {fencesOf} from '../../scripts/docs/markdown.ts'
import {filled} from '../../scripts/docs/reference-commands.ts'
import {sourceOf} from '../../scripts/source-config.mjs'
import {withSocket} from '../../src/commands/serve/site.ts'
import {gwswitchCalls, shellCommands} from '../support/shell-words.ts'

const root = join(import.meta.dirname, '../..')
const pjson = sourceOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
const config = await Config.load({root, pjson, ignoreManifest: true})
const ids = new Set(config.commands.map(({id}) => id))

/** The longest beginning that is a command, and what is behind it. */
function commandOf(words: readonly string[]): {readonly id: string; readonly rest: readonly string[]} {
  for (let n = 3; n > 0; n--) {
    const id = words.slice(0, n).join(':')
    if (ids.has(id)) return {id, rest: words.slice(n)}
  }
  throw new Error(`no command gwswitch ${words.join(' ')}`)
}

/** Throws what oclif says of the arguments; as `Command.parse` does it, without its hooks. */
async function parse(words: readonly string[]): Promise<void> {
  if (words.length === 0 || ['--help', '--version', 'help'].includes(words[0]!)) return
  const {id, rest} = commandOf(words)
  if (rest.includes('--help')) return
  const command = (await config.findCommand(id)!.load()) as Command.Class & {strict: boolean}
  const {args, strict} = command
  const flags = {...command.baseFlags, ...command.flags, json: command.enableJsonFlag ? JSON_FLAG : undefined!}
  const argv = id === 'serve:site' ? withSocket(rest) : [...rest]
  await Parser.parse(argv, {args, strict, flags, context: undefined as never, '--': true})
}
const JSON_FLAG = {type: 'boolean', name: 'json', allowNo: false, parse: async (value: boolean) => value} as never

const pages = globSync(['*.md', 'docs/**/*.md'], {cwd: root}).sort()
const inPages = pages.flatMap((page) =>
  fencesOf(readFileSync(join(root, page), 'utf8'))
    .filter(({language}) => language === 'sh')
    .flatMap(({text, line}) =>
      gwswitchCalls(text).map((words) => [`${page}:${line}: gwswitch ${words.join(' ')}`, words] as const),
    ),
)
const inHelp = config.commands.flatMap(({id, examples = []}) =>
  examples
    .map((each) => filled(typeof each === 'string' ? each : each.command, id))
    .flatMap((text) => gwswitchCalls(text).map((words) => [`${id}: gwswitch ${words.join(' ')}`, words] as const)),
)

describe('an example that begins with gwswitch', () => {
  it.each(inPages)('%s', async (_name, words) => parse(words))
  it.each(inHelp)('of --help: %s', async (_name, words) => parse(words))

  it('is found wherever a page has it', () => {
    expect(inPages.length).toBeGreaterThan(150)
    expect(inHelp.length).toBeGreaterThan(100)
  })

  it.each([
    ['trcae 10.0.0.1', /no command/],
    ['trace 203.0.113.10 --pair 3', /Nonexistent flag: --pair/],
    ['trace 203.0.113.10 --pairs many', /pairs/],
    ['inventory import kubevirt --network', /expects a value/],
    ['strategies --json surplus', /Unexpected argument/],
  ])('that is wrong is noticed: gwswitch %s', async (line, message) => {
    await expect(parse(line.split(' '))).rejects.toThrow(message)
  })
})

describe('the words of a shell', () => {
  it('are split as a shell splits them', () => {
    const text = `a 'b c' "d e"f # no\nfoo=$(g "h i") j > k && l \\\n  m | n; for x in y; do o & done\np <(q r) 2>&1\n`
    expect(shellCommands(text)).toEqual([
      ['a', 'b c', 'd ef'],
      ['foo=$(g "h i")', 'j'],
      ['l', 'm'],
      ['n'],
      ['for', 'x', 'in', 'y'],
      ['do', 'o'],
      ['done'],
      ['p', '<(q r)'],
      ['g', 'h i'],
      ['q', 'r'],
    ])
    expect(
      gwswitchCalls('sudo ip netns exec a gwswitch who b; X=1 gwswitch trace c; echo gwswitch; cd gwswitch'),
    ).toEqual([
      ['who', 'b'],
      ['trace', 'c'],
    ])
  })
})
