import { SYSTEM_NAMESPACE } from '../../crds/system.ts'
import { rfc3339Seconds } from '../../env/clock.ts'
import { KubeClient } from '../../kube/client.ts'
import { isConflict, isNotFound } from '../../kube/errors.ts'
import type { Secret } from '../../kube/objects.ts'
import { SECRETS } from '../../kube/resource.ts'
import { parseDuration, shownDuration } from '../duration.ts'
import type { CliEnv } from '../env.ts'
import { CommandFailure, explained, misuse } from '../failure.ts'
import { show, type KeyOutput } from './create.ts'
import { NEEDED, endingAt, findKey, newKey, secretNameOf, secretOf, type KnownKey } from './key-secret.ts'

const LONGEST_GRACE_MS = 30 * 86_400_000

/**
 * A new key of the same user and groups; the old one ends after the grace. The new one is there before the old one gets its
 * end, so that at no moment neither works; of two rotations at once, one wins and the other leaves nothing.
 */
export async function rotateKey(env: CliEnv, accessKeyId: string, options: KeyOutput & { grace: string }): Promise<void> {
  const graceMs = parseDuration(options.grace, '--grace')
  if (graceMs > LONGEST_GRACE_MS) throw misuse('--grace is 30d at most: a key that is to live longer need not be rotated yet')
  const client = new KubeClient(env.cluster(options).kubernetes)
  try {
    const old = rotatable(await findKey(client, accessKeyId), accessKeyId)
    const key = newKey(env.random, old)
    const made = await client.create(SECRETS, secretOf(key))
    // Rounded up: a grace of 1h is never a moment less.
    const endsAtMs = Math.ceil((env.clock.now() + graceMs) / 1_000) * 1_000
    const doubt = await endOld(client, { old: old.secret, made, endsAtMs })
    show(env, key, options.output)
    if (doubt !== undefined)
      throw new CommandFailure(
        `the new key is good, but ${accessKeyId} may not have its end (${doubt}): revoke it when all use the new one`,
      )
    const when = graceMs === 0 ? 'stops within 5 s' : `works until ${rfc3339Seconds(endsAtMs)} (${shownDuration(graceMs)})`
    env.screen.note(`The old key ${accessKeyId} ${when}. Then remove it: carrel keys revoke ${accessKeyId}`)
  } catch (error) {
    throw explained(error, NEEDED)
  }
}

function rotatable(old: KnownKey | undefined, accessKeyId: string): KnownKey {
  if (old === undefined) throw new CommandFailure(`there is no access key ${accessKeyId} here: \`carrel keys list\` shows them`)
  const { user, secret, ignored, notAfterMs } = old
  if (ignored !== undefined) throw new CommandFailure(`${accessKeyId} is no usable key (${ignored}): revoke it, and create a new one`)
  if (notAfterMs !== undefined) {
    throw new CommandFailure(
      `${accessKeyId} was rotated before and ends at ${rfc3339Seconds(notAfterMs)}: rotate its successor, or make a new key: carrel keys create --user ${user}`,
    )
  }
  if (secret.metadata.name !== secretNameOf(accessKeyId)) {
    throw new CommandFailure(
      `${accessKeyId} is kept by others, as Secret ${secret.metadata.name}, who would not learn of a new one: create a key for ${user}, then revoke this (\`npm start\` makes itself another)`,
    )
  }
  return old
}

/** Compare-and-set. Answers what is in doubt when nobody knows whether it was carried out; then the new key stays. */
async function endOld(
  client: KubeClient,
  { old, made, endsAtMs }: { old: Secret; made: Secret; endsAtMs: number },
): Promise<string | undefined> {
  try {
    await client.replace(SECRETS, endingAt(old, endsAtMs))
    return undefined
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) return (error as Error).message
    await client.delete(SECRETS, SYSTEM_NAMESPACE, made.metadata.name, { uid: made.metadata.uid! })
    throw new CommandFailure(
      'somebody else has rotated, revoked or changed this key at this moment: nothing was done. Look at it: carrel keys list',
      {
        cause: error,
      },
    )
  }
}
