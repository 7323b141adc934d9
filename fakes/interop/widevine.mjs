// The npm package "widevine" as an independent client of keyflow fake: clear and privacy mode, both of its device types,
// every embedded asset. Usage: node widevine.mjs EXPORT_DIR ASSETS_DIR, with the package installed beside this file.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// The package is run, not read: without this Node shows the line of its code in which an error that nobody caught came up.
process.on('uncaughtException', error => {
  console.log(`FAIL  ${error.message}`)
  process.exit(1)
})

const [exportDir, assetsDir] = process.argv.slice(2)
const url = /^ *url: *(\S+)/m.exec(readFileSync(join(exportDir, 'plain-widevine.yaml'), 'utf8'))[1]

// The package trusts the vendor's root, one literal of bytes. A copy with the fake's root in its place trusts the fake.
const vendorRoot = '4d37517967d93c1fe39ea841f17a88da28c4aba7f3f09505224cafdf33f75c32' // SHA-256 of its PKCS#1 DER
const fakeRoot = readFileSync(join(exportDir, 'root_public_key.der'))
const dist = join(dirname(fileURLToPath(import.meta.url)), 'node_modules/widevine/dist')
let replaced = 0
const source = readFileSync(join(dist, 'index.mjs'), 'utf8').replace(/new Uint8Array\(\[([\d,\s]+)\]\)/g, (literal, list) => {
  const bytes = Uint8Array.from(list.split(',').filter(n => n.trim() !== '').map(Number))
  if (createHash('sha256').update(bytes).digest('hex') !== vendorRoot) return literal
  replaced++
  return `new Uint8Array([${[...fakeRoot].join(',')}])`
})
if (replaced !== 1) throw new Error(`the vendor's root stands ${replaced} times in the package, want once`)
writeFileSync(join(dist, 'harness.mjs'), source)
const { DeviceType, LicenseType, Widevine } = await import(pathToFileURL(join(dist, 'harness.mjs')))

async function post(body) {
  const response = await fetch(url, { method: 'POST', body, signal: AbortSignal.timeout(10_000) })
  const answer = Buffer.from(await response.arrayBuffer())
  if (response.status !== 200) throw new Error(`HTTP ${response.status}: ${answer}`)
  return answer
}

// boxes returns the distinct Widevine boxes of an MPD.
function boxes(mpd) {
  const system = /schemeIdUri="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"[^>]*>\s*<cenc:pssh>([^<]+)</gi
  return [...new Set([...mpd.matchAll(system)].map(m => m[1].trim()))]
}

let passed = 0, failed = 0
for (const name of readdirSync(assetsDir)) {
  const file = join(assetsDir, name, 'manifest.json')
  if (!existsSync(file)) continue
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  const want = new Map(manifest.tracks.map(t => [t.kid.replaceAll('-', ''), t.key]))
  for (const [kind, type] of Object.entries({ chrome: DeviceType.CHROME, android: DeviceType.ANDROID })) {
    for (const privacy of [false, true]) {
      const what = `${name}, ${kind}, ${privacy ? 'privacy mode' : 'in the clear'}`
      try {
        const device = Widevine.init(readFileSync(join(exportDir, 'devices/1/client_id.bin')), readFileSync(join(exportDir, 'devices/1/private_key.pem')), type)
        const got = new Map()
        for (const box of boxes(readFileSync(join(assetsDir, name, manifest.mpd), 'utf8'))) {
          const session = device.createSession(Buffer.from(box, 'base64'), LicenseType.STREAMING)
          if (privacy) session.setServiceCertificateFromMessage(await post(session.getServiceCertificateChallenge()))
          for (const k of session.parseLicense(await post(session.generateChallenge()))) got.set(k.kid, k.key)
        }
        for (const [kid, key] of want) {
          if (got.get(kid) !== key) throw new Error(`KID ${kid}: ${got.has(kid) ? 'another key' : 'no key'}`)
        }
        console.log(`ok    ${what}: ${want.size} keys as the asset was encrypted with`)
        passed++
      } catch (error) {
        console.log(`FAIL  ${what}: ${error.message}`)
        failed++
      }
    }
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
