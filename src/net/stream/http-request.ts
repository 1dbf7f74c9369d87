// One POST of JSON over HTTP or HTTPS.
import {Failure} from '../../errors.ts'

/** PEM texts; without `ca` the system's authorities count. */
export interface TlsFiles {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** Bytes of an answer, as of a unix socket. */
const ANSWER_LIMIT = 32 << 20

/**
 * Sends `body` and resolves to what comes back. @throws Failure `silent` if nobody answers within `timeoutMs`, `runtime` for
 * an answer other than 200 and for a certificate that is not trusted. `what` names the other end.
 */
export async function postJson(
  url: string,
  body: string,
  what: string,
  tls: TlsFiles = {},
  timeoutMs = 10_000,
): Promise<string> {
  const {request} = await (url.startsWith('https:') ? import('node:https') : import('node:http'))
  const {promise, resolve, reject} = Promise.withResolvers<string>()
  const headers = {'content-type': 'application/json', 'content-length': Buffer.byteLength(body)}
  const signal = AbortSignal.timeout(timeoutMs)
  const sent = request(url, {...tls, method: 'POST', agent: false, headers, signal}, (answer) => {
    if (answer.statusCode !== 200) {
      answer.resume()
      return reject(new Failure('runtime', `${url}: ${what} answers HTTP ${answer.statusCode}`))
    }
    const parts: Buffer[] = []
    let length = 0
    answer.on('data', (part: Buffer) => {
      parts.push(part)
      length += part.length
      if (length > ANSWER_LIMIT) sent.destroy(new Error(`over ${ANSWER_LIMIT} bytes`))
    })
    answer.on('end', () => resolve(Buffer.concat(parts).toString()))
    answer.on('error', reject)
  })
  sent.on('error', reject)
  sent.end(body)
  try {
    return await promise
  } catch (error) {
    if (error instanceof Failure) throw error
    const {code, message} = error as NodeJS.ErrnoException
    if (signal.aborted) throw new Failure('silent', `${url}: ${what} does not answer`)
    const isAway = ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND'].includes(code ?? '')
    throw new Failure(isAway ? 'silent' : 'runtime', `${url}: ${what} cannot be reached: ${message}`)
  }
}
