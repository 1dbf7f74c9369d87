// Writes schemas/ from the types that stand beside `schema: 'gwswitch.NAME/N'` in src/, as the compiler's own checker sees
// them. A test compares the two.
import {globSync, readFileSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {API, SignatureKind, SymbolFlags, TypeFlags} from 'typescript/unstable/sync'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const folder = join(root, 'schemas')

const NAME = /^gwswitch\.([a-z0-9-]+)\/(\d+)$/
/** The name of a field that says when something was. */
const TIME = /^at$|(?<!controlled)At$/

/** Declarations of a file by name, with the place of the name in the text. */
const declarations = (text) =>
  [...text.matchAll(/^(?:export )?(?:interface|type) (\w+)(?= |\b[^<\w])/gm)].map((match) => ({
    name: match[1],
    at: match.index + match[0].length - match[1].length,
  }))

/** What a type may be in JSON, with its named parts in `defs`. */
class Shapes {
  defs = {}
  #names = new Map()

  constructor(checker) {
    this.checker = checker
  }

  of(type) {
    const name = this.#nameOf(type)
    if (name === undefined) return this.bare(type)
    if (this.#names.get(type.id) === undefined) {
      // Two of one name are told apart.
      let free = name
      for (let n = 2; free in this.defs; n++) free = `${name}${n}`
      this.#names.set(type.id, free)
      this.defs[free] = {}
      const {description, ...shape} = this.bare(type)
      this.defs[free] = {...this.#described(type.getAliasSymbol() ?? type.getSymbol()), ...shape}
    }
    return {$ref: `#/$defs/${this.#names.get(type.id)}`}
  }

  /** Types that a reader of src/ finds by name; what a type function makes has none of its own. */
  #nameOf(type) {
    const alias = type.getAliasSymbol()
    if (alias) return type.getAliasTypeArguments().length > 0 ? undefined : alias.name
    if (!type.isObjectType() || !type.isClassOrInterface() || this.checker.isArrayLikeType(type)) return undefined
    return type.getSymbol()?.name
  }

  #described(symbol) {
    const text = symbol?.getDocumentationComment(this.checker) ?? ''
    const plain = text
      .replace(/\{@link (\w+(?:\.\w+)?)\}/g, '$1')
      .replace(/\s+/g, ' ')
      .trim()
    return plain === '' ? {} : {description: plain}
  }

  bare(type) {
    const {flags} = type
    if (flags & (TypeFlags.Any | TypeFlags.Unknown)) return {}
    if (flags & TypeFlags.Null) return {type: 'null'}
    if (flags & (TypeFlags.StringLiteral | TypeFlags.NumberLiteral | TypeFlags.BooleanLiteral))
      return {const: type.value}
    if (flags & (TypeFlags.String | TypeFlags.TemplateLiteral)) return {type: 'string'}
    if (flags & TypeFlags.Number) return {type: 'number'}
    if (flags & TypeFlags.Boolean) return {type: 'boolean'}
    if (type.isUnionType()) return this.#union(type.getTypes())
    if (this.checker.isTupleType(type)) return this.#tuple(type)
    if (this.checker.isArrayLikeType(type))
      return {type: 'array', items: this.of(this.checker.getTypeArguments(type)[0])}
    if (flags & (TypeFlags.Object | TypeFlags.Intersection)) return this.object(type)
    throw new Error(`${this.checker.typeToString(type)} is no JSON`)
  }

  #tuple(type) {
    const items = this.checker.getTypeArguments(type).map((item) => this.of(item))
    return {type: 'array', prefixItems: items, minItems: items.length, maxItems: items.length}
  }

  #union(types) {
    const shapes = types.filter(({flags}) => !(flags & TypeFlags.Undefined)).map((type) => this.of(type))
    const values = shapes.filter((shape) => 'const' in shape).map((shape) => shape.const)
    const isFlag = values.includes(true) && values.includes(false)
    const words = values.filter((value) => !(isFlag && typeof value === 'boolean')).sort(byText)
    const simple = shapes.filter(({type, ...rest}) => type !== undefined && Object.keys(rest).length === 0)
    const others = shapes.filter((shape) => !('const' in shape) && !simple.includes(shape))
    const kinds = [...new Set([...simple.map(({type}) => type), ...(isFlag ? ['boolean'] : [])])].sort(byText)
    if (words.length > 0 && kinds.join() === 'null' && others.length === 0) return {enum: [...words, null]}
    const parts = [
      ...(words.length === 0 ? [] : [words.length === 1 ? {const: words[0]} : {enum: words}]),
      ...others,
      ...(kinds.length === 0 ? [] : [{type: kinds.length === 1 ? kinds[0] : kinds}]),
    ]
    return parts.length === 1 ? parts[0] : {anyOf: parts}
  }

  object(type) {
    const {checker} = this
    if (checker.getSignaturesOfType(type, SignatureKind.Call).length > 0)
      throw new Error(`${checker.typeToString(type)} is no JSON`)
    const properties = {}
    const required = []
    for (const symbol of checker.getPropertiesOfType(type)) {
      const of = checker.getTypeOfSymbol(symbol)
      const isAbsent = of.isUnionType() && of.getTypes().some(({flags}) => flags & TypeFlags.Undefined)
      if (of.flags & (TypeFlags.Undefined | TypeFlags.Never)) continue
      try {
        properties[symbol.name] = {...this.#field(symbol.name, of), ...this.#described(symbol)}
      } catch (error) {
        throw new Error(`${symbol.name}: ${error.message}`, {cause: error})
      }
      if (!(symbol.flags & SymbolFlags.Optional) && !isAbsent) required.push(symbol.name)
    }
    const [index] = checker.getIndexInfosOfType(type)
    return {
      ...{type: 'object', properties},
      ...(required.length === 0 ? {} : {required}),
      additionalProperties: index ? this.of(index.valueType) : false,
    }
  }

  #field(name, type) {
    const shape = this.of(type)
    return TIME.test(name) && [shape.type].flat().includes('string') ? {...shape, format: 'date-time'} : shape
  }
}

const byText = (a, b) => (String(a) < String(b) ? -1 : 1)

/**
 * What every document says that a command prints, whatever its type says; lines of a command that runs on have an `at` of
 * their own and are printed as they are.
 */
const STAMP = {
  at: {type: 'string', format: 'date-time', description: 'When the document was made.'},
  exitCode: {type: 'number', description: 'That of the process.'},
}

function stamped({properties: {schema, ...properties}, required = [], ...shape}) {
  if ('at' in properties) return {...shape, properties: {schema, ...properties}, required}
  const all = {schema, at: STAMP.at, ...properties, exitCode: properties.exitCode ?? STAMP.exitCode}
  return {
    ...shape,
    properties: all,
    required: ['schema', 'at', ...required.filter((name) => !['schema', 'exitCode'].includes(name)), 'exitCode'],
  }
}

/** The types that are documents, by the names that they go by. */
function documents(project) {
  const {checker} = project
  const found = new Map()
  for (const file of globSync('src/**/*.ts', {cwd: root}).sort()) {
    const text = readFileSync(join(root, file), 'utf8')
    if (!/\bschema: /.test(text) || !text.includes('gwswitch.')) continue
    for (const {at} of declarations(text)) {
      const symbol = checker.getSymbolAtPosition(join(root, file), at)
      const type = symbol && checker.getDeclaredTypeOfSymbol(symbol)
      for (const name of namesOf(checker, type)) found.set(name, [...(found.get(name) ?? []), {type, symbol}])
    }
  }
  return found
}

function namesOf(checker, type) {
  const schema = type && checker.getPropertyOfType(type, 'schema')
  if (!schema || schema.flags & SymbolFlags.Optional) return []
  const of = checker.getTypeOfSymbol(schema)
  const values = of.isUnionType() ? of.getTypes() : [of]
  return values.map(({value}) => value).filter((value) => typeof value === 'string' && NAME.test(value))
}

/** Without those that others of them are kinds of. */
const kinds = (checker, types) =>
  types.filter(
    ({type}, i) =>
      !types.some(
        (other, j) =>
          i !== j &&
          checker.isTypeAssignableTo(other.type, type) &&
          (j < i || !checker.isTypeAssignableTo(type, other.type)),
      ),
  )

function schemaOf(checker, name, types) {
  const [, short, version] = NAME.exec(name)
  const shapes = new Shapes(checker)
  const variants = kinds(checker, types).map(({type}) => {
    const shape = stamped(shapes.object(type))
    return {...shape, properties: {...shape.properties, schema: {const: name}}}
  })
  const $defs = Object.fromEntries(Object.entries(shapes.defs).sort(([a], [b]) => byText(a, b)))
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `urn:gwswitch:${short}:${version}`,
    title: name,
    ...(variants.length === 1 ? variants[0] : {anyOf: variants}),
    ...(Object.keys($defs).length === 0 ? {} : {$defs}),
  }
}

/** Every schema as text, by the name of its file. */
export function schemaTexts() {
  const api = new API({cwd: root})
  try {
    const snapshot = api.updateSnapshot({openProjects: [join(root, 'tsconfig.json')]})
    const project = snapshot.getProject(join(root, 'tsconfig.json'))
    return new Map(
      [...documents(project)].map(([name, types]) => [
        name.replace(NAME, '$1.$2.json'),
        `${JSON.stringify(schemaOf(project.checker, name, types), undefined, 2)}\n`,
      ]),
    )
  } finally {
    api.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const texts = schemaTexts()
  for (const [file, text] of texts) writeFileSync(join(folder, file), text)
}
