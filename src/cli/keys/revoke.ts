import { SYSTEM_NAMESPACE } from '../../crds/system.ts'
import { KubeClient } from '../../kube/client.ts'
import { SECRETS } from '../../kube/resource.ts'
import type { CliEnv } from '../env.ts'
import { CommandFailure, explained } from '../failure.ts'
import { NEEDED, findKey } from './key-secret.ts'

/** Deletes a key. One that is not there is a failure: a mistyped id must not look like a revocation. */
export async function revokeKey(
  env: CliEnv,
  accessKeyId: string,
  options: { kubeconfig?: string | undefined; ignoreNotFound: boolean },
): Promise<void> {
  const client = new KubeClient(env.cluster(options).kubernetes)
  try {
    const key = await findKey(client, accessKeyId)
    if (key === undefined) {
      if (options.ignoreNotFound) return env.screen.out(`There is no access key ${accessKeyId}.`)
      throw new CommandFailure(`there is no access key ${accessKeyId} here, so nothing was revoked: \`carrel keys list\` shows them`)
    }
    const { name, uid } = key.secret.metadata
    await client.delete(SECRETS, SYSTEM_NAMESPACE, name, { uid: uid! })
    env.screen.out(
      `Access key ${accessKeyId} of ${key.user} is revoked: calls with it stop within 5 s. Answers that are open go on to their end.`,
    )
  } catch (error) {
    throw explained(error, NEEDED)
  }
}
