import type { KubeObject } from '../../src/kube/objects.ts'
import type { ApiRequest, ApiResponse, Transport } from '../../src/kube/transport.ts'
import { refusal } from './scripted-transport.ts'

/** What a merge patch or a new object of these tests says. */
type Said = Record<string, unknown> & { metadata: { name: string; uid?: string; resourceVersion?: string } }

/** Keeps objects by path, with versions and compare-and-set; `refuseNext` answers the next requests instead. */
export class KeptObjects implements Transport {
  readonly objects = new Map<string, KubeObject>()
  readonly requests: ApiRequest[] = []
  readonly refuseNext: (ApiResponse | Error)[] = []
  #version = 100

  put(path: string, object: KubeObject): KubeObject {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } }
    this.objects.set(path, stored)
    return stored
  }

  async request(request: ApiRequest): Promise<ApiResponse> {
    this.requests.push(request)
    const refused = this.refuseNext.shift()
    if (refused instanceof Error) throw refused
    if (refused) return refused
    const said = structuredClone(request.body) as Said
    if (request.method === 'POST') return this.#answer(this.put(`${request.path}/${said.metadata.name}`, said as unknown as KubeObject))
    const held = this.objects.get(request.path)
    if (held === undefined) return refusal(404, {}, 'NotFound')
    if (request.method === 'PATCH') return this.#patch(request.path, held, said)
    return this.#answer(held)
  }

  #patch(path: string, held: KubeObject, patch: Said): ApiResponse {
    const { uid = held.metadata.uid, resourceVersion = held.metadata.resourceVersion } = patch.metadata
    if (uid !== held.metadata.uid || resourceVersion !== held.metadata.resourceVersion) return refusal(409, {}, 'Conflict')
    return this.#answer(this.put(path, { ...held, ...patch, metadata: { ...held.metadata, ...patch.metadata } }))
  }

  #answer(object: KubeObject): ApiResponse {
    return { status: 200, headers: {}, body: structuredClone(object) }
  }

  watch(): never {
    throw new Error('nobody watches here')
  }
}
