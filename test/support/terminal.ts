// A terminal of its own, by tmux(1): what is typed into it, and what it shows.
import {runCommand} from '../../src/net/process/command.ts'
import {until} from './until.ts'

export interface Terminal {
  /** Types a line, and Enter. */
  type(line: string): Promise<void>
  /** A key by its name in tmux: `C-c`. */
  press(key: string): Promise<void>
  screen(): Promise<string>
  /** Waits until it shows a text, 30 s at most. */
  shows(text: RegExp): Promise<void>
}

/** 30 rows, a shell in it; `name` must be nobody else's. */
export async function withTerminal(
  name: string,
  columns: number,
  fn: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  const tmux = (...args: string[]): Promise<string> => runCommand('tmux', ['-L', name, '-f', '/dev/null', ...args])
  const screen = (): Promise<string> => tmux('capture-pane', '-p')
  try {
    await tmux('new-session', '-d', '-x', `${columns}`, '-y', '30', 'sh')
    await fn({
      screen,
      type: async (line) => void (await tmux('send-keys', line, 'Enter')),
      press: async (key) => void (await tmux('send-keys', key)),
      shows: (text) => until(async () => text.test(await screen()), 30_000, `the screen shows ${text}`),
    })
  } finally {
    await tmux('kill-server').catch(() => {})
  }
}
