// What every command shares: --json in our own shape, exit codes, Ctrl-C, the inventory, the door to the outside.
import {constants} from 'node:os'
import {Command, Flags} from '@oclif/core'
import type {Inventory} from '../domain/inventory/inventory.ts'
import {EXIT, Failure} from '../errors.ts'
import type {World} from '../net/world.ts'

/** oclif's own errors carry the exit code here. */
interface OclifError extends Error {
  oclif?: {exit?: number}
  code?: string
}

export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true
  static override baseFlags = {
    inventory: Flags.file({
      char: 'f',
      env: 'GWSWITCH_INVENTORY',
      helpGroup: 'GLOBAL',
      helpValue: 'FILE',
      summary: 'inventory of sites, gateways and VMs (default: ./gwswitch.yaml, /etc/gwswitch/gwswitch.yaml)',
    }),
    verbose: Flags.boolean({helpGroup: 'GLOBAL', summary: 'say on stderr what is done and when'}),
  }

  /** Aborted by Ctrl-C and SIGTERM, so that what was begun can be put back before the process ends. */
  protected readonly interrupt = new AbortController()
  private recording: {readonly world: World; close(): void} | undefined
  private stoppedBy: 'SIGINT' | 'SIGTERM' | undefined

  protected override async init(): Promise<void> {
    await super.init()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      // Once: a second one ends the process at once.
      process.once(signal, () => {
        this.stoppedBy = signal
        this.interrupt.abort(new Failure('runtime', `stopped by ${signal}`))
      })
    }
  }

  /** How this gwswitch is called, in words that work when they are pasted: its name where it is installed, else its path. */
  protected get invocation(): string {
    const script = process.argv[1] ?? this.config.bin
    return script.endsWith('.js') ? `${process.execPath} ${script}` : this.config.bin
  }

  /** Colour for a person's terminal only; NO_COLOR (no-color.org) switches it off. */
  protected get colour(): boolean {
    return process.stdout.isTTY === true && !process.env.NO_COLOR && !this.jsonEnabled()
  }

  /**
   * The one door to the outside, with every frame that passes in `pcap` (--pcap). Loaded when used: koffi and the sockets
   * cost start-up time.
   */
  protected async world(pcap?: string): Promise<World> {
    const {systemWorld} = await import('../net/system-world.ts')
    const world = systemWorld((line) => this.progress(line))
    if (pcap === undefined) return world
    const {recordingWorld} = await import('../net/packet/recording.ts')
    this.recording = recordingWorld(world, pcap)
    return this.recording.world
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    this.recording?.close()
    await super.finally(error)
  }

  /** The inventory, if there is one; a file that was named must exist. */
  protected async inventory(flag: string | undefined): Promise<Inventory | undefined> {
    const {readInventoryFile} = await import('../net/file/inventory-file.ts')
    const file = await readInventoryFile({flag, env: process.env.GWSWITCH_INVENTORY, cwd: process.cwd()})
    if (!file) return undefined
    const {parseInventory} = await import('../domain/inventory/inventory.ts')
    return parseInventory(file.text, file.path)
  }

  /** @throws Failure `usage` without an inventory. */
  protected async neededInventory(flag: string | undefined): Promise<Inventory> {
    const {neededInventory} = await import('../domain/inventory/site.ts')
    return neededInventory(await this.inventory(flag))
  }

  /** A line for whoever watches; never part of the result. */
  protected progress(line: string): void {
    if (process.argv.includes('--verbose')) process.stderr.write(`${line}\n`)
  }

  /** Shows what goes on, on a terminal only, in one line that is written over; an empty text takes it away. */
  protected meter(text: string): void {
    if (process.stderr.isTTY && !this.jsonEnabled()) process.stderr.write(`\r\x1b[K${text}`)
  }

  protected override async catch(error: OclifError): Promise<unknown> {
    if (!(error instanceof Failure)) {
      if (error.oclif?.exit !== EXIT.usage || this.jsonEnabled()) return super.catch(error)
      process.exitCode = EXIT.usage
      process.stderr.write(`gwswitch: ${oneLine(error.message)} (see --help)\n`)
      return undefined
    }
    // A shell expects 128 + the signal's number of what a signal ended.
    process.exitCode = this.stoppedBy === undefined ? EXIT[error.kind] : 128 + constants.signals[this.stoppedBy]
    if (this.jsonEnabled()) this.logJson(this.toErrorJson(error))
    else process.stderr.write(`gwswitch: ${oneLine(error.message)}\n`)
    return undefined
  }

  /** A line on stderr that is heeded also when stdout goes into a pipe. oclif's own would be wrapped and framed. */
  protected caution(line: string): void {
    process.stderr.write(`gwswitch: warning: ${line}\n`)
  }

  /** oclif would print its whole configuration here. */
  protected override toErrorJson(error: OclifError): unknown {
    const exit = error instanceof Failure ? EXIT[error.kind] : (error.oclif?.exit ?? EXIT.runtime)
    const kind =
      error instanceof Failure ? error.kind : (Object.entries(EXIT).find(([, code]) => code === exit)?.[0] ?? 'runtime')
    return {error: {kind, exit, message: oneLine(error.message)}}
  }
}

/** oclif lays its usage errors out over several lines; logs and scripts want one. */
const oneLine = (message: string): string =>
  message
    .replace(/\n*See more help with --help\s*$/, '')
    .replace(/^Parsing (--[\w-]+)\s*\n\s*/, '$1: ')
    .replace(/\s*\n\s*/g, ' ')
    .trim()
