// The redirections that are meant to be on this host: written down before the kernel is touched, and what puts them back.
import * as z from 'zod'
import {Failure} from '../../errors.ts'
import type {Mac} from '../../wire/address.ts'
import type {Redirect} from './ruleset.ts'

const gateway = z.object({name: z.string(), site: z.string(), mac: z.string()})
const RECORD = z.object({
  version: z.literal(1),
  redirects: z.array(
    z.object({
      vm: z.object({name: z.string(), mac: z.string()}),
      port: z.string(),
      prefix: z.string(),
      from: z.array(gateway.extend({ip6: z.array(z.string())})),
      to: gateway,
      isBridge: z.boolean(),
      ipv6: z.boolean(),
    }),
  ),
})

/** @throws Failure `runtime` for what {@link proxyRecordText} does not write. */
export function parseProxyRecord(text: string, file: string): readonly Redirect[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const {success, data} = RECORD.safeParse(value)
  if (success) return data.redirects
  throw new Failure(
    'runtime',
    `${file}: is no record of redirections of this version; move it away, then gwswitch mac-proxy release --all takes away every one that is there`,
  )
}

/** Undefined where there is nothing to keep. */
export const proxyRecordText = (redirects: readonly Redirect[]): string | undefined =>
  redirects.length === 0 ? undefined : `${JSON.stringify({version: 1, redirects}, null, 1)}\n`

/** The redirections without those of these VMs. */
export const withoutVms = (redirects: readonly Redirect[], vms: readonly Mac[]): readonly Redirect[] =>
  redirects.filter(({vm}) => !vms.includes(vm.mac))

/** Each takes the place of the one of its VM. */
export const withRedirect = (redirects: readonly Redirect[], added: Redirect): readonly Redirect[] =>
  [...withoutVms(redirects, [added.vm.mac]), added].sort((a, b) => (a.vm.name < b.vm.name ? -1 : 1))
