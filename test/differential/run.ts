/**
 * Adapter: `npm run differential`: compares the embedded API with a real kube-apiserver over many random traces, and ends
 * with 1 when they differ. With the seed and the path that it then prints it plays the shrunk trace again.
 */
import { z } from 'zod'
import { readSettings } from '../../src/env/settings.ts'
import { KUBERNETES_VERSION, prepareControlPlane } from '../../scripts/rings/control-plane.ts'
import { check } from './check.ts'
import { KINDS, type KindName } from './kinds.ts'
import { startSides } from './sides.ts'

const PROGRESS_EVERY = 100
const names = Object.keys(KINDS) as [KindName, ...KindName[]]
const whole = z.coerce.number().int().min(0)

const settings = readSettings(
  {
    name: 'npm run differential --',
    description: 'Compares the embedded API with a real kube-apiserver over random traces of operations.',
  },
  z.object({
    traces: whole.min(1).default(300).describe('How many traces.'),
    seed: whole.default(Date.now() % 2 ** 31).describe('The same seed makes the same traces. Default: another one each time.'),
    path: z.string().min(1).optional().describe('Of a difference that was found with this seed: plays its shrunk trace.'),
    kind: z.enum(names).optional().describe('The only kind to play with. Default: all.'),
    kubernetes: z
      .string()
      .regex(/^\d+\.\d+\.\d+$/, 'a version such as 1.35.4')
      .default(KUBERNETES_VERSION)
      .describe('Version of kube-apiserver.'),
  }),
)

const sides = await startSides(process.env['CARREL_TEST_CONTROL_PLANE'] ?? prepareControlPlane(settings.kubernetes))
try {
  const { traces, seed, path, kind } = settings
  const checked = await check([sides.embedded, sides.real], {
    traces,
    seed,
    ...(path === undefined ? {} : { path }),
    ...(kind === undefined ? {} : { kinds: [kind] }),
    onTrace: (count) => {
      if (count % PROGRESS_EVERY === 0) console.error(`${count} traces`)
    },
  })
  if (checked.differs) process.exitCode = 1
  console.log(
    checked.differs ? checked.report : `no difference in ${checked.traces} traces of ${checked.operations} operations, seed ${seed}`,
  )
} finally {
  await sides.close()
}
