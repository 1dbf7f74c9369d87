// The text format of Prometheus' exposition (prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4).

export interface Metric {
  /** By its conventions: `gwswitch_agent_commands_total`. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

/** A counter with one label, from a table of its values. */
export const counted = (
  name: string,
  help: string,
  label: string,
  counts: Readonly<Record<string, number>>,
): Metric => ({
  ...{name, help, type: 'counter'},
  samples: Object.entries(counts).map(([key, value]) => ({labels: {[label]: key}, value})),
})

export const gauge = (name: string, help: string, value: number, labels?: Sample['labels']): Metric => ({
  ...{name, help, type: 'gauge'},
  samples: [{value, ...(labels === undefined ? {} : {labels})}],
})

/** Metrics without a sample are left out. Ends with a line end, as it must. */
export const prometheusText = (metrics: readonly Metric[]): string =>
  metrics
    .filter(({samples}) => samples.length > 0)
    .flatMap(({name, help, type, samples}) => [
      `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`,
      `# TYPE ${name} ${type}\n`,
      ...samples.map(({labels = {}, value}) => `${name}${labelsText(labels)} ${value}\n`),
    ])
    .join('')

function labelsText(labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  )
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}
