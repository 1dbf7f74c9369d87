// The whole run touches nothing of the machine outside the namespaces that tests make. Compared before and after: the
// machine's addresses, routes, rules, packet filter and its resolver, which DHCP clients like to rewrite.

import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'

const VIEWS: Readonly<Record<string, () => string>> = {
  '/etc/resolv.conf': () => readFileSync('/etc/resolv.conf', 'utf8'),
  'its addresses': () => run('ip', '-o', 'address', 'show'),
  'its routes': () => run('ip', 'route', 'show', 'table', 'all'),
  'its rules': () => run('ip', 'rule', 'show'),
  'its nft ruleset': () => run('nft', 'list', 'ruleset'),
}

function run(program: string, ...args: string[]): string {
  try {
    // Lifetimes count down by themselves.
    return execFileSync(program, args, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']}).replace(
      /(?:valid_lft|preferred_lft|expires) \S+/g,
      '',
    )
  } catch {
    return 'not to be seen'
  }
}

function look(view: () => string): string {
  try {
    return createHash('sha256').update(view()).digest('hex')
  } catch {
    return 'not to be seen'
  }
}

/** vitest's globalSetup: what it returns runs when all tests are done. */
export default function untouched(): () => void {
  const before = new Map(Object.entries(VIEWS).map(([name, view]) => [name, look(view)]))
  return () => {
    const changed = Object.entries(VIEWS).filter(([name, view]) => look(view) !== before.get(name))
    if (changed.length === 0) return
    throw new Error(`the tests changed this machine: ${changed.map(([name]) => name).join(', ')}`)
  }
}
