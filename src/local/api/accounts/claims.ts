import { z } from 'zod'

const reference = z.object({ name: z.string(), uid: z.string() })

/** What a service-account token says (KEP-1205): whom it is of, for whom it is, and what it dies with. Times in seconds. */
export const claimsSchema = z.object({
  iss: z.string(),
  sub: z.string(),
  aud: z.array(z.string()),
  exp: z.number(),
  iat: z.number(),
  nbf: z.number(),
  jti: z.string(),
  'kubernetes.io': z.object({
    namespace: z.string(),
    serviceaccount: reference,
    pod: reference.optional(),
    secret: reference.optional(),
    node: z.object({ name: z.string(), uid: z.string().optional() }).optional(),
  }),
})

export type Claims = z.infer<typeof claimsSchema>

/** Who issues the tokens, and for whom they are unless they say it: the real server's own name for itself. */
export const ISSUER = 'https://kubernetes.default.svc'
