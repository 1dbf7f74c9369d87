import {describe, expect, it} from 'vitest'
import {type Endpoint, endpointText, readEndpoint} from '../../src/wire/endpoint.ts'

describe('an endpoint', () => {
  it.each<[string, Endpoint | undefined]>([
    ['10.0.0.1:7000', {address: '10.0.0.1', port: 7000}],
    ['10.0.0.1', {address: '10.0.0.1', port: 6742}],
    ['[FD00::1]:7000', {address: 'fd00::1', port: 7000}],
    ['fd00::1', {address: 'fd00::1', port: 6742}],
    ['10.0.0.1:0', undefined],
    ['10.0.0.1:70000', undefined],
    ['[10.0.0.1]:7000', undefined],
    ['web-07:7000', undefined],
    ['', undefined],
  ])('%j', (text, expected) => {
    expect(readEndpoint(text, 6742)).toEqual(expected)
    if (expected) expect(readEndpoint(endpointText(expected), 1)).toEqual(expected)
  })
})
