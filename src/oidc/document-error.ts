/** Why a document of a provider could not be had: coarse, so that it tells nobody what is behind an address (security rule 9). */
export type DocumentFault =
  | 'NotHttps'
  | 'PortNotAllowed'
  | 'AddressNotAllowed'
  | 'Unreachable'
  | 'BadStatus'
  | 'Redirected'
  | 'TooLarge'
  | 'TooSlow'
  | 'NotJson'
  | 'IssuerMismatch'
  | 'JwksInvalid'

const SAYS: Record<DocumentFault, string> = {
  NotHttps: 'the address is no https URL: name one that is',
  PortNotAllowed: "the port is not 443: an issuer on another one must be among the installation's trusted issuers",
  AddressNotAllowed: "the name leads to an address that is not public: the installation's trusted issuers or CIDRs must name it",
  Unreachable: 'no connection: the name is unknown, nobody listens, or the certificate is not trusted (the CA file of the installation)',
  BadStatus: 'the answer was not 200',
  Redirected: 'the answer was a redirect, which is not followed: name the address that it leads to',
  TooLarge: 'the document is above 256 KiB',
  TooSlow: 'document and key set were not there within 2.5 s',
  NotJson: 'the document is no JSON object',
  IssuerMismatch: 'the document names another issuer than its own address does',
  JwksInvalid: 'the document names no key set, or the key set has no list of keys',
}

export class DocumentError extends Error {
  override readonly name = 'DocumentError'
  readonly code: DocumentFault

  constructor(code: DocumentFault, options?: ErrorOptions) {
    super(SAYS[code], options)
    this.code = code
  }
}
