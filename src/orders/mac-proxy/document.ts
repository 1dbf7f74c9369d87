// What the `mac-proxy` commands answer, as JSON.
import type {SeenVm} from '../../domain/inventory/named-vm.ts'
import type {ProxiedGateway} from '../../domain/mac-proxy/ruleset.ts'
import type {RedirectState} from '../../strategies/mac-proxy/states.ts'
import type {Mac} from '../../wire/address.ts'

export interface ProxyRow {
  /** By the record, else the inventory; where neither knows the MAC, that alone. */
  readonly vm: SeenVm & {readonly mac: Mac}
  /** Null: no record says. */
  readonly port: string | null
  /** The gateway that the VM itself was seen to use, and the one that gets what it sends. `site` is empty where nobody knows. */
  readonly from: ProxiedGateway
  readonly to: ProxiedGateway
  /** Redirected since the rules were loaded; null: they are not there. */
  readonly packets: number | null
  readonly state: RedirectState['state']
  readonly differences: readonly string[]
}

export interface ProxyListDocument {
  readonly schema: 'gwswitch.mac-proxy-list/2' | 'gwswitch.mac-proxy-apply/2'
  /** Whether rules were loaded. */
  readonly changed: boolean
  readonly redirects: readonly ProxyRow[]
  readonly exitCode: number
}

export interface ProxyReleaseDocument {
  readonly schema: 'gwswitch.mac-proxy-release/2'
  readonly dryRun: boolean
  readonly changed: boolean
  /** As they were until then. */
  readonly released: readonly ProxyRow[]
  /** The VM that was asked for, in the words of who asked; null: all. */
  readonly asked: string | null
  readonly exitCode: number
}
