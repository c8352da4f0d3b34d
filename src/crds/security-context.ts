import { z } from 'zod'

/** Of the images that people have: the starter toolkit's name their user 1000 by name, which Kubernetes cannot tell from root. */
export const DEFAULT_SECURITY_CONTEXT = { runAsUser: 1000, readOnlyRootFilesystem: false }

/** The greatest that Kubernetes takes. */
const GREATEST_ID = 2 ** 31 - 1

export const securityContext = z
  .object({
    runAsUser: z
      .int()
      .min(0)
      .max(GREATEST_ID)
      .default(1000)
      .describe(
        'User id of the agent, whatever its image says. 0 is root, still without capabilities; namespaces with Pod Security restricted refuse it.',
      ),
    runAsGroup: z.int().min(0).max(GREATEST_ID).optional().describe("Primary group id; by default the user's, of the image."),
    fsGroup: z.int().min(0).max(GREATEST_ID).optional().describe('Group that volumes belong to.'),
    readOnlyRootFilesystem: z
      .boolean()
      .default(false)
      .describe('The agent writes to its volumes only; add an emptyDir at /tmp, if it needs one.'),
  })
  .default(DEFAULT_SECURITY_CONTEXT)
  .describe('As whom the agent runs. No privileges, no capabilities, seccomp RuntimeDefault: always.')

export type SecurityContext = z.output<typeof securityContext>
