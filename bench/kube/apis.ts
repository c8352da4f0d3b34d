/** Adapter: starts the API servers that a bench runs on. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ControlPlane } from '../../test/control-plane/control-plane.ts'
import type { ApiName } from '../runner/bench.ts'
import { Child } from '../runner/child.ts'

/** A running API server, with Carrel's kinds. */
export interface BenchApi {
  name: ApiName
  /** Path of a kubeconfig of one who may do everything. */
  kubeconfig: string
  stop(): Promise<void>
}

const START_WITHIN_MS = 60_000

export function openApi(name: ApiName): Promise<BenchApi> {
  return name === 'embedded' ? embeddedApi() : realApi()
}

async function embeddedApi(): Promise<BenchApi> {
  const directory = mkdtempSync(join(tmpdir(), 'carrel-bench-'))
  const kubeconfig = join(directory, 'kubeconfig')
  const child = new Child(join(import.meta.dirname, 'embedded-api.ts'), [kubeconfig])
  const stop = async (): Promise<void> => {
    await child.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await child.hear('ready', START_WITHIN_MS)
    return { name: 'embedded', kubeconfig, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function realApi(): Promise<BenchApi> {
  const plane = await ControlPlane.start()
  return { name: 'real', kubeconfig: plane.kubeconfig, stop: () => plane.stop() }
}
