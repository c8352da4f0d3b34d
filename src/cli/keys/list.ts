import { rfc3339Seconds } from '../../env/clock.ts'
import { KubeClient } from '../../kube/client.ts'
import { shownDuration } from '../duration.ts'
import type { CliEnv } from '../env.ts'
import { explained } from '../failure.ts'
import { table, type Column } from '../table.ts'
import { NEEDED, allKeys, type KnownKey } from './key-secret.ts'

type State = 'Valid' | 'Ending' | 'Ended' | 'Ignored'

/** Every key, and never a secret. */
export async function listKeys(env: CliEnv, options: { kubeconfig?: string | undefined; output: 'table' | 'json' }): Promise<void> {
  const { screen, clock } = env
  let keys: KnownKey[]
  try {
    keys = await allKeys(new KubeClient(env.cluster(options).kubernetes))
  } catch (error) {
    throw explained(error, NEEDED)
  }
  const nowMs = clock.now()
  if (options.output === 'json')
    return screen.out(
      JSON.stringify(
        keys.map((key) => told(key, nowMs)),
        undefined,
        2,
      ),
    )
  if (keys.length === 0) return screen.note('There are no access keys. Make one: carrel keys create --user NAME')
  screen.out(table(columns(nowMs), keys, { colour: screen.colour }).join('\n'))
}

function columns(nowMs: number): Column<KnownKey>[] {
  return [
    { title: 'KEY', cell: ({ accessKeyId, secret }) => accessKeyId || `(${secret.metadata.name})` },
    { title: 'USER', cell: ({ user }) => user },
    { title: 'GROUPS', cell: ({ groups }) => groups.join(',') },
    {
      title: 'STATE',
      cell: (key) => (key.ignored === undefined ? stateOf(key, nowMs) : `Ignored: ${key.ignored}`),
      tone: (key) => ({ Valid: undefined, Ending: 'faint', Ended: 'bad', Ignored: 'bad' } as const)[stateOf(key, nowMs)],
    },
    { title: 'AGE', cell: ({ createdAtMs }) => (createdAtMs === undefined ? '' : shownDuration(nowMs - createdAtMs)) },
    { title: 'ENDS', cell: ({ notAfterMs }) => endsOf(notAfterMs, nowMs) },
  ]
}

function endsOf(notAfterMs: number | undefined, nowMs: number): string {
  if (notAfterMs === undefined) return 'never'
  return notAfterMs > nowMs ? `in ${shownDuration(notAfterMs - nowMs)}` : `${shownDuration(nowMs - notAfterMs)} ago`
}

function stateOf({ ignored, notAfterMs }: KnownKey, nowMs: number): State {
  if (ignored !== undefined) return 'Ignored'
  if (notAfterMs === undefined) return 'Valid'
  return notAfterMs > nowMs ? 'Ending' : 'Ended'
}

function told(key: KnownKey, nowMs: number): object {
  const { accessKeyId, user, groups, createdAtMs, notAfterMs, ignored, secret } = key
  const time = (ms: number | undefined): string | null => (ms === undefined ? null : rfc3339Seconds(ms))
  return {
    accessKeyId,
    user,
    groups,
    state: stateOf(key, nowMs),
    createdAt: time(createdAtMs),
    notAfter: time(notAfterMs),
    ...(ignored === undefined ? {} : { ignoredBecause: ignored }),
    secret: secret.metadata.name,
  }
}
