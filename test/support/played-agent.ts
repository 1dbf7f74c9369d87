// The agent of a played VM: its own messages and signatures, and no kernel behind them. It changes the VM's gateway as it is
// told.
import type {FakeVm} from '../../src/testing/vm.ts'
import {type AgentState, openCommand, readPrivateKey, signAnswer} from '../../src/wire/agent-message.ts'

/** Which MAC is behind a gateway address. */
export type MacOf = Readonly<Record<string, string>>

/** Answers a message; `key` is that of the agent and of whoever may tell it, in PEM. Undefined: it says nothing. */
export function agentOf(vm: FakeVm, key: string, macs: MacOf): (message: Uint8Array) => string | undefined {
  const privateKey = readPrivateKey(key)!
  let before = vm.gatewayMac
  return (message) => {
    const opened = openCommand(message, () => privateKey)
    if (!opened.ok) return undefined
    const {op, vm: name, run, seq, nonce, iat, gw4} = opened.message
    if (op === 'switch' && gw4 !== undefined && vm.gatewayMac !== macs[gw4]) {
      before = vm.gatewayMac
      vm.gatewayMac = macs[gw4]!
    }
    if (op === 'rollback') vm.gatewayMac = before
    const state: AgentState = op === 'switch' ? 'applied' : op === 'rollback' ? 'rolled_back' : 'confirmed'
    return signAnswer({v: 1, op, vm: name, run, seq, nonce, iat, state}, {kid: name, privateKey})
  }
}
