import type { Layer } from './layer.ts'

/** What a container of the image is started with, in the words of the OCI image specification. */
export interface ImageConfig {
  User?: string
  Env?: string[]
  Entrypoint?: string[]
  Cmd?: string[]
  WorkingDir?: string
  ExposedPorts?: Record<string, object>
  Volumes?: Record<string, object>
  Labels?: Record<string, string>
  StopSignal?: string
}

export interface Image {
  /** From the lowest. */
  layers: Layer[]
  config: ImageConfig
}

export const variablesOf = (config: ImageConfig): Record<string, string> =>
  Object.fromEntries((config.Env ?? []).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
