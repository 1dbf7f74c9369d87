/** A value that nobody changes once it was read: its fields and lists, and those within them, are read-only. */
export type Immutable<T> = T extends readonly (infer Element)[]
  ? readonly Immutable<Element>[]
  : T extends object
    ? {readonly [Key in keyof T]: Immutable<T[Key]>}
    : T
