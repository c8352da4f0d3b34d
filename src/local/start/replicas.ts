/** Adapter: several operators and gateways as processes of their own, with Redis between them. */
import { extname, join } from 'node:path'
import type { Env } from '../../env/env.ts'
import { writePrivate, type Home } from '../home.ts'
import { balance } from './balancer.ts'
import type { RunningParts } from './parts.ts'
import { Replica } from './replica.ts'
import type { RunningApi } from './running-api.ts'
import type { LocalSettings } from './settings.ts'

const SOURCES = join(import.meta.dirname, '..', '..')
/** `main.ts` in a checkout, `main.js` in what `npm run build` made. */
const MAIN = `main${extname(import.meta.filename)}`
const DRAIN_SECONDS = 0.5

/** `replicas` of each part. `<home>/replicas.json` says which processes they are and where the gateways listen. */
export async function startReplicas(
  env: Env,
  home: Home,
  settings: LocalSettings & { replicas: number; redis: string },
  api: RunningApi,
): Promise<RunningParts> {
  const operators: Replica[] = []
  const gateways: Replica[] = []
  const noteDown = (): void => {
    const shown = ({ name, pid, port }: Replica): object => ({ name, pid, ...(port === undefined ? {} : { port }) })
    writePrivate(join(home.root, 'replicas.json'), JSON.stringify({ operators: operators.map(shown), gateways: gateways.map(shown) }))
  }
  const front = await balance(settings.port, () => gateways.flatMap(({ port }) => port ?? []))
  const arn = ['--account-id', settings.accountId, '--region', settings.region]
  const environment = environmentOf(settings)
  const { meterUrl, meterSecret } = api.meter
  const metering = { CARREL_METER_URL: meterUrl, CARREL_METER_SECRET: meterSecret }

  function start(part: 'operator' | 'gateway', number: number, flags: string[]): Replica {
    const name = `${part}-${number}`
    return new Replica(
      {
        name,
        module: join(SOURCES, part, MAIN),
        flags: ['--kubeconfig', api.kubeconfigOf(part), ...arn, '--log-level', settings.logLevel, ...flags],
        environment: part === 'operator' ? { ...environment, ...metering } : environment,
        log: join(home.root, 'logs', `${name}.log`),
      },
      env,
      noteDown,
    )
  }
  for (let number = 1; number <= settings.replicas; number += 1) {
    operators.push(start('operator', number, ['--artifacts', 'code', '--session-ttl-seconds', String(settings.sessionTtl)]))
    gateways.push(
      start('gateway', number, [
        '--host',
        '127.0.0.1',
        '--port',
        '0',
        '--hosts',
        ['PORT', front.port].flatMap((port) => [`127.0.0.1:${port}`, `localhost:${port}`]).join(','),
        '--spool-directory',
        home.spool,
        '--proof',
        'none',
        '--drain-seconds',
        String(DRAIN_SECONDS),
      ]),
    )
  }
  noteDown()
  return {
    gatewayUrl: `http://127.0.0.1:${front.port}`,
    ready: Promise.all([...gateways, ...operators].map(({ ready }) => ready)).then(() => undefined),
    async stop() {
      await Promise.all([...gateways, ...operators].map((replica) => replica.stop()))
      await front.close()
    },
  }
}

/** Without this process's own settings; Redis' address, which may hold a password, and the meters' secret are on no command line. */
function environmentOf({ redis, redisCaFile, redisPrefix, ...oidc }: LocalSettings & { redis: string }): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('CARREL_'))
  return {
    ...Object.fromEntries(kept),
    CARREL_REDIS: redis,
    CARREL_REDIS_PREFIX: redisPrefix,
    ...(redisCaFile ? { CARREL_REDIS_CA_FILE: redisCaFile } : {}),
    CARREL_OIDC_TRUSTED_ISSUERS: oidc.oidcTrustedIssuers.join(','),
    CARREL_OIDC_TRUSTED_CIDRS: oidc.oidcTrustedCidrs.join(','),
    ...(oidc.oidcCaFile ? { CARREL_OIDC_CA_FILE: oidc.oidcCaFile } : {}),
  }
}
