/** Calls of the agent's kernel that change something outside the process. */
export const CHANGES = [
  'replace',
  'append',
  'deleteRoute',
  'addRule',
  'deleteRule',
  'setDrain',
  'clearDrain',
  'writeDurably',
] as const
