// Looks at a .deb as its users will: lintian, and its whole life in a bare Debian 12.
import {spawnSync} from 'node:child_process'
import {copyFileSync} from 'node:fs'
import {join} from 'node:path'
import {quietly, say} from './debian.mjs'
import {debianRoot, within} from './debian-root.mjs'

/** One shell script, so that what it says stands in order. `$1` is the version before, `$2` the one that is tried. */
const LIFE = `
set -eu
files() { find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root -o -path /var/log \\
  -o -path /var/lib/dpkg -o -path /var/cache \\) -prune -o -print | sort; }
say() { echo "== $*"; }
is() { [ "$1" = "$2" ] || { echo "want $2, is $1" >&2; exit 1; }; }
command -v node && { echo "there is a Node" >&2; exit 1; }
files >/tmp/before
say "installed"
dpkg -i /tmp/before.deb >/dev/null
say "its folders are as they should be"
is "$(stat -c '%a %U' /var/lib/gwswitch)" "700 root"
is "$(stat -c '%a %U' /etc/gwswitch)" "755 root"
is "$(stat -c '%a %U' /usr/lib/gwswitch/koffi.node)" "644 root"
say "it runs"
gwswitch --version | grep -q '^gwswitch/'
gwswitch --help | grep -q USAGE
gwswitch switch --help | grep -q USAGE
gwswitch strategies --json | grep -q '"arp"'
gwswitch who -f /usr/share/doc/gwswitch/examples/gwswitch.yaml --help >/dev/null
ip link add bench0 type veth peer name bench1; ip link set bench0 up; ip link set bench1 up
say "it sends frames (koffi)"
gwswitch garp 10.1.0.254 -i bench0 --count 1 --timeout 10 | grep -q 10.1.0.254
code=0; gwswitch nonsense 2>/dev/null || code=$?; is "$code" 2
say "it starts its own programs (the lab, its relay, sessions, switches and their guard)"
gwswitch lab demo >/tmp/demo 2>&1 || { cat /tmp/demo; exit 1; }
say "it becomes its agent, and an unused one is made by install"
gwswitch agent install --root /tmp/image --vm web-07 >/dev/null
grep -q '^ExecStart=/usr/lib/gwswitch/gwswitch agent' /tmp/image/etc/systemd/system/gwswitch-agent.service
say "a plugin of /usr/lib/gwswitch/plugins answers, with the gwswitch that runs"
p=/usr/lib/gwswitch/plugins; mkdir -p $p/node_modules/push
echo '{"dependencies":{"push":"1.0.0"}}' >$p/package.json
echo '{"name":"push","version":"1.0.0","type":"module","oclif":{"hooks":{"gwswitch:strategies":"./s.js"}}}' >$p/node_modules/push/package.json
cat >$p/node_modules/push/s.js <<'P'
import {CONTRACT, Failure} from 'gwswitch'
if (!new Failure('usage', 'x').kind) throw new Error('another Failure')
export default async () => [{contract: CONTRACT, name: 'push', summary: 's',
  traits: {controlledAt: 'router', layer: 'L3', gatewayIp: 'stays', sessions: 'kept', needs: 'the API'}}]
P
gwswitch strategies | grep '^push'
gwswitch --version | grep -q 'push/1.0.0'
rm -r $p/package.json $p/node_modules
say "upgraded"
echo kept >/etc/gwswitch/gwswitch.yaml; echo kept >/var/lib/gwswitch/record
dpkg -i /tmp/after.deb >/dev/null
gwswitch --version | grep -q '^gwswitch/'
is "$(cat /etc/gwswitch/gwswitch.yaml)$(cat /var/lib/gwswitch/record)" keptkept
say "removed: its program is gone, what was written is kept"
dpkg -r gwswitch >/dev/null 2>&1
[ ! -e /usr/bin/gwswitch ]; [ ! -e /usr/lib/gwswitch ]
is "$(cat /etc/gwswitch/gwswitch.yaml)$(cat /var/lib/gwswitch/record)" keptkept
say "purged: nothing is left"
dpkg -P gwswitch >/dev/null
files >/tmp/after
diff /tmp/before /tmp/after
`

/** What it depends on and recommends, as apt(8) would install it. */
const neededBy = (file) =>
  quietly('dpkg-deb', ['--field', file, 'Depends', 'Recommends'])
    .replaceAll(/^\w+: | \([^)]*\)/gm, '')
    .split(/[,\s]+/)
    .filter(Boolean)

/** Whether all is well; what is not has been said. */
export async function checkPackage(file, before, place) {
  say('lintian')
  const {stdout, stderr} = spawnSync('lintian', ['--allow-root', '--tag-display-limit', '0', file], {encoding: 'utf8'})
  process.stderr.write(stdout + stderr)
  const folder = await debianRoot(place, neededBy(file))
  copyFileSync(before, join(folder, 'tmp/before.deb'))
  copyFileSync(file, join(folder, 'tmp/after.deb'))
  const outcome = await within(folder, '/root', ['/bin/sh', '-c', LIFE])
  say(outcome === 0 ? 'installed, used, upgraded, removed, purged: nothing left' : `FAILED in the root (${outcome})`)
  return outcome === 0 && !/^E: /m.test(stdout)
}
