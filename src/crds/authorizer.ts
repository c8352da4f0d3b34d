import { z } from 'zod'

const listOf = (length: number, what: string) => z.array(z.string().min(1).max(length)).min(1).max(50).describe(what)

const customClaim = z.object({
  inboundTokenClaimName: z.string().min(1).max(255).describe('Name of the claim.'),
  inboundTokenClaimValueType: z.enum(['STRING', 'STRING_ARRAY']),
  authorizingClaimMatchValue: z.object({
    claimMatchOperator: z
      .enum(['EQUALS', 'CONTAINS', 'CONTAINS_ANY'])
      .describe('EQUALS for a STRING; CONTAINS (one value) and CONTAINS_ANY (a list) for a STRING_ARRAY.'),
    claimMatchValue: z.object({
      matchValueString: z.string().min(1).max(255).optional(),
      matchValueStringList: z.array(z.string().min(1).max(255)).min(1).max(50).optional(),
    }),
  }),
})

const customJWT = z.object({
  discoveryUrl: z
    .string()
    .min(1)
    .max(2048)
    .regex(/^https:\/\/[^?#@\s]+\/\.well-known\/openid-configuration$/)
    .describe('The issuer, then /.well-known/openid-configuration. The document must name that issuer.'),
  allowedAudience: listOf(1024, 'One of these must be in the claim aud.').optional(),
  allowedClients: listOf(255, 'One of these must be the claim client_id (azp and appid, where there is none).').optional(),
  allowedScopes: listOf(255, 'One of these must be in the claim scope (or scp).').optional(),
  customClaims: z.array(customClaim).min(1).max(20).optional().describe('Each must match.'),
})

/** Contract 3.3, in the names of AWS' own API. */
export const authorizer = z
  .object({ customJWT: customJWT.optional().describe('Bearer tokens of an OpenID provider. All conditions that are set must hold.') })
  .describe('Who may call. Without one: identities of the cluster, judged by RBAC.')

export type Authorizer = z.output<typeof authorizer>
export type CustomJWT = z.output<typeof customJWT>
export type CustomClaim = z.output<typeof customClaim>

/** Beside the schema, on AgentRuntime. */
export const authorizerRules = [
  {
    path: 'spec.authorizer',
    cel: 'has(self.customJWT)',
    holds: (value: Authorizer) => value.customJWT !== undefined,
    message: 'name the authorizer: customJWT; without spec.authorizer, RBAC of the cluster decides',
  },
  {
    path: 'spec.authorizer.customJWT',
    cel: 'has(self.allowedAudience) || has(self.allowedClients) || has(self.allowedScopes) || has(self.customClaims)',
    holds: ({ allowedAudience, allowedClients, allowedScopes, customClaims }: CustomJWT) =>
      [allowedAudience, allowedClients, allowedScopes, customClaims].some((condition) => condition !== undefined),
    message:
      'set at least one of allowedAudience, allowedClients, allowedScopes and customClaims: else every token of the provider would do',
  },
  {
    path: 'spec.authorizer.customJWT',
    cel: [
      '!has(self.customClaims) || self.customClaims.all(claim,',
      "claim.inboundTokenClaimValueType == 'STRING' ? claim.authorizingClaimMatchValue.claimMatchOperator == 'EQUALS'",
      ": claim.authorizingClaimMatchValue.claimMatchOperator != 'EQUALS')",
    ].join(' '),
    holds: ({ customClaims = [] }: CustomJWT) => customClaims.every(hasRightOperator),
    message: 'a STRING claim takes EQUALS, a STRING_ARRAY claim CONTAINS or CONTAINS_ANY',
    fieldPath: '.customClaims',
  },
  {
    path: 'spec.authorizer.customJWT',
    cel: [
      '!has(self.customClaims) || self.customClaims.all(claim,',
      "claim.authorizingClaimMatchValue.claimMatchOperator == 'CONTAINS_ANY'",
      '? has(claim.authorizingClaimMatchValue.claimMatchValue.matchValueStringList) && !has(claim.authorizingClaimMatchValue.claimMatchValue.matchValueString)',
      ': has(claim.authorizingClaimMatchValue.claimMatchValue.matchValueString) && !has(claim.authorizingClaimMatchValue.claimMatchValue.matchValueStringList))',
    ].join(' '),
    holds: ({ customClaims = [] }: CustomJWT) => customClaims.every(hasRightValue),
    message: 'CONTAINS_ANY takes matchValueStringList, EQUALS and CONTAINS take matchValueString',
    fieldPath: '.customClaims',
  },
]

function hasRightOperator({ inboundTokenClaimValueType, authorizingClaimMatchValue }: CustomClaim): boolean {
  return (inboundTokenClaimValueType === 'STRING') === (authorizingClaimMatchValue.claimMatchOperator === 'EQUALS')
}

function hasRightValue({ authorizingClaimMatchValue: { claimMatchOperator, claimMatchValue } }: CustomClaim): boolean {
  const { matchValueString, matchValueStringList } = claimMatchValue
  const isList = claimMatchOperator === 'CONTAINS_ANY'
  return (matchValueStringList !== undefined) === isList && (matchValueString !== undefined) === !isList
}
