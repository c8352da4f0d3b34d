import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Part } from '../control-plane/part.ts'
import type { Claim } from './claim.ts'
import { keepStore, storeOf, takeStore } from './image-store.ts'
import type { Machine } from './machine.ts'

const CNI_PLUGINS = '/usr/lib/cni'
/** How often sizes of containers' files are measured; the kubelet evicts by them. */
const STATS_EVERY_SECONDS = 2

/** containerd with runc, and a network of host-local addresses. */
export class Containers {
  readonly socket: string
  readonly #machine: Machine
  readonly #directory: string
  readonly #command: string[]
  #part: Part | undefined

  /** `shared`: folders of this machine that every container has too, at the same path. */
  constructor(
    machine: Machine,
    claim: Claim,
    { binaries, sandboxImage, shared }: { binaries: string; sandboxImage: string; shared: string[] },
  ) {
    const at = (...path: string[]): string => join(claim.directory, ...path)
    for (const folder of ['cni', 'registries']) mkdirSync(at(folder))
    writeFileSync(at('cni', '10-pods.conflist'), JSON.stringify(network(claim)))
    writeFileSync(at('container.json'), containerWith(shared))
    writeFileSync(at('containerd.toml'), configuration(claim, binaries, sandboxImage))
    this.#machine = machine
    this.#directory = claim.directory
    this.socket = at('containerd.sock')
    this.#command = [join(binaries, 'containerd'), '--config', at('containerd.toml')]
  }

  /** Resolves when it answers and has the images of these archives, unpacked. */
  async start(archives: string[]): Promise<void> {
    const root = join(this.#directory, 'containerd')
    const store = storeOf(archives, this.#command[0]!)
    const isThere = await takeStore(store, root)
    await this.#run()
    if (isThere) return
    for (const archive of archives) await this.import(archive)
    await this.#part!.end('SIGKILL') // its databases hold what it committed
    await keepStore(store, root)
    await this.#run()
  }

  /** An OCI archive, by the names it carries. */
  async import(archive: string): Promise<void> {
    await this.#ctr('images', 'import', archive)
  }

  async name(reference: string, name: string): Promise<void> {
    await this.#ctr('images', 'tag', '--force', reference, name)
  }

  useRegistry(registry: string, url: string): void {
    const folder = join(this.#directory, 'registries', registry)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'hosts.toml'), `server = '${url}'\n`)
  }

  async #run(): Promise<void> {
    const path = `${dirname(this.#command[0]!)}:${process.env['PATH']}:/usr/sbin:/sbin`
    this.#part = this.#machine.part('containerd', ['env', `PATH=${path}`, ...this.#command])
    await this.#part.until('containerd answers', async () => (await this.#ctr('version')).includes('Server'))
  }

  async #ctr(...command: string[]): Promise<string> {
    return this.#machine.run(['ctr', '--address', this.socket, '--namespace', 'k8s.io', ...command])
  }
}

/** What containerd makes every container of, by its own default, and the shared folders. */
function containerWith(shared: string[]): string {
  const spec = JSON.parse(execFileSync('ctr', ['oci', 'spec'], { encoding: 'utf8' })) as { process: object; mounts: object[] }
  const mounts = shared.map((folder) => ({ destination: folder, source: folder, type: 'bind', options: ['rbind', 'rw'] }))
  // An older ctr lets a process open 1,024 files at most; containerd 2 sets no such limit.
  const unlimited = { ...spec.process, rlimits: undefined }
  return JSON.stringify({ ...spec, process: unlimited, mounts: [...spec.mounts, ...mounts] })
}

/** Each pod on a cable of its own to the node: what goes from pod to pod is routed, so Services work between any two. */
function network({ podRange, directory }: Claim): object {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: podRange }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: join(directory, 'addresses'),
        },
      },
    ],
  }
}

function configuration({ directory }: Claim, binaries: string, sandboxImage: string): string {
  return `version = 3
root = '${directory}/containerd'
state = '/run/containerd'
oom_score = 0
[grpc]
  address = '${directory}/containerd.sock'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  stats_collect_period = ${STATS_EVERY_SECONDS}
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '${sandboxImage}'
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '${directory}/registries'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = 'runc'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      runtime_path = '${binaries}/containerd-shim-runc-v2'
      base_runtime_spec = '${directory}/container.json'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['${CNI_PLUGINS}']
    conf_dir = '${directory}/cni'
`
}
