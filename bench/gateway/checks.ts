/** What it costs to know who calls: the gateway's own checks, each alone in a loop. */
import { createHash, randomBytes } from 'node:crypto'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { readClaim, verify } from '../../src/gateway/auth/sigv4.ts'
import { Headers } from '../../src/gateway/http/headers-in.ts'
import { openAuthorizers } from '../../src/oidc/open.ts'
import { SigningKeys } from '../../src/sigv4/canonical.ts'
import { signed } from '../../src/sigv4/sign.ts'
import { IdentityProvider } from '../../test/kit/identity-provider.ts'
import { quiet } from '../kube/quiet.ts'
import type { Bench, BenchSettings, Case, Metric, Prepared } from '../runner/bench.ts'
import { payloadOf } from './payload.ts'

const METRICS: readonly Metric[] = [{ name: 'CPU per call', unit: 'µs', better: 'less' }]
const SCOPE = { accountId: '000000000000', region: 'us-east-1' }
const AUDIENCE = 'bench'
/** The clock of CPU time is read between batches. */
const BATCH = 50
/** Of which each is judged for the first time once; the cache forgets them long before they come again. */
const FRESH_TOKENS = 12_000

export const checks: Bench = {
  name: 'gateway/checks',
  about: 'CPU of the checks of one call: a signature over headers and the hash of the body, and a bearer token, new or seen before.',
  metrics: METRICS,
  prepare,
}

async function prepare({ seconds }: BenchSettings): Promise<Prepared> {
  const provider = await IdentityProvider.start()
  const settings = { oidcTrustedIssuers: [provider.issuer], oidcTrustedCidrs: [], oidcCaFile: provider.caFile }
  const oidc = openAuthorizers({ clock: systemClock, random: systemRandom, log: quiet }, settings)
  const customJWT = { discoveryUrl: provider.discoveryUrl, allowedAudience: [AUDIENCE] }
  const judge = async (token: string): Promise<void> => {
    const verdict = await oidc.authorizers.authorize(customJWT, token)
    if (!('allowed' in verdict) || !verdict.allowed) throw new Error(`a good token was refused: ${JSON.stringify(verdict)}`)
  }
  const token = (sub: string): Promise<string> => provider.token({ sub, aud: AUDIENCE }, { expiresInSeconds: 3_600 })
  const known = await token('known')
  const fresh = await Promise.all(Array.from({ length: FRESH_TOKENS }, (_, index) => token(`fresh-${index}`)))
  let next = 0
  const caseOf = (name: string, role: Case['role'], api: string, check: () => unknown): Case => ({
    name,
    api,
    role,
    measure: async () => ({ sample: { 'CPU per call': await cpuMicroseconds(check, seconds) } }),
  })
  return {
    cases: [
      caseOf('SigV4, 1 KiB', 'ours', 'no', signature(payloadOf(1_024))),
      caseOf('SigV4, 64 KiB', 'ours', 'no', signature(payloadOf(65_536))),
      caseOf('SHA-256 of 64 KiB', 'floor', 'no', hashing(65_536)),
      caseOf('JWT, seen before', 'ours', 'no', () => judge(known)),
      caseOf('JWT (ES256), new', 'ours', 'no', () => judge(fresh[next++ % fresh.length]!)),
    ],
    notes: [`Each in a loop of its own for ${seconds} s, in one process that does nothing else; user and system time.`],
    async stop() {
      await oidc.close()
      await provider.stop()
    },
  }
}

/** As a call is judged: headers parsed, the claim read, the body hashed, the signature computed and compared. */
function signature(body: string): () => void {
  const key = { accessKeyId: 'CARRELBENCH', secretAccessKey: randomBytes(30).toString('base64url'), user: 'bench', groups: [] }
  const keys = { find: () => key }
  const path = '/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A000000000000%3Aruntime%2Fbench-0123456789/invocations'
  const nowMs = Date.now()
  const all = signed(
    {
      method: 'POST',
      url: new URL(`http://127.0.0.1:8700${path}`),
      headers: {
        'content-type': 'application/json',
        'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id': 'bench-session-0123456789-0123456789',
      },
      body,
    },
    key,
    { region: SCOPE.region, nowMs },
  )
  const raw = Object.entries(all).flat()
  const bytes = Buffer.from(body)
  const signingKeys = new SigningKeys()
  return () => {
    const headers = new Headers(raw)
    const claim = readClaim(headers, '', keys, SCOPE, nowMs)
    const bodySha256 = createHash('sha256').update(bytes).digest('hex')
    verify(claim, { method: 'POST', rawPath: path, rawQuery: '', headers, bodySha256 }, SCOPE, signingKeys)
  }
}

function hashing(size: number): () => void {
  const bytes = randomBytes(size)
  return () => void createHash('sha256').update(bytes).digest('hex')
}

async function cpuMicroseconds(check: () => unknown, seconds: number): Promise<number> {
  for (let warm = 0; warm < BATCH; warm += 1) await check()
  const endAtMs = systemClock.monotonic() + seconds * 1_000
  const before = process.cpuUsage()
  let calls = 0
  while (systemClock.monotonic() < endAtMs) {
    for (let one = 0; one < BATCH; one += 1) await check()
    calls += BATCH
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}
