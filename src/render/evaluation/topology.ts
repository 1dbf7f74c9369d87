// The two sites of a run as a picture: what packets cross, and where they were captured.
import type {LabRun} from '../../domain/evaluation/lab-run.ts'
import {line, text} from '../svg.ts'

const [X, Y] = [97, 303]

const node = (x: number, y: number, label: string, style = 'node'): string =>
  `<rect class="${style}" x="${x - 44}" y="${y}" width="88" height="30" rx="5"/>${text(x, y + 19.5, label, 'name', 'middle')}`
/** Where packets were captured. */
const tapped = (x: number, y: number): string => `<path class="tap" d="M${x} ${y - 5}l5 5l-5 5l-5-5z"/>`

/** As narrow as a telephone shows without making letters too small. */
export function topologySvg({delaysMs, vm}: Pick<LabRun, 'delaysMs' | 'vm'>): string {
  const guest = vm === 'qemu' ? 'QEMU guest' : 'VM'
  return [
    '<svg class="topology" viewBox="0 0 400 356" role="img" aria-labelledby="topology-title">',
    '<title id="topology-title">Two sites, a gateway and a user at each; a VM migrates from one to the other</title>',
    '<rect class="site" x="8" y="6" width="178" height="276" rx="8"/><rect class="site" x="214" y="6" width="178" height="276" rx="8"/>',
    text(18, 26, 'site X', 'soft'),
    text(224, 26, 'site Y', 'soft'),
    line(X, 66, X, 105, 'wire'),
    line(Y, 66, Y, 105, 'wire'),
    line(X, 135, X, 205, 'wire'),
    line(Y, 135, Y, 205, 'wire'),
    line(X + 44, 120, Y - 44, 120, 'wire far'),
    line(X + 44, 220, Y - 44, 220, 'wire far'),
    ...['bad', 'good', 'move'].map(
      (way) =>
        `<marker id="to-${way}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="4" markerHeight="4" orient="auto"><path class="head ${way}" d="M0 0L8 4L0 8z"/></marker>`,
    ),
    '<path class="way bad" marker-end="url(#to-bad)" d="M258 212H144"/><path class="way bad" marker-end="url(#to-bad)" d="M107 203V140"/>',
    '<path class="way bad" marker-end="url(#to-bad)" d="M142 112H256"/><path class="way bad" marker-end="url(#to-bad)" d="M292 104V71"/>',
    '<path class="way good" marker-end="url(#to-good)" d="M314 204V140"/><path class="way good" marker-end="url(#to-good)" d="M314 104V71"/>',
    node(X, 36, 'user'),
    node(Y, 36, 'user'),
    node(X, 105, 'gateway'),
    node(Y, 105, 'gateway'),
    node(X, 205, guest, 'node ghost'),
    node(Y, 205, guest),
    text(200, 140, `WAN ${delaysMs.wan} ms`, 'soft', 'middle'),
    text(200, 240, `DCI ${delaysMs.dci} ms`, 'soft', 'middle'),
    '<path class="move" d="M97 238V258Q97 264 103 264H297Q303 264 303 258V240" marker-end="url(#to-move)"/>',
    text(200, 278, 'live migration', 'soft', 'middle'),
    ...[X, Y].flatMap((x) => [tapped(x, 80), tapped(x, 152), tapped(x, 188)]),
    '<path class="way bad" d="M12 304H36"/>',
    text(44, 308, 'trombone', 'soft'),
    '<path class="way good" d="M132 304H156"/>',
    text(164, 308, 'by the new gateway', 'soft'),
    tapped(24, 325),
    text(44, 329, 'captured, with timestamps of the kernel', 'soft'),
    text(12, 349, 'here X to Y; back and forth in turn; delays are one way', 'soft'),
    '</svg>',
  ].join('\n')
}
