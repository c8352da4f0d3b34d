import { createHash } from 'node:crypto'
import { ALGORITHM, canonicalHeader, signatureOf, signingKey } from './canonical.ts'

export interface SigningKey {
  accessKeyId: string
  secretAccessKey: string
}

/** The headers of the request, signed as an AWS SDK signs them: for `carrel invoke`, and for the first call of `npm start`. */
export function signed(
  request: { method: string; url: URL; headers: Record<string, string>; body: Uint8Array | string },
  key: SigningKey,
  scope: { region: string; nowMs: number },
): Record<string, string> {
  const amzDate = new Date(scope.nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
  const payloadHash = createHash('sha256').update(request.body).digest('hex')
  const all: Record<string, string> = {
    ...request.headers,
    host: request.url.host,
    'x-amz-date': amzDate,
    'x-amz-content-sha256': payloadHash,
  }
  const headers = new Map(Object.entries(all).map(([name, value]) => [name.toLowerCase(), canonicalHeader([value])]))
  const { pathname: rawPath, search } = request.url
  const credential = { date: amzDate.slice(0, 8), region: scope.region, service: 'bedrock-agentcore' }
  const parts = { method: request.method, rawPath, rawQuery: search.slice(1), headers, payloadHash }
  const signature = signatureOf(parts, signingKey(key.secretAccessKey, credential), amzDate, credential)
  const scopeText = `${key.accessKeyId}/${credential.date}/${credential.region}/${credential.service}/aws4_request`
  return {
    ...all,
    authorization: `${ALGORITHM} Credential=${scopeText}, SignedHeaders=${[...headers.keys()].toSorted().join(';')}, Signature=${signature}`,
  }
}
