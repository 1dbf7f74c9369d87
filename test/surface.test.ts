// What users see of the commands, under snapshot: flags, help, the manifest.
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {Config, Help} from '@oclif/core'
import {describe, expect, it} from 'vitest'
import {manifestText} from '../scripts/manifest.mjs'
import {sourceOf} from '../scripts/source-config.mjs'

const root = join(import.meta.dirname, '..')
const pjson = sourceOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
const config = await Config.load({root, pjson, ignoreManifest: true})
// Copies: oclif's help writes spaces into the ids of the subcommands it lists.
const commands = config.commands.map((command) => ({...command})).sort((a, b) => (a.id < b.id ? -1 : 1))

/** With what the manifest leaves out. */
const classes = new Map(await Promise.all(config.commands.map(async (each) => [each.id, await each.load()] as const)))

class HelpText extends Help {
  readonly lines: string[] = []
  override log(...args: string[]): void {
    this.lines.push(...args)
  }
}

async function helpOf(id: string): Promise<string> {
  const help = new HelpText(config, {stripAnsi: true, maxWidth: 100})
  const command = commands.find((each) => each.id === id)!
  await help.showCommandHelp(command)
  return help.lines.join('\n')
}

describe('the surface', () => {
  it('is the manifest that is checked in', async () => {
    expect(await manifestText(), 'run `npm run manifest`').toBe(readFileSync(join(root, 'oclif.manifest.json'), 'utf8'))
  })

  it.each(commands.map(({id}) => id))('%s --help', async (id) => {
    expect(await helpOf(id)).toMatchSnapshot()
  })

  it.each(commands.filter(({hidden}) => !hidden).map((command) => [command.id, command] as const))(
    '%s has a summary and examples',
    (_id, command) => {
      expect(command.summary).toBeTruthy()
      expect(command.examples?.length).toBeGreaterThan(0)
    },
  )

  it.each([...classes.keys()])('%s takes one value a flag, and leaves its arguments alone', (id) => {
    const greedy = Object.entries(classes.get(id)!.flags ?? {}).filter(
      ([, flag]) => flag.type === 'option' && flag.multiple && !flag.multipleNonGreedy,
    )
    expect(greedy.map(([name]) => name)).toEqual([])
  })

  it.each(commands.map((command) => [command.id, command] as const))('%s has every flag explained', (_id, command) => {
    const silent = Object.values(command.flags).filter(({summary, description}) => !summary && !description)
    expect(silent.map(({name}) => name)).toEqual([])
  })
})
