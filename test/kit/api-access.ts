import { readFileSync } from 'node:fs'
import { Agent, request } from 'undici'
import { parse } from 'yaml'

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[]
  users: { user: { token: string } | { tokenFile: string } }[]
}

/** A Kubernetes API server over the wire, with the credentials of a kubeconfig. */
export class ApiAccess {
  readonly server: string
  readonly token: string
  readonly ca: string
  readonly #agent: Agent

  constructor(kubeconfig: string) {
    const { clusters, users } = parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig
    this.server = clusters[0]!.cluster.server
    const { user } = users[0]!
    this.token = 'token' in user ? user.token : readFileSync(user.tokenFile, 'utf8').trim()
    this.ca = Buffer.from(clusters[0]!.cluster['certificate-authority-data'], 'base64').toString('utf8')
    this.#agent = new Agent({ connect: { ca: this.ca } })
  }

  async call<Body>(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<{ status: number; body: Body; headers: Record<string, unknown> }> {
    const response = await request(`${this.server}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: {
        authorization: `Bearer ${this.token}`,
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.body.text()
    const isJson = String(response.headers['content-type']).includes('json')
    return { status: response.statusCode, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as Body }
  }

  /** `<plural> <namespace>/<name>` of every object of every kind that is kept, but those of `except`, in order. */
  async everyObject(except: string[]): Promise<string[]> {
    const groups = ['/api/v1', '/apis/apps/v1', '/apis/carrel.dev/v1alpha1', '/apis/coordination.k8s.io/v1']
    const found: string[] = []
    for (const group of groups) {
      const { body } = await this.call<{ resources: { name: string; verbs: string[] }[] }>('GET', group)
      const listed = body.resources.filter(
        ({ name: plural, verbs }) => verbs.includes('list') && !plural.includes('/') && !except.includes(plural),
      )
      for (const { name } of listed) {
        const list = await this.call<{ items: { metadata: { namespace?: string; name: string } }[] }>('GET', `${group}/${name}`)
        for (const { metadata } of list.body.items) found.push(`${name} ${metadata.namespace ?? ''}/${metadata.name}`)
      }
    }
    return found.filter((object) => !object.startsWith('componentstatuses ')).toSorted()
  }

  close(): Promise<void> {
    return this.#agent.destroy()
  }
}
