import { z } from 'zod'
import type { CliEnv, Cluster } from './env.ts'
import { CommandFailure } from './failure.ts'

const answerSchema = z.array(
  z.object({
    namespace: z.string(),
    session: z.string(),
    podUID: z.string(),
    state: z.enum(['active', 'idle', 'unknown']),
    idleForMs: z.number().optional(),
    idleEndsInMs: z.number().optional(),
  }),
)
export type SessionUse = z.output<typeof answerSchema>[number]

/** Who is in use, by namespace/name; or why nobody was asked or answered, and what to do. */
export type Uses = { known: ReadonlyMap<string, SessionUse> } | { unknown: string }

/** Hosts that are Amazon's: the variable may have been set for them, and the cluster's token is not theirs to see. */
const AMAZON = /(^|\.)(amazonaws\.com(\.cn)?|api\.aws)$/
export const isAmazons = ({ hostname }: URL): boolean => AMAZON.test(hostname)

/** Asks the gateway which sessions are in use. Never fails a command: what it shows beside this is worth having. */
export async function usesOf(
  { fetchJson, variables }: Pick<CliEnv, 'fetchJson' | 'variables'>,
  { token: own }: Pick<Cluster, 'token'>,
  options: { gateway?: string | undefined; namespace: string | undefined },
): Promise<Uses> {
  const gateway = options.gateway ?? variables['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE']
  if (!gateway)
    return { unknown: 'ACTIVITY is asked of a gateway: name one with --gateway URL (`source .carrel/env` does it after `npm start`)' }
  const refused = refusalOf(gateway, options.gateway === undefined)
  if (refused) return { unknown: `ACTIVITY is not shown: ${refused}` }
  const token = variables['CARREL_GATEWAY_TOKEN'] ?? own
  if (!token) {
    return {
      unknown:
        'ACTIVITY needs a bearer token, and this kubeconfig has none: export CARREL_GATEWAY_TOKEN="$(kubectl create token NAME --audience carrel)" with a service account that may list agentsessions',
    }
  }
  const scope = options.namespace === undefined ? '' : `namespaces/${encodeURIComponent(options.namespace)}/`
  try {
    const answered = answerSchema.safeParse(await fetchJson(`${gateway.replace(/\/+$/, '')}/carrel/v1/${scope}activity`, token))
    if (!answered.success)
      return { unknown: `ACTIVITY is not shown: the gateway at ${gateway} answers in a form that this version does not know` }
    return { known: new Map(answered.data.map((use) => [`${use.namespace}/${use.session}`, use])) }
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error
    return { unknown: `ACTIVITY is not shown: the gateway at ${gateway} ${error.message}` }
  }
}

/** Why the token must not go there. */
function refusalOf(gateway: string, fromVariable: boolean): string | undefined {
  const url = URL.canParse(gateway) ? new URL(gateway) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return `${JSON.stringify(gateway)} is no URL of a gateway`
  const isHere = url.hostname === 'localhost' || url.hostname === '[::1]' || /^127(\.\d+){3}$/.test(url.hostname)
  if (url.protocol === 'http:' && !isHere) return `${gateway} would get your token in clear text: name it with https://`
  if (fromVariable && isAmazons(url)) {
    return 'AWS_ENDPOINT_URL_BEDROCK_AGENTCORE names Amazon, and your cluster token is not for it: name your gateway with --gateway'
  }
  return undefined
}
