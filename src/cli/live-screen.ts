// A screen that is drawn over and over, and leaves the terminal as it was (xterm's alternate screen).
import {shown} from '../net/process/say.ts'

/** Its own screen, no cursor, and no line that wraps. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_REST = '\x1b[J'

export interface LiveScreen {
  draw(lines: readonly string[]): void
  /** Back to what was there before; safe to call twice. */
  close(): void
}

/** Takes the terminal over until it is closed, or the process ends. */
export function openLiveScreen(stream: NodeJS.WriteStream): LiveScreen {
  let open = true
  const close = (): void => {
    if (!open) return
    open = false
    process.off('exit', close)
    stream.write(LEAVE)
  }
  process.on('exit', close)
  stream.write(ENTER)
  return {
    draw(lines) {
      if (!open) return
      stream.write(`${HOME}${lines.map((line) => `${shown(line)}${CLEAR_LINE}`).join('\r\n')}${CLEAR_REST}`)
    },
    close,
  }
}
