// What a program wrote to a terminal, as a picture: text that can be selected and searched, in the terminal's colours.
// The codes are ECMA-48's SGR, those that gwswitch uses; others are left out.

const [CELL, LINE, SIZE, PAD] = [8.4, 18, 14, 16]
const COLOURS: Readonly<Record<number, string>> = {31: '#ff7b72', 32: '#56d364', 33: '#e3b341', 36: '#76e3ea'}
const [GROUND, INK, FAINT] = ['#14181d', '#e6edf3', '#8b949e']

interface Style {
  readonly colour?: string | undefined
  readonly bold?: boolean
  readonly dim?: boolean
}

interface Run extends Style {
  readonly text: string
}

function styleAfter(style: Style, code: number): Style {
  if (code === 0) return {}
  if (code === 1) return {...style, bold: true}
  if (code === 2) return {...style, dim: true}
  if (code === 22) return {...style, bold: false, dim: false}
  if (code === 39) return {...style, colour: undefined}
  return code in COLOURS ? {...style, colour: COLOURS[code]} : style
}

/** The pieces of a line, each in one style; `style` is what the line before ended with. */
function runsOf(line: string, style: Style): {readonly runs: readonly Run[]; readonly style: Style} {
  const runs: Run[] = []
  let now = style
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ESC begins every code
  for (const piece of line.split(/(\u001b\[[\d;]*[A-Za-z])/)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const codes = /^\u001b\[([\d;]*)m$/.exec(piece)?.[1]
    if (codes !== undefined) now = codes.split(';').reduce((before, code) => styleAfter(before, Number(code)), now)
    else if (piece !== '' && !piece.startsWith('\u001b')) runs.push({text: piece, ...now})
  }
  return {runs, style: now}
}

/** Lines of at most `columns` characters: a terminal breaks wherever its edge is. */
function wrapped(runs: readonly Run[], columns: number): readonly (readonly Run[])[] {
  const lines: Run[][] = [[]]
  let used = 0
  for (const run of runs) {
    let rest = [...run.text]
    while (rest.length > 0) {
      if (used === columns) {
        lines.push([])
        used = 0
      }
      const part = rest.slice(0, columns - used)
      lines.at(-1)!.push({...run, text: part.join('')})
      used += part.length
      rest = rest.slice(part.length)
    }
  }
  return lines
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll(' ', '\u00a0')

function span({text, colour, bold, dim}: Run): string {
  const fill = colour ?? (dim ? FAINT : undefined)
  const attributes = `${fill === undefined ? '' : ` fill="${fill}"`}${bold ? ' font-weight="bold"' : ''}`
  return attributes === '' ? escaped(text) : `<tspan${attributes}>${escaped(text)}</tspan>`
}

/** The picture of `output` on a terminal of so many columns, below the command that was typed. */
export function terminalSvg(command: string, output: string, columns: number): string {
  let style: Style = {}
  const lines = output
    .replaceAll('\r', '')
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const read = runsOf(line, style)
      style = read.style
      return wrapped(read.runs, columns)
    })
  const all = [
    [
      {text: '$ ', dim: true},
      {text: command, bold: true},
    ],
    ...lines,
  ]
  const [width, height] = [2 * PAD + columns * CELL, 2 * PAD + all.length * LINE]
  const rows = all.map((runs, i) => {
    const cells = runs.reduce((sum, {text}) => sum + [...text].length, 0)
    // As wide as the cells are, whatever font is there: columns stay under each other.
    const fit = cells === 0 ? '' : ` textLength="${(cells * CELL).toFixed(1)}"`
    return `<text x="${PAD}" y="${PAD + (i + 0.75) * LINE}"${fit}>${runs.map(span).join('')}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(command)}">
<rect width="${width}" height="${height}" rx="8" fill="${GROUND}"/>
<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="${SIZE}" fill="${INK}">
${rows.join('\n')}
</g>
</svg>
`
}
