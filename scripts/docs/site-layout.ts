// What stands around the text of every page of the site.
import {posix} from 'node:path'

const MENU: readonly (readonly [string, string])[] = [
  ['index.html', 'Documents'],
  ['tutorial.html', 'Tutorial'],
  ['which-method.html', 'Which method'],
  ['reference/commands.html', 'Commands'],
  ['reference/codes.html', 'Codes'],
  ['reference/inventory-keys.html', 'Inventory keys'],
  ['reference/json.html', 'JSON'],
  ['why.html', 'Why it works'],
  ['changelog.html', 'Changes'],
]

/** `body` as a whole page; `url` is its path in the site. */
export function layout(body: string, url: string): string {
  const to = (target: string): string => posix.relative(posix.dirname(url), target)
  const title = (/<h1[^>]*>([\s\S]*?)<\/h1>/.exec(body)?.[1] ?? 'gwswitch').replaceAll(/<[^>]*>/g, '')
  const items = MENU.map(
    ([target, name]) => `<a href="${to(target)}"${target === url ? ' aria-current="page"' : ''}>${name}</a>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}${title === 'gwswitch' ? '' : ' · gwswitch'}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${to('style.css')}">
</head>
<body>
<header><a class="name" href="${to('overview.html')}">gwswitch</a><nav>${items.join('')}</nav></header>
<main>
${body.replaceAll(/<table>/g, '<div class="wide"><table>').replaceAll('</table>', '</table></div>')}
</main>
</body>
</html>
`
}

/** Fonts are the reader's; light and dark as the reader has it; wide tables and code scroll by themselves. */
export const STYLE = `:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e6edf3); --ground: light-dark(#fff, #14181d); --soft: light-dark(#57606a, #9da7b3); --line: light-dark(#d8dee4, #30363d); --code: light-dark(#f3f5f7, #1c2128); --link: light-dark(#0757b5, #6cb2ff); }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
header { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; align-items: baseline; padding: .7rem 1.2rem; border-bottom: 1px solid var(--line); }
header .name { font-weight: 700; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .92rem; }
[aria-current] { color: var(--ink); font-weight: 600; text-decoration: none; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem 1.2rem 4rem; }
a { color: var(--link); overflow-wrap: anywhere; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
pre { background: var(--code); padding: .7rem .9rem; border-radius: 6px; overflow-x: auto; }
code { font: .9em/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; background: var(--code); border-radius: 4px; padding: .08em .25em; overflow-wrap: anywhere; }
pre code { padding: 0; background: none; overflow-wrap: normal; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border: 1px solid var(--line); min-width: 4rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
@media print { header { display: none; } }
`
