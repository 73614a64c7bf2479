// Verifies access tokens by discovery, one JSON line in ({"id", "issuer", "audience", "token"}) to one JSON line out
// ({"id", "claims"} or {"id", "error"}), for as long as standard input is open. An argument is the options of
// createRemoteJWKSet.
import { createInterface } from 'node:readline'
import { webcrypto } from 'node:crypto'

globalThis.crypto ??= webcrypto // Node.js 18 hides it; jose wants it
const { createRemoteJWKSet, jwtVerify } = await import('jose')

const options = JSON.parse(process.argv[2] ?? '{}')

// The key set of an issuer, kept between tokens as a service would keep it.
const issuers = new Map()
function keysOf(issuer) {
  if (!issuers.has(issuer)) issuers.set(issuer, discover(issuer))
  return issuers.get(issuer)
}

async function discover(issuer) {
  const answer = await fetch(`${issuer}/.well-known/oauth-authorization-server`)
  if (!answer.ok) throw new Error(`metadata: status ${answer.status}`)
  const metadata = await answer.json()
  if (metadata.issuer !== issuer) throw new Error(`metadata: issuer ${metadata.issuer}`)
  return createRemoteJWKSet(new URL(metadata.jwks_uri), options)
}

async function verify({ id, issuer, audience, token }) {
  try {
    const { payload } = await jwtVerify(token, await keysOf(issuer), {
      issuer, audience, typ: 'at+jwt', requiredClaims: ['sub', 'exp', 'iat', 'jti', 'client_id'],
    })
    return { id, claims: payload }
  } catch (e) {
    return { id, error: e.code ?? e.message }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  verify(JSON.parse(line)).then((answer) => console.log(JSON.stringify(answer)))
}
