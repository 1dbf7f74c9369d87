// What a person at a terminal is asked for when the command line leaves it open. Never without a terminal, never in
// --json: hooks must not hang.
import type {DraftChoices, DraftGateway} from '../domain/init/draft.ts'
import type {Notebook} from '../domain/init/notebook.ts'
import type {KnownPrefix} from '../domain/init/prefixes.ts'
import {NAME} from '../domain/inventory/inventory-checks.ts'
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
  return withInquirer(async (inquirer) => {
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
  })
}

/** What only a person knows of what was heard: which ports lead elsewhere, what sites are called, what is no gateway. */
export async function askInit(
  book: Notebook,
  known: readonly KnownPrefix[],
  choices: DraftChoices,
): Promise<DraftChoices> {
  const {draftOf} = await import('../domain/init/decide.ts')
  const gateways = draftOf(book, known, choices).segments.flatMap((segment) => segment.gateways)
  if (gateways.length === 0) return choices
  return withInquirer(async (inquirer) => {
    const interSite = new Map(choices.interSite)
    if (interSite.size === 0) {
      const ports = portsAsked(gateways, choices)
      const leading = ports.length < 2 ? [] : await tick(inquirer, 'Which ports lead to another site?', ports, [])
      for (const port of leading) interSite.set(port, {name: 'there', by: 'given'})
    }
    const site = choices.site.given
      ? choices.site
      : {name: await word(inquirer, 'What is this site called?', choices.site.name), given: true}
    for (const [port, {name, by}] of interSite)
      interSite.set(port, {by, name: await word(inquirer, `What is the site behind ${port} called?`, name)})
    const unsure = gateways.filter(({seen}) => !seen)
    const kept =
      unsure.length === 0
        ? []
        : await tick(
            inquirer,
            'Nothing but their addresses says that these are gateways. Which are?',
            unsure.map(({ip, mac}) => ({name: `${ip}  ${mac}`, value: mac})),
            unsure.map(({mac}) => mac),
          )
    const notGateways = new Set(unsure.map(({mac}) => mac).filter((mac) => !kept.includes(mac)))
    return {...choices, interSite, site, notGateways}
  })
}

/** The ports of the bridges at which gateways were heard; those that have one behind them first. */
const portsAsked = (gateways: readonly DraftGateway[], {portsOf}: DraftChoices): Choice[] => {
  const behind = (port: string): string[] => gateways.filter((each) => each.port === port).map(({ip}) => ip)
  return [...portsOf.values()]
    .flat()
    .toSorted((a, b) => behind(b).length - behind(a).length)
    .map((port) => ({
      name: behind(port).length === 0 ? port : `${port}  gateway ${behind(port).join(', ')}`,
      value: port,
    }))
}

type Inquirer = typeof import('inquirer')['default']
interface Choice {
  readonly name: string
  readonly value: string
}

/** @throws Failure `runtime` if the person leaves it (Ctrl-C). */
async function withInquirer<T>(ask: (inquirer: Inquirer) => Promise<T>): Promise<T> {
  const {default: inquirer} = await import('inquirer')
  try {
    return await ask(inquirer)
  } catch (error) {
    if ((error as Error).name === 'ExitPromptError') throw new Failure('runtime', 'nothing was done')
    throw error
  }
}

/** Several of them; `ticked` are by themselves. */
async function tick(
  inquirer: Inquirer,
  message: string,
  choices: readonly Choice[],
  ticked: readonly string[],
): Promise<readonly string[]> {
  const shown = choices.map(({name, value}) => ({name: harmless(name), value, checked: ticked.includes(value)}))
  const question = {type: 'checkbox', name: 'answer', message: harmless(message), choices: shown} as const
  const {answer} = await inquirer.prompt<{answer: string[]}>([question])
  return answer
}

/** A name, as the inventory takes them. */
async function word(inquirer: Inquirer, message: string, proposed: string): Promise<string> {
  const validate = (text: string): true | string => NAME.test(text) || 'letters, digits, "-", "_", "."'
  const question = {type: 'input', name: 'answer', message: harmless(message), default: proposed, validate} as const
  const {answer} = await inquirer.prompt<{answer: string}>([question])
  return answer
}

async function pick(inquirer: Inquirer, message: string, choices: readonly Choice[]): Promise<string> {
  if (choices.length === 0) throw new Failure('usage', `${message} The inventory has none`)
  const shown = choices.map(({name, value}) => ({name: harmless(name), value}))
  const question = {type: 'select', name: 'answer', message: harmless(message), choices: shown} as const
  const {answer} = await inquirer.prompt<{answer: string}>([question])
  return answer
}
