// Frames and events in the order they happened, aligned.

export interface TimelineRow {
  readonly atMs: number
  readonly direction?: 'out' | 'in'
  readonly label?: string
  readonly text: string
}

const ARROWS = {out: '→', in: '←'} as const

/** One line per row: time in ms, an arrow for frames, what it was. */
export function timeline(rows: readonly TimelineRow[]): string[] {
  const labels = Math.max(0, ...rows.map(({label}) => label?.length ?? 0))
  return rows.map(({atMs, direction, label, text}) => {
    const arrow = direction ? `${ARROWS[direction]} ` : ''
    const name = labels > 0 ? `${(label ?? '').padEnd(labels)}  ` : ''
    return `  ${atMs.toFixed(2).padStart(9)} ms  ${arrow}${name}${text}`
  })
}

/** Bytes as hex, 16 a line with offsets, as capture tools show them. */
export function hexDump(bytes: Uint8Array): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    const pairs = [...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, '0'))
    const halves = [pairs.slice(0, 8).join(' '), pairs.slice(8).join(' ')].filter((half) => half !== '')
    lines.push(`      ${at.toString(16).padStart(4, '0')}  ${halves.join('  ')}`)
  }
  return lines
}
