/** Adapter: the floor: pages and watch lines by undici, parsed and dropped. Less than this nobody can do who reads JSON. */
import { Agent, request } from 'undici'
import { AGENT_SESSIONS, SESSION_UID_LABEL } from '../../../src/crds/agent-session.ts'
import { loadCluster } from '../../../src/kube/credentials.ts'
import { PODS, pathOf } from '../../../src/kube/resource.ts'
import type { Follower } from './follower.ts'

const PAGE_SIZE = 500

interface Page {
  metadata: { resourceVersion: string; continue?: string }
  items: unknown[]
}

export const raw: Follower = {
  async start(kubeconfig, onChange) {
    const cluster = loadCluster({ kubeconfig })
    const dispatcher = new Agent({ connect: { ca: cluster.ca }, bodyTimeout: 0 })
    const options = { dispatcher, headers: { accept: 'application/json', authorization: `Bearer ${cluster.token?.()}` } }
    let held = 0

    async function list(path: string, selector: Record<string, string>): Promise<string> {
      let next: string | undefined
      for (;;) {
        const query = new URLSearchParams({ ...selector, limit: String(PAGE_SIZE), ...(next ? { continue: next } : {}) })
        const { body } = await request(`${cluster.server}${path}?${query.toString()}`, options)
        const page = JSON.parse(await body.text()) as Page
        held += page.items.length
        next = page.metadata.continue
        if (!next) return page.metadata.resourceVersion
      }
    }

    async function watch(path: string, selector: Record<string, string>, resourceVersion: string): Promise<void> {
      const query = new URLSearchParams({ ...selector, watch: 'true', resourceVersion })
      const { body } = await request(`${cluster.server}${path}?${query.toString()}`, options)
      const decoder = new TextDecoder()
      let rest = ''
      for await (const chunk of body) {
        const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
        rest = lines.pop()!
        for (const line of lines) {
          JSON.parse(line)
          onChange()
        }
      }
    }

    const collections: { path: string; selector: Record<string, string> }[] = [
      { path: pathOf(AGENT_SESSIONS), selector: {} },
      { path: pathOf(PODS), selector: { labelSelector: SESSION_UID_LABEL } },
    ]
    const listed = await Promise.all(collections.map(({ path, selector }) => list(path, selector)))
    for (const [index, { path, selector }] of collections.entries()) void watch(path, selector, listed[index]!)
    return () => held
  },
}
