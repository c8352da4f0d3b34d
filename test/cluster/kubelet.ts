import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Part } from '../control-plane/part.ts'
import type { Claim } from './claim.ts'
import type { Machine } from './machine.ts'

export const NODE_NAME = 'node-1'
export const DNS_DOMAIN = 'cluster.local'

export interface KubeletSettings {
  binary: string
  kubeconfig: string
  containerSocket: string
  clientCaFile: string
  maxPods: number
}

/** The kubelet, which can be stopped and started again; containers go on without it. */
export class Kubelet {
  readonly #machine: Machine
  readonly #command: string[]
  #part: Part | undefined

  constructor(machine: Machine, claim: Claim, settings: KubeletSettings) {
    this.#machine = machine
    const file = join(claim.directory, 'kubelet.json')
    mkdirSync(join(claim.directory, 'kubelet'), { recursive: true })
    writeFileSync(join(claim.directory, 'resolv.conf'), '')
    writeFileSync(file, JSON.stringify(configuration(claim, settings)))
    this.#command = [
      settings.binary,
      `--config=${file}`,
      `--kubeconfig=${settings.kubeconfig}`,
      `--root-dir=${join(claim.directory, 'kubelet')}`,
      `--cert-dir=${join(claim.directory, 'kubelet', 'certificates')}`,
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${claim.nodeAddress}`,
    ]
  }

  start(): void {
    this.#part ??= this.#machine.part('kubelet', this.#command)
  }

  async until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    await this.#part!.until(what, isSo)
  }

  async stop(): Promise<void> {
    await this.#part?.end('SIGKILL')
    this.#part = undefined
  }
}

function configuration(claim: Claim, settings: KubeletSettings): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: claim.nodeAddress,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: settings.clientCaFile } },
    authorization: { mode: 'Webhook' },
    readOnlyPort: 0,
    healthzPort: 0,
    containerRuntimeEndpoint: `unix://${settings.containerSocket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${claim.name}`,
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    clusterDNS: [claim.nodeAddress],
    clusterDomain: DNS_DOMAIN,
    resolvConf: join(claim.directory, 'resolv.conf'),
    podLogsDir: join(claim.directory, 'pods'),
    maxPods: settings.maxPods,
    // The machine's disk is not the node's own: only what a pod itself may use is watched, which needs fresh figures.
    evictionHard: {},
    imageGCHighThresholdPercent: 100,
    volumeStatsAggPeriod: '2s',
    nodeStatusUpdateFrequency: '2s',
    nodeStatusReportFrequency: '30s',
    nodeLeaseDurationSeconds: 8,
    // Any number of pods may start at once; the default holds tests of bursts back.
    registryPullQPS: 0,
    serializeImagePulls: false,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
    volumePluginDir: join(claim.directory, 'kubelet', 'plugins-exec'),
    logging: { verbosity: 1 },
  }
}
