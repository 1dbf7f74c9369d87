// The published JSON Schemas, all of them together: they refer to each other.
import {readdirSync, readFileSync} from 'node:fs'
import {Ajv2020} from 'ajv/dist/2020.js'

const folder = new URL('../../schemas/', import.meta.url)
const ajv = new Ajv2020({allowUnionTypes: true, formats: {'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/}})
const read = (file: string) => JSON.parse(readFileSync(new URL(file, folder), 'utf8'))
for (const file of readdirSync(folder)) ajv.addSchema(read(file))

/** The schema of `gwswitch.trace/2` as it is published, and so on. */
export const publishedSchema = (name: string) => read(`${name.replace(/^gwswitch\.(.*)\/\d+$/, '$1')}.json`)

/** What the published schema that a document names has against it; nothing if it obeys. */
export function complaints(document: unknown): readonly unknown[] {
  const {schema} = document as {readonly schema?: unknown}
  const obeys = ajv.getSchema(`${schema}`.replace(/^(gwswitch)\.(.*)\/(\d+)$/, 'urn:$1:$2:$3'))
  if (obeys === undefined) return [`no schema is published of ${schema}`]
  return obeys(document) ? [] : (obeys.errors ?? [])
}
