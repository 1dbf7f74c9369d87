import type {Hook} from '@oclif/core'
import {closest} from '../domain/suggest.ts'
import {usage} from '../errors.ts'
import {printJson, say} from '../net/process/say.ts'
import {errorDocument} from '../orders/document.ts'

/** What is said of a command that there is not: one line or, with --json, one document; exit code 2 in both. */
const commandNotFound: Hook<'command_not_found'> = async ({id, argv = [], config}) => {
  const spoken = (command: string): string => command.replaceAll(':', ' ')
  const commands = config.commands.filter(({hidden}) => !hidden).map((command) => spoken(command.id))
  // oclif takes the words after it for a part of its name, where they could be one.
  const words = spoken(id).split(' ')
  const typed = words.map((_, i) => words.slice(0, words.length - i).join(' '))
  const near = typed.map((word) => closest(word, commands)).find((name) => name !== undefined)
  const said = usage(
    `no command "${spoken(id)}" (${near === undefined ? `see ${config.bin} --help` : `did you mean "${near}"?`})`,
  )
  const document = errorDocument(said)
  if ([id, ...argv].includes('--json')) printJson(document, 2)
  else say(`gwswitch: ${said.message}`)
  process.exitCode = document.exitCode
}

export default commandNotFound
