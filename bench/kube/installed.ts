/** Adapter: a whole installation that a bench can drive, and whose API server says what was asked of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { ControlPlane, type AuditLine } from '../../test/control-plane/control-plane.ts'
import { LocalInstallation, type Surroundings } from '../../test/kit/local-installation.ts'
import type { RawGateway } from '../../test/kit/raw-gateway.ts'
import type { ApiName } from '../runner/bench.ts'

export interface Installed {
  /** Path of an administrator's kubeconfig. */
  kubeconfig: string
  gateway: RawGateway
  /** Applies the manifest and waits until it can be called; answers its ARN. */
  apply(manifest: AgentRuntime): Promise<string>
  /** So far, in the order of completion. */
  audit(): AuditLine[]
  stop(): Promise<void>
}

/** Ended sessions are removed after this long, so that their end is seen whole. */
const SESSION_TTL_SECONDS = 1

export function openInstallation(api: ApiName): Promise<Installed> {
  return api === 'embedded' ? onEmbedded() : onReal()
}

async function onEmbedded(): Promise<Installed> {
  const started = await launched({})
  return drivenBy(started, join(started.installation.home, 'kubeconfig'), () => started.stop())
}

/** On a real control plane the same installation joins it, and its agents are processes of this machine too. */
async function onReal(): Promise<Installed> {
  const plane = await ControlPlane.start()
  try {
    const lent = { plane, audit: () => plane.audit(), giveBack: async () => {} }
    const started = await launched({ plane: lent })
    return drivenBy(started, plane.kubeconfig, async () => {
      await started.stop()
      await plane.stop()
    })
  } catch (error) {
    await plane.stop()
    throw error
  }
}

interface Launched {
  installation: LocalInstallation
  stop(): Promise<void>
}

async function launched(surroundings: Surroundings): Promise<Launched> {
  const home = mkdtempSync(join(tmpdir(), 'carrel-bench-home-'))
  const remove = (): void => rmSync(home, { recursive: true, force: true })
  try {
    const installation = await LocalInstallation.launch({ home, args: ['--session-ttl', String(SESSION_TTL_SECONDS)], surroundings })
    const stop = async (): Promise<void> => {
      await installation.stop()
      remove()
    }
    return { installation, stop }
  } catch (error) {
    remove()
    throw error
  }
}

function drivenBy({ installation }: Launched, kubeconfig: string, stop: () => Promise<void>): Installed {
  return {
    kubeconfig,
    gateway: installation.gateway,
    apply: (manifest) => installation.apply(manifest),
    audit: () => installation.audit(),
    stop,
  }
}
