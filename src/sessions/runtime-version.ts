/** The fields by which a ControllerRevision is judged. */
interface Revision {
  metadata: { name: string; namespace?: string; ownerReferences?: { uid: string; controller?: boolean }[] }
  revision: number
}

interface Runtime {
  metadata: { name: string; namespace?: string; uid?: string }
}

/** Of the ControllerRevision that is this version of the runtime. It is the lock: nobody can mint the same number twice. */
export function versionName(runtimeName: string, version: number): string {
  return `${runtimeName}-v${version}`
}

/**
 * Whether the revision is a version of this very runtime: under its name, in its namespace, controlled by its UID. What an
 * earlier runtime of the name left, or what another claims for it, is none.
 */
export function isVersionOf({ metadata, revision }: Revision, runtime: Runtime): boolean {
  const { name, namespace, uid } = runtime.metadata
  if (metadata.name !== versionName(name, revision) || metadata.namespace !== namespace || uid === undefined) return false
  return metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid) ?? false
}
