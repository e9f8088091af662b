// make deb: dist/ixy-ts_<version>_amd64.deb, from what `make build` has built. The same sources give the same bytes.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'

const root = path.join(import.meta.dirname, '..')
const read = (name) => readFileSync(path.join(root, name))
const { version } = JSON.parse(read('package.json').toString())
/** koffi's binary is for one kind of machine and one C library. */
const ARCHITECTURE = 'amd64'

/** When the sources were committed, unless somebody knows better: https://reproducible-builds.org/specs/source-date-epoch */
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? sourceDate())
const environment = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) }

function sourceDate() {
  const { status, stdout } = spawnSync('git', ['-C', root, 'log', '-1', '--format=%ct'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : Math.floor(statSync(path.join(root, 'package.json')).mtimeMs / 1000)
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 2, 2], env: environment })
  if (status === 0) return
  if (error?.code === 'ENOENT')
    console.error(`${program} is missing: sudo apt install ${program === 'dpkg-deb' ? 'dpkg' : program}`)
  process.exit(1)
}

const stage = path.join(root, 'dist/deb')
rmSync(stage, { recursive: true, force: true })

/** Whatever the umask. */
function put(name, content, mode = 0o644) {
  const file = path.join(stage, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, content)
  chmodSync(file, mode)
}

/** Files below `from` in the repository that `wanted` takes, with their modes. */
function copy(from, to, wanted = /./) {
  for (const name of readdirSync(path.join(root, from), { recursive: true, encoding: 'utf8' })) {
    const state = statSync(path.join(root, from, name))
    if (state.isFile() && wanted.test(name))
      put(path.join(to, name), read(path.join(from, name)), state.mode & 0o111 ? 0o755 : 0o644)
  }
}

// The tool, and koffi without its sources and other C libraries.
const HOME = 'usr/lib/ixy-ts'
copy('bin', `${HOME}/bin`)
copy('dist', `${HOME}/dist`, /^[\w-]+\.(cjs|mjs)$/)
put(`${HOME}/package.json`, read('package.json'))
put(`${HOME}/setup-hugetlbfs.sh`, read('setup-hugetlbfs.sh'), 0o755)
copy(
  'node_modules/koffi',
  `${HOME}/node_modules/koffi`,
  /^(package\.json|index\.cjs|src\/koffi\/(index|src\/static)\.cjs)$/,
)
copy(
  'node_modules/@koromix/koffi-linux-x64',
  `${HOME}/node_modules/@koromix/koffi-linux-x64`,
  /^(package\.json|index\.js|linux_x64\/koffi\.node)$/,
)
mkdirSync(path.join(stage, 'usr/bin'), { recursive: true })
symlinkSync('../lib/ixy-ts/bin/ixy-ts', path.join(stage, 'usr/bin/ixy-ts'))

// Manual pages and completion, which the tool writes.
const launcher = path.join(root, 'bin/ixy-ts')
const pages = path.join(stage, 'pages')
run(process.execPath, [launcher, 'manual', pages])
for (const name of readdirSync(pages))
  put(`usr/share/man/man1/${name}.gz`, gzipSync(readFileSync(path.join(pages, name)), { level: 9 }))
rmSync(pages, { recursive: true })
for (const [shell, file] of [
  ['bash', 'bash-completion/completions/ixy-ts'],
  ['zsh', 'zsh/vendor-completions/_ixy-ts'],
  ['fish', 'fish/vendor_completions.d/ixy-ts.fish'],
])
  put(`usr/share/${file}`, spawnSync(process.execPath, [launcher, 'completion', shell]).stdout)

// What the system is told.
put('usr/lib/systemd/system/ixy-ts@.service', read('packaging/deb/ixy-ts@.service'))
put('usr/lib/udev/rules.d/60-ixy-ts.rules', read('packaging/deb/60-ixy-ts.rules'))
put('usr/lib/modules-load.d/ixy-ts.conf', read('packaging/deb/modules-load.conf'))
put('etc/security/limits.d/ixy-ts.conf', read('packaging/deb/limits.conf'))
mkdirSync(path.join(stage, 'etc/ixy-ts'))

const DOC = 'usr/share/doc/ixy-ts'
copy('docs', `${DOC}/docs`)
put(`${DOC}/README.md`, read('README.md'))
put(`${DOC}/examples/forward.conf`, read('packaging/deb/forward.conf'))
put(
  `${DOC}/copyright`,
  [
    `ixy-ts\n\n${read('LICENSE')}`,
    `koffi, in /${HOME}/node_modules\n\n${read('node_modules/koffi/LICENSE.txt')}`,
    `Parts of these are in /${HOME}/dist:\n\n${read('dist/LICENSES.txt')}`,
  ].join('\n----\n\n'),
)
const maintainer = `${process.env.DEBFULLNAME ?? 'The ixy-ts authors'} <${process.env.DEBEMAIL ?? 'ixy-ts@users.noreply.github.com'}>`
const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')
const changelog = `ixy-ts (${version}) unstable; urgency=medium\n\n  * Built from the sources of this version.\n\n -- ${maintainer}  ${date}\n`
put(`${DOC}/changelog.gz`, gzipSync(changelog, { level: 9 }))

const files = readdirSync(stage, { recursive: true, encoding: 'utf8' }).sort()
const plain = files.filter((name) => statSync(path.join(stage, name)).isFile() && name !== 'usr/bin/ixy-ts')
const bytesOf = (name) => readFileSync(path.join(stage, name))
const kilobytes = plain.reduce((sum, name) => sum + Math.ceil(bytesOf(name).length / 1024), 0)
put(
  'DEBIAN/md5sums',
  plain
    .filter((name) => !name.startsWith('etc/'))
    .map((name) => `${createHash('md5').update(bytesOf(name)).digest('hex')}  ${name}\n`)
    .join(''),
)
put(
  'DEBIAN/conffiles',
  plain
    .filter((name) => name.startsWith('etc/'))
    .map((name) => `/${name}\n`)
    .join(''),
)
for (const script of ['postinst', 'prerm', 'postrm'])
  put(`DEBIAN/${script}`, read(`packaging/deb/${script}`), 0o755)
// Debian 12 has no Node.js that is new enough: there npm comes instead, which then brings one (postinst says how).
put(
  'DEBIAN/control',
  `Package: ixy-ts
Version: ${version}
Architecture: ${ARCHITECTURE}
Maintainer: ${maintainer}
Installed-Size: ${kilobytes}
Section: net
Priority: optional
Depends: nodejs (>= 20.19) | npm, libc6 (>= 2.25), libgcc-s1 (>= 3.0), libstdc++6 (>= 7), passwd
Recommends: libpcap0.8t64 | libpcap0.8
Description: user-space network driver, packet forwarder and generator
 Forwards, generates, captures, tunnels and counts packets on Intel's ixgbe
 10 Gbit/s NICs and on virtio cards, without a kernel module. A virtual 82599
 comes along, so that all of it can be tried without a card.
`,
)

// Of folders too: tar stores their times and modes.
for (const name of ['', ...readdirSync(stage, { recursive: true, encoding: 'utf8' })]) {
  const file = path.join(stage, name)
  if (name === 'usr/bin/ixy-ts') continue
  if (statSync(file).isDirectory()) chmodSync(file, 0o755)
  utimesSync(file, epoch, epoch)
}
// Of other versions, which a container would take as well.
for (const name of readdirSync(path.join(root, 'dist')))
  if (name.endsWith('.deb')) rmSync(path.join(root, 'dist', name))
const result = path.join('dist', `ixy-ts_${version}_${ARCHITECTURE}.deb`)
run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, path.join(root, result)])
rmSync(stage, { recursive: true })
console.log(
  `${result}: ${(statSync(path.join(root, result)).size / 1e6).toFixed(1)} MB, ${(kilobytes / 1000).toFixed(1)} MB installed`,
)
