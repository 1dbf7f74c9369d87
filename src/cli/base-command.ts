// What every command shares: --json in our own shape, exit codes, Ctrl-C, the inventory, the door to the outside.
import {constants} from 'node:os'
import {Command, Flags} from '@oclif/core'
import type {Inventory} from '../domain/inventory/inventory.ts'
import {closest} from '../domain/suggest.ts'
import {EXIT, Failure} from '../errors.ts'
import type {Audit, AuditEvent} from '../net/file/audit-log.ts'
import type {InventoryPlace} from '../net/file/inventory-file.ts'
import {overwrite, printJson, say, sayNow, sayStack, shown} from '../net/process/say.ts'
import {canRedraw, wantsColour} from '../net/process/terminal.ts'
import type {World} from '../net/world.ts'
import {errorDocument, oneLine, stamped} from '../orders/document.ts'
import {paintWith} from '../render/paint.ts'
import {markVerdict} from '../render/verdict-words.ts'
import {heedOutput, noteLine} from './output.ts'

/** oclif's own errors carry the exit code here. */
interface OclifError extends Error {
  oclif?: {exit?: number}
  code?: string
}

/** How long a run may take to put back what it began, after an error that nobody waited for, ms. */
const STRAY_MS = 20_000

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
    quiet: Flags.boolean({
      char: 'q',
      exclusive: ['verbose'],
      helpGroup: 'GLOBAL',
      summary:
        'print no text: the exit code says how it ended; warnings and errors stay on stderr, and --json its document',
    }),
    verbose: Flags.boolean({helpGroup: 'GLOBAL', summary: 'say on stderr what is done and when'}),
  }

  /** Aborted by Ctrl-C, SIGTERM and SIGHUP, so that what was begun can be put back before the process ends. */
  protected readonly interrupt = new AbortController()
  private recording: {readonly world: World; close(): string | undefined} | undefined
  protected stoppedBy: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | undefined
  private stray: Failure | undefined
  private recorder: Audit | undefined

  protected override async init(): Promise<void> {
    await super.init()
    heedOutput()
    process.on('uncaughtException', (error: unknown) => this.abandon(error))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      // Once: a second one ends the process at once.
      process.once(signal, () => {
        this.stoppedBy = signal
        this.interrupt.abort(new Failure('runtime', `stopped by ${signal}`))
      })
    }
  }

  /**
   * Something was thrown where nobody waits for it. What was begun is put back as after a signal; a run that does not end
   * by that, or throws again, is ended (a switch then by its guard).
   */
  private abandon(error: unknown): void {
    const again = this.stray !== undefined
    this.stray ??= new Failure('runtime', oneLine(error), {cause: error})
    this.interrupt.abort(this.stray)
    const end = (): never => {
      this.report(this.stray!)
      process.exit(EXIT.runtime)
    }
    if (again) end()
    setTimeout(end, STRAY_MS).unref()
  }

  /** The exit code that a shell expects of what a signal ended; undefined if none did. */
  protected get stopCode(): number | undefined {
    return this.stoppedBy === undefined ? undefined : 128 + constants.signals[this.stoppedBy]
  }

  /** How this gwswitch is called, in words that work when they are pasted: its name where it is installed, else its path. */
  protected get invocation(): string {
    const script = process.argv[1] ?? this.config.bin
    return script.endsWith('.js') ? `${process.execPath} ${script}` : this.config.bin
  }

  /** SIGHUP asks a service to read its files again; of a terminal that hangs up it still ends what was started there. */
  protected onHangup(listener: () => void): void {
    if (process.stdin.isTTY) return
    process.removeAllListeners('SIGHUP')
    process.on('SIGHUP', listener)
  }

  protected get colour(): boolean {
    return wantsColour(process.stdout.isTTY === true, process.env) && !this.jsonEnabled()
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
    const short = this.recording?.close()
    if (short !== undefined) this.caution(short)
    if (this.stray !== undefined && error === undefined) {
      this.caution(this.stray.message)
      process.exitCode ||= EXIT.runtime
    }
    await super.finally(error)
  }

  /** The inventory, if there is one; a file that was named must exist. */
  protected async inventory(flag: string | undefined): Promise<Inventory | undefined> {
    const {keptInventory} = await import('../orders/inventory/kept-inventory.ts')
    return keptInventory(this.inventoryPlace(flag), this.argv.includes('--dry-run'))
  }

  protected inventoryPlace(flag: string | undefined): InventoryPlace {
    return {flag, env: process.env.GWSWITCH_INVENTORY, cwd: process.cwd()}
  }

  /** @throws Failure `usage` without an inventory. */
  protected async neededInventory(flag: string | undefined): Promise<Inventory> {
    const {neededInventory} = await import('../domain/inventory/site.ts')
    return neededInventory(await this.inventory(flag))
  }

  /** A line for whoever watches; never part of the result. */
  protected progress(line: string): void {
    if (process.argv.includes('--verbose')) sayNow(line)
  }

  /** Shows what goes on, on a terminal only, in one line that is written over; an empty text takes it away. */
  protected meter(text: string): void {
    if (canRedraw(process.stderr, process.env) && !this.isQuiet && !this.jsonEnabled()) overwrite(text)
  }

  /** Noted also with --json: should the document not be printed, the words say how it ended. */
  override log(text = ''): void {
    noteLine(text)
    const line = this.colour ? markVerdict(text, paintWith(true)) : text
    if (!this.isQuiet) super.log(shown(line))
  }

  /** Sentences, folded at the width of a terminal. */
  protected async prose(lines: readonly string[]): Promise<void> {
    const {columns} = process.stdout
    // What it loads takes a third of an empty Node's start.
    const foldHanging = columns ? (await import('../render/fold.ts')).foldHanging : undefined
    for (const line of lines) for (const part of foldHanging?.(line, columns) ?? [line]) this.log(part)
  }

  private get isQuiet(): boolean {
    return this.argv.some((word) => word === '--quiet' || word === '-q')
  }

  /** Text of several lines. */
  protected page(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.log(line)
  }

  protected override logJson(json: unknown): void {
    printJson(json, 2)
  }

  protected override toSuccessJson(document: unknown): unknown {
    return stamped(document as object, Number(process.exitCode ?? 0))
  }

  protected override async catch(error: OclifError): Promise<unknown> {
    if (error.code === 'EEXIT') return super.catch(error)
    const {signal} = this.interrupt
    this.report(signal.aborted && error.name === 'AbortError' ? signal.reason : error)
    return undefined
  }

  /** One line, or with --json one document, and the exit code of both. */
  private report(error: unknown): void {
    const document = errorDocument(error, this.stopCode)
    process.exitCode = document.exitCode
    const hint =
      document.error.exit === EXIT.usage && !(error instanceof Failure)
        ? ` (${this.nearFlag(error) ?? 'see --help'})`
        : ''
    if (this.jsonEnabled()) this.logJson(document)
    else say(`gwswitch: ${document.error.message}${hint}`)
    if (!(error instanceof Failure) && error instanceof Error && process.argv.includes('--verbose')) sayStack('', error)
  }

  /** What a flag that there is not may have meant. */
  private nearFlag(error: unknown): string | undefined {
    const [typed] = (error as {flags?: readonly string[]}).flags ?? []
    const names = Object.keys({...this.ctor.baseFlags, ...this.ctor.flags})
    const near = typed?.startsWith('--') ? closest(typed.slice(2), names) : undefined
    return near && `did you mean "--${near}"?`
  }

  /** Appends to the one record that was asked for; what cannot be written there is a warning. */
  protected async audit(file: string, events: readonly AuditEvent[]): Promise<void> {
    const {auditLog} = await import('../net/file/audit-log.ts')
    this.recorder ??= auditLog(file, 'gwswitch', (error) => this.caution(`audit log not written: ${error.message}`))
    for (const event of events) this.recorder(event)
  }

  /** A line on stderr that is heeded also when stdout goes into a pipe. oclif's own would be wrapped and framed. */
  protected caution(line: string): void {
    const paint = paintWith(wantsColour(process.stderr.isTTY === true, process.env))
    say(`gwswitch: ${paint.warn('warning')}: ${line}`)
  }
}
