// docs/reference/inventory-keys.md: every key of the inventory, from the schema that reads it.
import * as z from 'zod'
import {inventorySchema} from '../../src/domain/inventory/inventory-schema.ts'
import {generated, table} from './table.ts'

/** What is used of JSON Schema; `want` is what our own fields say of themselves. */
interface Node {
  readonly type?: string
  readonly description?: string
  readonly want?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly items?: Node
  readonly additionalProperties?: Node | false
}

const code = (value: unknown): string => `\`${String(value)}\``

function typeOf(node: Node): string {
  if (node.want !== undefined) return node.want
  if (node.const !== undefined) return code(node.const)
  if (node.enum !== undefined) return node.enum.map(code).join(', ')
  if (node.items !== undefined) return `list of: ${node.items.properties ? 'keys below' : typeOf(node.items)}`
  if (node.additionalProperties) return 'names, each with the keys below'
  if (node.properties) return 'keys below'
  if (node.type === 'boolean') return '`true` or `false`'
  const whole = node.type === 'integer' ? 'whole number' : (node.type ?? '')
  // zod gives integers the bounds of a double.
  const max = node.maximum !== undefined && node.maximum < Number.MAX_SAFE_INTEGER ? ` to ${node.maximum}` : ' or more'
  const bounded = node.minimum !== undefined && node.minimum > Number.MIN_SAFE_INTEGER
  return bounded ? `${whole}, ${node.minimum}${max}` : whole
}

/** The object whose keys a node leads to, and what stands in a path before them. */
function below(node: Node): {readonly object: Node; readonly step: string} | undefined {
  if (node.additionalProperties) return {object: node.additionalProperties, step: '.NAME'}
  if (node.items?.properties) return {object: node.items, step: '[]'}
  return node.properties ? {object: node, step: ''} : undefined
}

function rowsOf(object: Node, prefix: string): string[][] {
  return Object.entries(object.properties ?? {}).flatMap(([key, node]) => {
    const needed = object.required?.includes(key) === true && node.default === undefined && !node.additionalProperties
    const inner = below(node)
    return [
      [code(`${prefix}${key}`), typeOf(node), needed ? 'yes' : '', node.description ?? ''],
      ...(inner === undefined ? [] : rowsOf(inner.object, `${prefix}${key}${inner.step}.`)),
    ]
  })
}

export function inventoryPage(): string {
  // As output: what is written is read by our own fields, which JSON Schema cannot say and `want` does.
  const schema = z.toJSONSchema(inventorySchema, {io: 'output', unrepresentable: 'any'}) as Node
  return `${[
    generated('Keys of the inventory', 'src/domain/inventory/'),
    'What the keys are for, and how files are put together: [inventory.md](../inventory.md). A key that is not here is refused, with its place.',
    table(['key', 'value', 'needed', 'meaning'], rowsOf(schema, '')),
  ].join('\n\n')}\n`
}
