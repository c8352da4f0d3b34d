/**
 * A registry on the node's own loopback, where containerd speaks plain HTTP: it knows no image, is private, refuses, or has
 * one for another processor, by the name of the repository.
 */
import { createHash } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const [port = ''] = process.argv.slice(2)

const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
const described = (mediaType: string, text: string): object => ({ mediaType, digest: digestOf(text), size: text.length })

const other = process.arch === 'arm64' ? 'amd64' : 'arm64'
const config = JSON.stringify({ architecture: other, os: 'linux', rootfs: { type: 'layers', diff_ids: [] }, config: { Cmd: ['/agent'] } })
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: MANIFEST,
  config: described('application/vnd.oci.image.config.v1+json', config),
  layers: [],
})
const index = JSON.stringify({
  schemaVersion: 2,
  mediaType: INDEX,
  manifests: [{ ...described(MANIFEST, manifest), platform: { architecture: other, os: 'linux' } }],
})
const kept = new Map([
  [digestOf(config), { text: config, type: 'application/octet-stream' }],
  [digestOf(manifest), { text: manifest, type: MANIFEST }],
  [digestOf(index), { text: index, type: INDEX }],
])

createServer((request, response) => {
  const [, repository, reference] = /^\/v2\/([a-z-]+)\/(?:manifests|blobs)\/([^?]+)/.exec(request.url ?? '') ?? []
  const hasBody = request.method !== 'HEAD'
  switch (repository) {
    case 'private':
      response.setHeader('www-authenticate', 'Basic realm="carrel-test"')
      return refuse(response, 401, 'UNAUTHORIZED', hasBody)
    case 'denied':
      return refuse(response, 403, 'DENIED', hasBody)
    case 'other-processor': {
      const { text, type } = kept.get(reference ?? '') ?? { text: index, type: INDEX }
      response.writeHead(200, { 'content-type': type, 'content-length': text.length, 'docker-content-digest': digestOf(text) })
      return response.end(hasBody ? text : '')
    }
  }
  return refuse(response, 404, 'MANIFEST_UNKNOWN', hasBody)
}).listen(Number(port), '127.0.0.1')

function refuse(response: ServerResponse, status: number, code: string, hasBody: boolean): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(hasBody ? JSON.stringify({ errors: [{ code, message: 'as asked' }] }) : '')
}
