// What a person at a terminal is asked for when the command line leaves it open. Never without a terminal, never in
// --json: hooks must not hang.
import {findSegment, gatewaysAtSite, type Inventory} from '../domain/inventory/site.ts'
import {Failure} from '../errors.ts'
import {harmless} from '../wire/printable.ts'

export interface SwitchChoice {
  readonly vm: string
  readonly to: string
}

/** Whether there is somebody to ask. */
export const canAsk = (json: boolean): boolean => process.stdin.isTTY === true && process.stdout.isTTY === true && !json

/**
 * The VM and the site to switch it to; asks for what is missing.
 * @throws Failure `usage` naming what is missing where nobody can be asked, `runtime` if the person leaves it (Ctrl-C).
 */
export async function completeSwitch(
  given: {vm: string | undefined; to: string | undefined},
  inventory: Inventory,
  ask: boolean,
): Promise<SwitchChoice> {
  if (given.vm !== undefined && given.to !== undefined) return {vm: given.vm, to: given.to}
  if (!ask) {
    const missing = [given.vm === undefined && 'the VM', given.to === undefined && '--to SITE']
      .filter(Boolean)
      .join(' and ')
    throw new Failure('usage', `give ${missing}: gwswitch switch VM --to SITE`)
  }
  const {default: inquirer} = await import('inquirer')
  try {
    const vm =
      given.vm ??
      (await pick(
        inquirer,
        'Which VM has moved?',
        inventory.vms.map(({name, ip, segment}) => ({name: `${name}  ${ip}  ${segment}`, value: name})),
      ))
    const segment = findSegment(inventory, inventory.vms.find(({name}) => name === vm)?.segment ?? '')
    const sites = inventory.sites.filter(({name}) => !segment || gatewaysAtSite(segment, name).length > 0)
    const to =
      given.to ??
      (await pick(
        inquirer,
        `Which site is ${vm} in now?`,
        sites.map(({name}) => ({name, value: name})),
      ))
    const {go} = await inquirer.prompt<{go: boolean}>([
      {type: 'confirm', name: 'go', message: harmless(`Switch ${vm} to the gateway of site ${to}?`), default: true},
    ])
    if (!go) throw new Failure('runtime', 'nothing was done')
    return {vm, to}
  } catch (error) {
    if ((error as Error).name === 'ExitPromptError') throw new Failure('runtime', 'nothing was done')
    throw error
  }
}

type Inquirer = typeof import('inquirer')['default']

async function pick(inquirer: Inquirer, message: string, choices: {name: string; value: string}[]): Promise<string> {
  if (choices.length === 0) throw new Failure('usage', `${message} The inventory has none`)
  const shown = choices.map(({name, value}) => ({name: harmless(name), value}))
  const question = {type: 'select', name: 'answer', message: harmless(message), choices: shown} as const
  const {answer} = await inquirer.prompt<{answer: string}>([question])
  return answer
}
