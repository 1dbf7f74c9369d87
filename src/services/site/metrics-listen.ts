// `--metrics-listen`: the metrics of a service, for Prometheus or an agent of it on this host.
import {usage} from '../../errors.ts'
import {type PageServer, servePage} from '../../net/stream/http-page.ts'
import {prefixContains} from '../../wire/address.ts'
import {type Endpoint, readEndpoint} from '../../wire/endpoint.ts'

/** Without a port in `--metrics-listen`. */
const METRICS_PORT = 9469
/** prometheus.io/docs/instrumenting/exposition_formats */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * `unix:PATH` or a loopback address: there is no password, and no one else's business.
 * @throws Failure `usage` for anything else.
 */
export function readMetricsPlace(text: string): string | Endpoint {
  const wanted = `want unix:/run/gwswitch/metrics.sock or 127.0.0.1:${METRICS_PORT}`
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    if (path.startsWith('/')) return path
    throw usage(`--metrics-listen ${text}: is no absolute path (${wanted})`)
  }
  const endpoint = readEndpoint(text, METRICS_PORT)
  if (endpoint === undefined) throw usage(`--metrics-listen ${text}: is no place to listen (${wanted})`)
  const {address} = endpoint
  if (address === '::1' || (!address.includes(':') && prefixContains(LOOPBACK, address))) return endpoint
  throw usage(`--metrics-listen ${text}: is no loopback address, and whoever asks is answered (${wanted})`)
}

const LOOPBACK = {address: '127.0.0.0', length: 8}

/** Serves `/metrics` with what `text` says when it is asked for. @throws Failure as {@link servePage}. */
export const listenForMetrics = (where: string | Endpoint, text: () => string): Promise<PageServer> =>
  servePage(where, {path: '/metrics', contentType: CONTENT_TYPE, text}, 'metrics')
