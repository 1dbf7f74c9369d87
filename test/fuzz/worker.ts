// The thread in which inputs are tried: it may be caught in one for ever, and whoever watches it knows in which.
import {parentPort, workerData} from 'node:worker_threads'
import {check, type Find, shortened} from './check.ts'
import {inputFor, randomOf} from './mutate.ts'
import type {Target} from './target.ts'

export interface WorkOrder {
  /** URL of a module whose `TARGETS` are tried. */
  readonly module: string
  readonly only: readonly string[]
  readonly seed: number
  readonly seconds: number
  /** See {@link Notebook}. */
  readonly notes: SharedArrayBuffer
}

/** What the worker says. */
export type WorkReport =
  | {readonly kind: 'find'; readonly find: Find}
  | {readonly kind: 'done'; readonly counts: readonly (readonly [target: string, inputs: number])[]}

/** What is being tried now, in memory that another thread reads: serial, index of the target, length; then the input. */
export class Notebook {
  static readonly SIZE = 12 + 65_536
  readonly #numbers: Int32Array
  readonly #input: Uint8Array
  constructor(memory: SharedArrayBuffer) {
    this.#numbers = new Int32Array(memory, 0, 3)
    this.#input = new Uint8Array(memory, 12)
  }
  write(target: number, input: Uint8Array): void {
    this.#input.set(input)
    this.#numbers[1] = target
    this.#numbers[2] = input.length
    Atomics.add(this.#numbers, 0, 1)
  }
  get serial(): number {
    return Atomics.load(this.#numbers, 0)
  }
  read(): {target: number; input: Uint8Array} {
    return {target: this.#numbers[1]!, input: this.#input.slice(0, this.#numbers[2])}
  }
}

/** ms that a target gets at a time: all come around several times, however short the whole is. */
const SLICE_MS = 50

async function work({module, only, seed, seconds, notes}: WorkOrder): Promise<void> {
  const {TARGETS} = (await import(module)) as {TARGETS: readonly Target[]}
  const notebook = new Notebook(notes)
  const tell = (report: WorkReport): void => parentPort!.postMessage(report)
  const found = new Set<string>()
  const chosen = TARGETS.map((target, index) => ({target, index, corpus: target.corpus(), inputs: 0}))
    .filter(({target}) => only.length === 0 || only.some((part) => target.name.includes(part)))
    .map((each) => ({...each, random: randomOf(seed, each.target.name)}))
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    for (const each of chosen) {
      const until = Math.min(performance.now() + SLICE_MS, end)
      while (performance.now() < until) {
        const input = inputFor(each.target, each.corpus, each.random)
        notebook.write(each.index, input)
        each.inputs++
        const find = await check(each.target, input)
        if (!find || found.has(`${find.target} ${find.what}`)) continue
        found.add(`${find.target} ${find.what}`)
        tell({kind: 'find', find: await shortened(each.target, find)})
      }
    }
  }
  tell({kind: 'done', counts: chosen.map(({target, inputs}) => [target.name, inputs] as const)})
}

if (parentPort) await work(workerData as WorkOrder)
