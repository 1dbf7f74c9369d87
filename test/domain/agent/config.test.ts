import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {parse} from 'yaml'
import {DEFAULT_WINDOWS, parseAgentConfig} from '../../../src/domain/agent/config.ts'
import {answerTo, EMPTY_MEMORY, remembered, used} from '../../../src/domain/agent/memory.ts'
import {Failure} from '../../../src/errors.ts'
import type {AgentAnswer} from '../../../src/wire/agent-message.ts'

const KEY = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
const GOOD = `version: 1
vm: web-07
trusted:
  site-y: {key: ${KEY}, gateways: [10.0.0.2, "FD00::2"]}
`

describe("the agent's configuration", () => {
  it('has a default for all but who it is and whom it obeys', () => {
    expect(parseAgentConfig(GOOD, 'agent.yaml')).toEqual({
      ...{
        file: 'agent.yaml',
        vm: 'web-07',
        key: '/etc/gwswitch/agent.key',
        dmiUuid: undefined,
        interfaces: [],
        mode: 'auto',
      },
      ...{
        probes: [],
        windows: DEFAULT_WINDOWS,
        socket: '/run/gwswitch/agent.sock',
        state: '/var/lib/gwswitch',
        beacons: false,
        askOnMove: [],
      },
      trusted: [{kid: 'site-y', publicKey: KEY, gateways: ['10.0.0.2', 'fd00::2']}],
      listen: [{address: '::', port: 6742}],
    })
  })

  it('takes what is said, part of the windows too', () => {
    const text = `${GOOD}windows: {confirmS: 5}\ninterfaces: [{mac: "02-00-00-00-00-10", mode: rule}, {mac: "02:00:00:00:00:11"}]\nmode: drain\nlisten: ["10.0.0.10:7000"]\nsocket: false\n`
    expect(parseAgentConfig(text, 'f')).toMatchObject({
      windows: {...DEFAULT_WINDOWS, confirmS: 5},
      interfaces: [
        {mac: '02:00:00:00:00:10', mode: 'rule'},
        {mac: '02:00:00:00:00:11', mode: 'drain'},
      ],
      listen: [{address: '10.0.0.10', port: 7000}],
      socket: undefined,
    })
  })

  it.each<[string, string, RegExp]>([
    ['nothing', '', /^agent\.yaml: is empty/],
    ['no vm', 'version: 1\n', /^agent\.yaml:1:1: vm is missing/],
    ['a slip', `${GOOD}prober: []\n`, /^agent\.yaml:5:1: prober is not a key .*did you mean "probes"/],
    [
      'a key that is none',
      GOOD.replace(KEY, 'secret'),
      /^agent\.yaml:4:\d+: trusted\.site-y\.key "secret" is not an Ed25519 public key/,
    ],
    [
      'a gateway that is none',
      GOOD.replace('10.0.0.2', '10.0.0.256'),
      /trusted\.site-y\.gateways\[0\] "10\.0\.0\.256" is not an IP address/,
    ],
    ['no gateways', GOOD.replace('[10.0.0.2, "FD00::2"]', '[]'), /trusted\.site-y\.gateways is empty/],
    ['a mode that there is not', `${GOOD}mode: magic\n`, /^agent\.yaml:5:7: mode "magic" is not right/],
    ['a MAC that is none', `${GOOD}interfaces: [{mac: eth0}]\n`, /interfaces\[0\]\.mac "eth0" is not a MAC address/],
    ['a window out of range', `${GOOD}windows: {confirmS: -1}\n`, /windows\.confirmS -1 is not right/],
    ['an endpoint that is none', `${GOOD}listen: ["eth0:1"]\n`, /listen\[0\] "eth0:1" is not address:port/],
    [
      'beacons where no broadcast can be heard',
      `${GOOD}beacons: true\nlisten: ["10.0.0.10:6742"]\n`,
      /^agent\.yaml:5:10: beacons needs "\[::\]:6742" or .* in listen/,
    ],
    ['a second document', `${GOOD}---\nversion: 1\n`, /agent\.yaml:5:1: not YAML/],
  ])('says where it is wrong: %s', (_name, text, message) => {
    const attempt = (): unknown => parseAgentConfig(text, 'agent.yaml')
    expect(attempt).toThrow(Failure)
    expect(attempt).toThrow(message)
  })
})

describe('the memory', () => {
  const answer: AgentAnswer = {
    v: 1,
    op: 'switch',
    vm: 'a',
    run: 'r',
    seq: 1,
    nonce: 'AAAAAAAAAAAAAAAA',
    state: 'received',
    iat: 0,
  }

  it('forgets nonces when their messages have expired, and stays small', () => {
    let memory = EMPTY_MEMORY
    for (let seq = 1; seq <= 1000; seq++) memory = used(memory, 'k', {seq, nonce: `n${seq}`, exp: seq + 60}, seq)
    expect(memory.keys.k).toMatchObject({seq: 1000})
    expect(memory.keys.k?.nonces.map(([nonce]) => nonce)).toEqual(Array.from({length: 61}, (_, i) => `n${940 + i}`))
    for (let seq = 1001; seq <= 3000; seq++) memory = used(memory, 'k', {seq, nonce: `n${seq}`, exp: 9999}, 1000)
    expect(memory.keys.k?.nonces.length).toBe(256)
  })

  it('answers the very same message only, by its newest answer', () => {
    let memory = remembered(EMPTY_MEMORY, {kid: 'k', seq: 1, digest: 'd', answer})
    memory = remembered(memory, {kid: 'k', seq: 1, digest: 'd', answer: {...answer, state: 'confirmed'}})
    expect(answerTo(memory, 'k', 1, 'd')?.answer.state).toBe('confirmed')
    expect(memory.answered).toHaveLength(1)
    for (const [kid, seq, digest] of [
      ['k', 1, 'e'],
      ['k', 2, 'd'],
      ['j', 1, 'd'],
    ] as const)
      expect(answerTo(memory, kid, seq, digest)).toBeUndefined()
    for (let seq = 2; seq < 100; seq++) memory = remembered(memory, {kid: 'k', seq, digest: 'd', answer})
    expect(memory.answered).toHaveLength(16)
  })
})

describe('what is shipped', () => {
  const shipped = (name: string): string => readFileSync(join(import.meta.dirname, '../../../packaging', name), 'utf8')

  it('the example and the cloud-init snippet are configurations', () => {
    expect(parseAgentConfig(shipped('agent.yaml'), 'agent.yaml')).toMatchObject({
      vm: 'web-07',
      trusted: [{kid: 'site-x'}, {kid: 'site-y'}],
    })
    const init = parse(shipped('cloud-init.yaml')) as {write_files: {path: string; content: string}[]}
    expect(init.write_files[0]?.path).toBe('/etc/gwswitch/agent.yaml')
    expect(parseAgentConfig(init.write_files[0]!.content, 'agent.yaml')).toMatchObject({
      vm: 'web-07',
      probes: ['203.0.113.10'],
    })
  })

  it('the unit gives two capabilities, and bounds all others away', () => {
    const unit = shipped('gwswitch-agent.service')
    for (const key of ['AmbientCapabilities', 'CapabilityBoundingSet'])
      expect(unit).toMatch(new RegExp(`^${key}=CAP_NET_ADMIN CAP_NET_RAW$`, 'm'))
    expect(unit).toMatch(/^NoNewPrivileges=yes$/m)
    expect(unit).toMatch(/^Restart=always$/m)
  })

  it("the site's unit gives one, and no more than it needs to run ip(8) and its guard", () => {
    const unit = shipped('gwswitch-site.service')
    for (const key of ['AmbientCapabilities', 'CapabilityBoundingSet'])
      expect(unit).toMatch(new RegExp(`^${key}=CAP_NET_RAW$`, 'm'))
    expect(unit).toMatch(
      /^ExecStart=\/usr\/bin\/gwswitch serve site y -i eth1 --key %d\/site-y\.key --journal %S\/gwswitch-site\/journal\.db$/m,
    )
  })
})
