import type { TestContext } from 'node:test'
import { HelmInstallation } from './helm-installation.ts'
import type { Installed, Tuning } from './installed.ts'
import { LocalInstallation } from './local-installation.ts'
import { PLACE } from './place.ts'

/** Carrel on the place that the runner chose. */
export type Installation = Installed

export const Installation = {
  /** Gone when the test ends. */
  start: (t: TestContext, tuning: Tuning = {}): Promise<Installation> =>
    PLACE === 'cluster' ? HelmInstallation.lend(t) : LocalInstallation.start(t, tuning),
}
