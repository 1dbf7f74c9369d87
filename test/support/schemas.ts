// The published JSON Schemas, and what they have against a document.
import {readFileSync} from 'node:fs'
import {Ajv2020} from 'ajv/dist/2020.js'

const folder = new URL('../../schemas/', import.meta.url)
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/
const ajv = new Ajv2020({allowUnionTypes: true, strictTuples: false, formats: {'date-time': TIME}})

/** The schema of `gwswitch.trace/2` as it is published, and so on. */
export const publishedSchema = (name: string) =>
  JSON.parse(readFileSync(new URL(`${name.replace(/^gwswitch\.(.*)\/(\d+)$/, '$1.$2')}.json`, folder), 'utf8'))

/** What the published schema that a document names has against it; nothing if it obeys. */
export function complaints(document: unknown): readonly unknown[] {
  const {schema} = document as {readonly schema?: unknown}
  if (typeof schema !== 'string' || !/^gwswitch\.[a-z0-9-]+\/\d+$/.test(schema)) return [`${schema} names no schema`]
  try {
    const obeys = ajv.getSchema(schema) ?? ajv.addSchema(publishedSchema(schema), schema).getSchema(schema)!
    return obeys(document) ? [] : (obeys.errors ?? [])
  } catch (error) {
    return [`no schema is published of ${schema}: ${(error as Error).message}`]
  }
}

/**
 * Holds whatever is a document of ours, on one line or over many, against its schema. What is none is nobody's business.
 * @throws Error that names what is wrong with it.
 */
export function checkDocuments(stdout: string): void {
  const documents = parsed(stdout) ?? stdout.split('\n').flatMap((line) => parsed(line) ?? [])
  for (const document of documents) {
    const wrong = complaints(document)
    if (wrong.length > 0)
      throw new Error(`not as its schema says: ${JSON.stringify(wrong)} of ${JSON.stringify(document)}`)
  }
}

/** A document of ours, alone in a list; undefined for anything else. */
function parsed(text: string): readonly object[] | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    const {schema} = value as {readonly schema?: unknown}
    return typeof schema === 'string' && schema.startsWith('gwswitch.') ? [value as object] : undefined
  } catch {
    return undefined
  }
}
