// The text format of Prometheus, read as strictly as its description says (exposition_formats, version 0.0.4).

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y
const VALUE = /^(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/

/** Values by `name{label="value",...}`. Throws for what is no exposition. */
export function readMetrics(text: string): Map<string, number> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const types = new Map<string, string>()
  const found = new Map<string, number>()
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line)
    if (comment) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string]
      if (kind === 'TYPE' && (types.has(name) || !/^(?:counter|gauge)$/.test(rest))) throw new Error(line)
      if (kind === 'TYPE') types.set(name, rest)
      continue
    }
    const [, name, labels, value] = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`).exec(line) ?? []
    if (name === undefined || !types.has(name) || !VALUE.test(value!)) throw new Error(`no sample: ${line}`)
    if (types.get(name) === 'counter' && !name.endsWith('_total')) throw new Error(`no name of a counter: ${name}`)
    checkLabels(labels)
    const series = labels === undefined ? name : `${name}{${labels}}`
    if (found.has(series)) throw new Error(`twice: ${series}`)
    found.set(series, Number(value))
  }
  return found
}

function checkLabels(labels: string | undefined): void {
  for (LABEL.lastIndex = 0; labels !== undefined && LABEL.lastIndex < labels.length; )
    if (LABEL.exec(labels) === null) throw new Error(`no labels: ${labels}`)
}
