// A table in Markdown.

/** Text that may stand in a cell: a bar would end it. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ')

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')

/** The first lines of every generated page. */
export const generated = (title: string, from: string): string =>
  `# ${title}\n\n<!-- Made by "npm run docs -- reference" from ${from}: change it there. -->`
