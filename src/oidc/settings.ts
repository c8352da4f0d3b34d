import { z } from 'zod'
import { isCidr } from './addresses.ts'

const listOf = (isGood: (word: string) => boolean, what: string) =>
  z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
    )
    .refine((words) => words.every(isGood), `a comma-separated list of ${what}`)

/** Which identity providers this installation trusts beyond the public ones: the same for every operator and gateway of it. */
export const oidcSettings = {
  oidcTrustedIssuers: listOf(isIssuer, 'issuers, each as the provider writes it, such as https://idp.internal:8443/realms/a').describe(
    'Comma-separated issuers that may be on private addresses and other ports than 443, as https://idp.internal:8443/realms/a.',
  ),
  oidcTrustedCidrs: listOf(isCidr, 'networks, such as 10.1.0.0/16 or fd00::/8').describe(
    'Comma-separated networks beside the public internet in which any issuer may be (port 443), as 10.1.0.0/16.',
  ),
  oidcCaFile: z
    .string()
    .optional()
    .describe('PEM file of authorities that sign certificates of identity providers, beside the public ones.'),
}

export interface OidcSettings {
  oidcTrustedIssuers: readonly string[]
  oidcTrustedCidrs: readonly string[]
  oidcCaFile?: string | undefined
}

function isIssuer(text: string): boolean {
  const url = URL.parse(text)
  return url?.protocol === 'https:' && !/[?#@\s]/.test(text)
}
