/** By these names the parts of an installation find each other. */

/** Carrel's own namespace: service accounts, access keys, Leases. */
export const SYSTEM_NAMESPACE = 'carrel-system'
/** On the Lease that each gateway keeps, with the value `gateway`: the reaper closes nothing that one of them may have open (design rule 5). */
export const PART_LABEL = 'carrel.dev/part'
export const GATEWAYS_SELECTOR = `${PART_LABEL}=gateway`
/** Type of the Secrets that map an access key to a Kubernetes user. They count in Carrel's own namespace only (security rule 1). */
export const ACCESS_KEY_TYPE = 'carrel.dev/access-key'
/** A service-account token that is made for Carrel alone (`kubectl create token NAME --audience carrel`) is good for nothing else when it leaks. */
export const TOKEN_AUDIENCE = 'carrel'
