/** By these names the parts of an installation find each other. */

/** Carrel's own namespace: service accounts, access keys, Leases. */
export const SYSTEM_NAMESPACE = 'carrel-system'
/** On the Lease that each gateway keeps, with the value `gateway`: the reaper closes nothing that one of them may have open (design rule 5). */
export const PART_LABEL = 'carrel.dev/part'
export const GATEWAYS_SELECTOR = `${PART_LABEL}=gateway`
