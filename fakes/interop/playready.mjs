// The npm package "node-playready" as an independent client of keyflow fake: every PlayReady box of every embedded asset, and
// boxes of header versions 4.0 to 4.3 made here. Usage: node playready.mjs EXPORT_DIR ASSETS_DIR, with the package installed
// beside this file.
import { createCipheriv, generateKeyPairSync } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// The package is run, not read: without this Node shows the line of its code in which an error that nobody caught came up.
process.on('uncaughtException', error => {
  console.log(`FAIL  ${error.message}`)
  process.exit(1)
})

const [exportDir, assetsDir] = process.argv.slice(2)
const { management_url: management, systems } = JSON.parse(readFileSync(join(exportDir, 'endpoints.json'), 'utf8'))
const url = systems.playready.license_url

// The package trusts the vendor's root and encrypts challenges for the vendor's server: one literal each, 128 hexadecimal digits,
// x and y of a point. They are public, sheet playready.md §10 and §7.3.
const vendorRoot = '864d61cff2256e422c568b3c28001cfb3e1527658584ba0521b79b1828d936de1d826a8fc3e6e7fa7a90d5ca2946f1f64a2efb9f5dcffe7e434eb44293fac5ab'
const vendorServer = 'c8b6af16ee941aadaa5389b4af2c10e356be42af175ef3face93254e7b0b3d9b982b27b5cb2341326e56aa857dbfd5c634ce2cf9ea74fca8f2af5957efeea562'

// client returns a device of a copy of the package that trusts the fake's root, and encrypts for a server key of 64 bytes. It
// makes a leaf certificate of its own under the fake's issuer.
async function client(name, serverKey) {
  const dist = join(dirname(fileURLToPath(import.meta.url)), 'node_modules/node-playready/dist')
  let source = readFileSync(join(dist, 'index.mjs'), 'utf8')
  for (const [vendor, own] of [[vendorRoot, file('root_public_key.bin')], [vendorServer, serverKey]]) {
    const parts = source.split(new RegExp(vendor, 'i'))
    if (parts.length !== 2) throw new Error(`a vendor's key stands ${parts.length - 1} times in the package, want once`)
    source = parts.join(own.toString('hex'))
  }
  const copy = join(dist, `${name}.mjs`)
  writeFileSync(copy, source)
  const { default: Playready } = await import(pathToFileURL(copy))
  return Playready.init(file('issuer_chain.bin'), file('issuer_key.bin'))
}

function file(name) {
  return readFileSync(join(exportDir, 'playready', name))
}

async function post(body) {
  const headers = {
    'Content-Type': 'text/xml; charset=utf-8',
    SOAPAction: '"http://schemas.microsoft.com/DRM/2007/03/protocols/AcquireLicense"',
  }
  const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) })
  const answer = Buffer.from(await response.arrayBuffer())
  const code = /<(?:\w+:)?Fault[\s>].*<StatusCode>\s*0x([0-9a-f]{8})\s*<\/StatusCode>/is.exec(answer)?.[1] // sheet §8.4
  return { status: response.status, body: answer, code: code && `0x${code.toUpperCase()}` }
}

// guid returns a KID of 32 hexadecimal digits in the byte order of PlayReady, and the other way around (sheet §1).
function guid(bytes) {
  const b = Buffer.from(bytes)
  return Buffer.concat([b.subarray(0, 4).reverse(), b.subarray(4, 6).reverse(), b.subarray(6, 8).reverse(), b.subarray(8)])
}

// checksum is that of AESCTR (sheet §5).
function checksum(kid, key) {
  const aes = createCipheriv('aes-128-ecb', Buffer.from(key, 'hex'), null)
  return aes.update(guid(Buffer.from(kid, 'hex'))).subarray(0, 8).toString('base64')
}

// header writes a WRMHEADER (sheet §4). The version is 4.0 to 4.3; 4.0 and 4.1 take one KID. An algorithm is left out if it is
// empty, checksums are written if the keys are given.
function header(version, algorithm, kids, keys) {
  const ids = kids.map(kid => {
    const value = guid(Buffer.from(kid, 'hex')).toString('base64')
    const sum = keys && checksum(kid, keys.get(kid))
    if (version === '4.0') return `<KID>${value}</KID>${sum ? `<CHECKSUM>${sum}</CHECKSUM>` : ''}`
    return `<KID${algorithm && ` ALGID="${algorithm}"`}${sum ? ` CHECKSUM="${sum}"` : ''} VALUE="${value}"></KID>`
  }).join('')
  const data = {
    '4.0': `<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>${algorithm}</ALGID></PROTECTINFO>${ids}`,
    '4.1': `<PROTECTINFO>${ids}</PROTECTINFO>`,
  }[version] ?? `<PROTECTINFO><KIDS>${ids}</KIDS></PROTECTINFO>`
  return `<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader" version="${version}.0.0"><DATA>${data}</DATA></WRMHEADER>`
}

// box puts a WRMHEADER into a PlayReady object of one record, and that into a pssh box of version 0 (sheet §2, §3).
function box(wrmHeader) {
  const text = Buffer.from(wrmHeader, 'utf16le')
  const object = Buffer.alloc(10)
  object.writeUInt32LE(object.length + text.length, 0)
  object.writeUInt16LE(1, 4)
  object.writeUInt16LE(1, 6)
  object.writeUInt16LE(text.length, 8)
  const pssh = Buffer.alloc(32)
  pssh.writeUInt32BE(pssh.length + object.length + text.length, 0)
  pssh.write('pssh', 4, 'latin1')
  pssh.write('9a04f07998404286ab92e65be0885f95', 12, 'hex')
  pssh.writeUInt32BE(object.length + text.length, 28)
  return Buffer.concat([pssh, object, text])
}

// boxes returns the distinct PlayReady boxes of an MPD.
function boxes(mpd) {
  const system = /schemeIdUri="urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95"[^>]*>\s*<cenc:pssh>([^<]+)</gi
  return [...new Set([...mpd.matchAll(system)].map(m => m[1].trim()))].map(b => Buffer.from(b, 'base64'))
}

// kidsOf returns the KIDs that a box of version 0 with one record names, whatever the version of its header.
function kidsOf(pssh) {
  const text = pssh.subarray(42).toString('utf16le')
  const values = [...text.matchAll(/<KID(?:>|\s[^>]*VALUE=")([^<"]+)/g)].map(m => m[1])
  return values.map(v => guid(Buffer.from(v, 'base64')).toString('hex'))
}

let passed = 0, failed = 0
async function attempt(what, exchange) {
  try {
    console.log(`ok    ${what}: ${await exchange()}`)
    passed++
  } catch (error) {
    console.log(`FAIL  ${what}: ${error.message}`)
    failed++
  }
}

// gets asks for the keys of a box: those of its KIDs must come, as the asset was encrypted with, and no others.
async function gets(device, pssh, kids, keys, customData) {
  const answer = await post(device.generateChallenge(pssh, customData))
  if (answer.status !== 200) throw new Error(`HTTP ${answer.status}, StatusCode ${answer.code}`)
  const got = new Map(device.parseLicense(answer.body).map(k => [k.kid.replaceAll('-', '').toLowerCase(), k.key.toLowerCase()]))
  for (const kid of kids) {
    if (got.get(kid) !== keys.get(kid)) throw new Error(`KID ${kid}: ${got.has(kid) ? 'another key' : 'no key'}`)
  }
  if (kids.length === 0 || got.size !== kids.length) throw new Error(`${got.size} keys, want ${kids.length}`)
  return `${kids.length} ${kids.length === 1 ? 'key' : 'keys'} as the asset was encrypted with`
}

// refused asks for the keys of a box: a SOAP fault with this StatusCode must come, for the reason that the fake says.
async function refused(device, pssh, want, reason) {
  const { status, code } = await post(device.generateChallenge(pssh))
  if (status !== 500 || code !== want) throw new Error(`HTTP ${status}, StatusCode ${code}, want HTTP 500, ${want}`)
  const why = (await manage('GET', 'requests')).requests.at(-1).reason
  if (why !== reason) throw new Error(`StatusCode ${code} because of ${why}, want ${reason}`)
  return `refused with StatusCode ${code}`
}

// spoilt asks for the keys of a box while the fake spoils its answers: the client, or the comparison, must say so in these words.
async function spoilt(device, { pssh, keys }, fault, words) {
  await manage('PUT', 'faults', { faults: [{ name: fault }] })
  const error = await gets(device, pssh, kidsOf(pssh), keys).then(() => undefined, e => e)
  await manage('DELETE', 'faults')
  if (!error) throw new Error('it went unnoticed')
  if (!words.test(error.message)) throw new Error(`noticed as ${error.message}, want ${words}`)
  return `noticed: ${error.message}`
}

async function manage(method, path, body) {
  const response = await fetch(new URL(path, management), { method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(10_000) })
  if (!response.ok) throw new Error(`${method} ${path}: HTTP ${response.status}`)
  return response.json()
}

const device = await client('harness', file('server_public_key.bin'))
let sample
for (const name of readdirSync(assetsDir)) {
  const path = join(assetsDir, name, 'manifest.json')
  if (!existsSync(path)) continue
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  const keys = new Map(manifest.tracks.filter(t => t.kid).map(t => [t.kid.replaceAll('-', ''), t.key]))
  const all = [...keys.keys()]

  const own = boxes(readFileSync(join(assetsDir, name, manifest.mpd), 'utf8'))
  sample ??= { pssh: own[0], keys }
  for (const [i, pssh] of own.entries()) {
    await attempt(`${name}, box ${i + 1} of ${own.length} in the MPD`, () => gets(device, pssh, kidsOf(pssh), keys))
  }
  await attempt(`${name}, KIDs of the MPD's boxes`, () => {
    const missing = all.filter(kid => !own.some(pssh => kidsOf(pssh).includes(kid)))
    if (missing.length > 0) throw new Error(`no box names ${missing}`)
    return `all ${all.length} of the asset`
  })

  const singles = all.map(kid => [kid])
  const several = all.length > 1 ? [...singles, all] : singles
  const cbcs = manifest.scheme === 'cbcs'
  for (const [version, algorithm, groups] of [
    ...(cbcs ? [] : [['4.0', 'AESCTR', singles], ['4.1', 'AESCTR', singles], ['4.2', 'AESCTR', several]]), // CTR only
    ['4.3', cbcs ? 'AESCBC' : 'AESCTR', several],
    ['4.3', '', several],
  ]) {
    for (const kids of groups) {
      for (const sums of algorithm === 'AESCTR' ? [undefined, keys] : [undefined]) {
        const asked = kids.length === 1 ? `KID ${kids}` : `${kids.length} KIDs`
        const what = `${name}, header ${version}, ${algorithm || 'no ALGID'}${sums ? ' and checksum' : ''}, ${asked}`
        await attempt(what, () => gets(device, box(header(version, algorithm, kids, sums)), kids, keys))
      }
    }
  }
}

// The package does not escape custom data.
await attempt('custom data with markup', () => gets(device, sample.pssh, kidsOf(sample.pssh), sample.keys, 'a &amp; b &lt;c&gt; "d"'))

// Controls: what must fail does, for the reason it must.
const other = Buffer.from(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })).subarray(-64)
await attempt('challenge for another server\'s key', async () => refused(await client('other', other), sample.pssh, '0x8004C601', 'encrypted-data'))
const unknown = box(header('4.0', 'AESCTR', ['00112233445566778899aabbccddeeff']))
await attempt('unknown KID', () => refused(device, unknown, '0x8004C604', 'unknown-content'))
for (const [fault, words] of [
  ['pr-key-bit-flipped', /another key$/], ['pr-kid-big-endian', /no key$/], // by the comparison
  ['pr-device-key-of-another', /Encryption Key Mismatch/], ['pr-cmac-range', /integrity check failed/], // by the client
]) {
  await attempt(`fault ${fault}`, () => spoilt(device, sample, fault, words))
}

console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
