// Tells the demo to whoever sits in front of it: what is done, with which command, and what it said.

import {switchText} from '../orders/switch/switch-text.ts'
import type {Paint} from '../render/paint.ts'
import {traceText} from '../render/trace-text.ts'
import type {DemoObserver} from './demo.ts'

export interface Narration {
  log(line: string): void
  meter(text: string): void
  readonly paint: Paint
  readonly colour: boolean
}

export function demoNarrator({log, meter, paint, colour}: Narration): DemoObserver {
  let steps = 0
  const indented = (lines: readonly string[]): void => {
    for (const line of lines) log(line === '' ? '' : `  ${line}`)
    log('')
  }
  return {
    step(title) {
      meter('')
      log(paint.bold(`${++steps}. ${title}`))
      log('')
    },
    doing: meter,
    ran({line}, where) {
      meter('')
      log(`  ${paint.dim(`${where} $`)} ${line}`)
    },
    traced: (document) => indented(traceText(document, {colour, columns: 118})),
    switched: (document) => indented(switchText(document)),
  }
}
