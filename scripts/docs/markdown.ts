// What a page in Markdown holds, as far as links, anchors and examples go: read by what checks the pages and by what makes a
// site of them. The form is GitHub's, whose readers see the pages as they are.

/** A block between fences. */
export interface Fence {
  /** The word behind the opening fence: `sh`, `yaml`; empty for none. */
  readonly language: string
  readonly text: string
  /** The line of the opening fence, from 1. */
  readonly line: number
}

export interface Link {
  readonly target: string
  readonly line: number
}

/** The blocks of code, also those that are indented below an item of a list. */
export function fencesOf(page: string): readonly Fence[] {
  const found: Fence[] = []
  let open: {indent: string; language: string; line: number; text: string[]} | undefined
  for (const [i, line] of page.split('\n').entries()) {
    const fence = /^(\s*)```(\S*)/.exec(line)
    if (open === undefined && fence !== null) open = {indent: fence[1]!, language: fence[2]!, line: i + 1, text: []}
    else if (open !== undefined && fence !== null) {
      found.push({language: open.language, text: `${open.text.join('\n')}\n`, line: open.line})
      open = undefined
    } else open?.text.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line)
  }
  return found
}

/** The page with a blank in place of every character of code, so that lines stay what they were. */
function withoutCode(page: string): string {
  const blank = (code: string): string => code.replaceAll(/[^\n]/g, ' ')
  return page.replaceAll(/^([ \t]*)```[\s\S]*?^\1```/gm, blank).replaceAll(/`[^`\n]*`/g, blank)
}

/** Links and pictures, in their order. */
export function linksOf(page: string): readonly Link[] {
  const text = withoutCode(page)
  return [...text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map((match) => ({
    target: match[1]!,
    line: text.slice(0, match.index).split('\n').length,
  }))
}

/** What GitHub makes of a heading, without the number that it puts behind the second of two. */
export const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-')

/** The anchors of a page's headings. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  const fenced = page.replaceAll(/^([ \t]*)```[\s\S]*?^\1```/gm, '')
  for (const [, heading] of fenced.matchAll(/^#{1,6} (.+)$/gm)) {
    const name = slug(heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'))
    let unique = name
    for (let n = 1; anchors.has(unique); n++) unique = `${name}-${n}`
    anchors.add(unique)
  }
  return anchors
}
