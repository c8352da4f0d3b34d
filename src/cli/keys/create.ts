import { KubeClient } from '../../kube/client.ts'
import { SECRETS } from '../../kube/resource.ts'
import type { CliEnv } from '../env.ts'
import { explained } from '../failure.ts'
import { NEEDED, newKey, secretOf, type NewKey } from './key-secret.ts'
import { bindingLines, exportLines } from './paste.ts'

export interface KeyOutput {
  kubeconfig?: string | undefined
  /** `json`: one object; `env`: only the lines for a shell. */
  output: 'text' | 'json' | 'env'
}

/** Makes a key for a Kubernetes user, and shows it once: afterwards only its Secret in the cluster holds it. */
export async function createKey(
  env: CliEnv,
  options: KeyOutput & { user: string; group: readonly string[]; namespace?: string },
): Promise<void> {
  const key = newKey(env.random, { user: options.user, groups: options.group })
  const cluster = env.cluster(options)
  try {
    await new KubeClient(cluster.kubernetes).create(SECRETS, secretOf(key))
  } catch (error) {
    throw explained(error, NEEDED)
  }
  show(env, key, options.output)
  if (options.output !== 'text') return
  env.screen.out(
    [
      `Until a Role says so, ${key.user} may call nothing. For every runtime of one namespace:`,
      '',
      ...bindingLines(key, options.namespace ?? cluster.namespace).map((line) => `  ${line}`),
    ].join('\n'),
  )
}

/** The only time that a key is shown. */
export function show({ screen, variables }: CliEnv, key: NewKey, output: KeyOutput['output']): void {
  const endpoint = variables['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE']
  const lines = exportLines(key, endpoint)
  if (output === 'env') return screen.out(lines.join('\n'))
  if (output === 'json') return screen.out(JSON.stringify({ ...key, ...(endpoint === undefined ? {} : { endpoint }) }, undefined, 2))
  screen.out(
    [
      `Access key ${key.accessKeyId} of ${key.user}. It is shown this once: paste it where it is needed, or keep it.`,
      '',
      ...lines.map((line) => `  ${line}`),
      '',
    ].join('\n'),
  )
}
