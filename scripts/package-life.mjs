// What is done with gwswitch where it was installed, as shell: first what any form of it must do, then what is of one.
import {labSetUp, names, oldEntry, walks} from './docs/first-minutes.ts'

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`

/** `files`: whatever lies in the root, but what everybody who uses Node, npm or a cache leaves at home. */
const HELPERS = `
set -eu
files() { find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root/.npm \\
  -o -path /root/.cache -o -path /root/gwswitch -o -path /var/log -o -path /var/lib/dpkg -o -path /var/cache \\) \\
  -prune -o -print | sort; }
say() { echo "== $*"; }
is() { [ "$1" = "$2" ] || { echo "want $2, is $1" >&2; exit 1; }; }
# step NODE EXIT PATTERN TEXT: pasted there, it ends and says so.
step() {
  code=0
  ip netns exec "gwlab-$1" bash -ec "$4" >/tmp/said 2>&1 || code=$?
  [ "$code" = "$2" ] && { [ -z "$3" ] || grep -Eq -e "$3" /tmp/said; } || { echo "$4"; cat /tmp/said; echo "exit $code, want $2 and $3"; exit 1; } >&2
}
`

/** A segment by what hypervisors of site y see of it: the bridge, the VM's site in the lab, what an inventory must name. */
const SEGMENTS = [
  {bridge: 'br-a', named: ['10.0.0.1, mac: "02:00:00:00:0a:01"', '10.0.0.2, mac: "02:00:00:00:0b:01"']},
  {bridge: 'br-b', named: ['10.1.0.254, mac: "02:00:00:00:0b:02"']},
]

function firstWalk({vm, inventory, steps}, i) {
  const {bridge, named} = SEGMENTS[i]
  const draft = `gwswitch init -i ${bridge} --site y --yes --listen 8 -f draft-${vm}.yaml && gwswitch inventory check -f draft-${vm}.yaml && cat draft-${vm}.yaml`
  const at = (node, code, says, text) => `step ${node} ${code} ${quoted(says)} ${quoted(text)}`
  const set = names.replaceAll('web-07', vm)
  return [
    `say "the first five minutes: ${vm}"`,
    `gwswitch lab move ${vm} --to y >/dev/null`,
    at(vm, 0, '', oldEntry(vm)),
    // It talks to somebody beyond its gateway, as VMs do.
    `ip netns exec gwlab-${vm} bash -c 'while sleep 0.3; do echo >/dev/udp/203.0.113.10/9; done' 2>/dev/null & talks=$!`,
    ...named.map((words) => at('sw-y', 0, words, `rm -f draft-${vm}.yaml; ${draft}`)),
    '{ kill $talks; wait $talks; } 2>/dev/null || true',
    `printf %s ${quoted(inventory)} >gwswitch.yaml`,
    at('hv', 0, 'mac-proxy +✓ works', 'gwswitch doctor'),
    ...steps.map(({text, at: place, code, says}) => at(place === 'vm' ? vm : 'hv', code, says, `${set}${text}`)),
  ]
}

/** The README's first five minutes, by the lab that the program brings, with `doctor` and `init` before them. */
const FIRST_MINUTES = [
  'cd "$(mktemp -d)"',
  'gwswitch lab up >/dev/null',
  labSetUp.split('\n').find((line) => line.startsWith('export ')),
  ...walks.flatMap(firstWalk),
  'gwswitch lab down >/dev/null',
  'cd /; unset GWSWITCH_JOURNAL',
].join('\n')

const USE = `
ip link set lo up
say "it runs"
gwswitch --version | grep -q '^gwswitch/'
gwswitch --help | grep -q USAGE
gwswitch switch --help | grep -q USAGE
gwswitch strategies --json | grep -q '"arp"'
code=0; gwswitch nonsense 2>/dev/null || code=$?; is "$code" 2
code=0; gwswitch doctor >/tmp/said || code=$?; is "$code" 10
grep -q 'the kernel has raw frames' /tmp/said
say "it sends frames (koffi)"
ip link add one0 type veth peer name one1; ip link set one0 up; ip link set one1 up
gwswitch garp 10.1.0.254 -i one0 --count 1 --timeout 10 | grep -q 10.1.0.254
ip link delete one0
say "it starts its own programs (the lab, its relay, sessions, switches and their guard)"
gwswitch lab demo >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
${FIRST_MINUTES}
`

/** The version before is `/tmp/before.deb`, the one that is tried `/tmp/after.deb`. */
export const DEB_LIFE = `${HELPERS}
command -v node && { echo "there is a Node" >&2; exit 1; }
files >/tmp/before
say "installed"
dpkg -i /tmp/before.deb >/dev/null
say "its files are where they should be, as they should be"
is "$(stat -c '%a %U' /var/lib/gwswitch)" "700 root"
is "$(stat -c '%a %U' /etc/gwswitch)" "755 root"
is "$(stat -c '%a %U' /usr/lib/gwswitch/koffi.node)" "644 root"
for file in /usr/share/bash-completion/completions/gwswitch /usr/share/zsh/vendor-completions/_gwswitch \\
  /usr/share/fish/vendor_completions.d/gwswitch.fish /usr/share/man/man1/gwswitch-switch.1.gz \\
  /lib/systemd/system/gwswitch-agent.service /lib/systemd/system/gwswitch-site.service \\
  /usr/share/gwswitch/schemas/error.1.json /usr/share/doc/gwswitch/docs/install.md; do
  is "$(stat -c '%a %U' "$file")" "644 root"
done
gwswitch inventory check -f /usr/share/doc/gwswitch/examples/gwswitch.yaml >/dev/null
gwswitch __complete bash 'gwswitch swi' '' | grep -q switch
${USE}
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

/** By npm, in a clone: with the network, then without it, then gone. `newer`: the Node that the clone brings. */
export const npmLife = (newer) => {
  const path = `${HELPERS}\nPATH=${newer}:$PATH\n`
  return {
    installed: `${HELPERS}
export npm_config_fund=false npm_config_update_notifier=false
say "npm pack in a clean clone, with Node $(node --version)"
npm pack --loglevel=error >/dev/null 2>&1 || npm pack
is "$(npm run -s gwswitch -- strategies --json | jq -r .schema)" gwswitch.strategies/1
files >/tmp/before
say "npm install --global: a Node that is too old is told so"
npm install --global --loglevel=error ./gwswitch-*.tgz
code=0; gwswitch --version 2>/tmp/said || code=$?; is "$code" 1
grep -q 'gwswitch needs Node' /tmp/said
npm uninstall --global --loglevel=error gwswitch
PATH=${newer}:$PATH
npm install --global --prefix /usr/local --loglevel=error ./gwswitch-*.tgz
say "units, schemas and documents are in it"
cd "$(npm root --global --prefix /usr/local)/gwswitch"
ls packaging/gwswitch-agent.service packaging/completions/gwswitch.bash packaging/man/gwswitch.1 schemas/error.1.json docs/install.md >/dev/null
`,
    used: `${path}${USE}`,
    removed: `${path}
say "removed: nothing is left"
npm uninstall --global --prefix /usr/local --loglevel=error gwswitch
files >/tmp/after
diff /tmp/before /tmp/after
`,
  }
}
