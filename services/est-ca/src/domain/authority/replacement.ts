import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import type { AuthorityDocument } from './authority.ts';

/** The roots that replace others at this time, of the platform and of an account. */
export function pendingRoots(
  documents: readonly AuthorityDocument[],
  account: string,
): readonly AuthorityDocument[] {
  return documents.filter(
    (document) =>
      (document.account === PLATFORM_ACCOUNT || document.account === account) && isPending(document),
  );
}

export function isPending({ state, replacement }: AuthorityDocument): boolean {
  return state === 'active' && replacement !== undefined && replacement.finishedAt === undefined;
}

/** The two roots of a replacement. Its journal is `replacement` of the new one: begun, cut over, finished. */
export type Roots = { readonly old: AuthorityDocument; readonly next: AuthorityDocument };

/** The replacement that is under way. */
export function findReplacement(existing: readonly AuthorityDocument[]): Roots | undefined {
  return newest(existing.filter(isPending), existing);
}

/** The last replacement, where CAs in force were left below a root that is replaced. */
export function findLeftBehind(existing: readonly AuthorityDocument[], now: number): Roots | undefined {
  const finished = existing.filter(
    ({ state, replacement }) => state === 'active' && replacement?.finishedAt !== undefined,
  );
  const roots = newest(finished, existing);
  return roots !== undefined && belowOld(roots, existing, now).some(isActive) ? roots : undefined;
}

/** Whether the cut-over was decided: whoever takes the replacement up goes through with it. */
export function isCutOver({ next }: Roots): boolean {
  return next.replacement?.cutOverAt !== undefined || next.replacement?.finishedAt !== undefined;
}

/**
 * CAs below the old root or one that it had replaced, unless revoked or at their end. One below a root that was revoked
 * went out of force with it.
 */
export function belowOld(
  { old }: Roots,
  existing: readonly AuthorityDocument[],
  now: number,
): readonly AuthorityDocument[] {
  const line = lineOf(old, existing);
  return existing.filter(
    ({ kind, parent, state, notAfter }) =>
      kind !== 'root' && line.has(parent) && state !== 'revoked' && Date.parse(notAfter) > now,
  );
}

/** Those that the new root has not certified: the cut-over would put them out of force. */
export function waitingBelow(
  roots: Roots,
  existing: readonly AuthorityDocument[],
  now: number,
): readonly AuthorityDocument[] {
  return belowOld(roots, existing, now).filter((document) => !isCertifiedBy(document, roots.next));
}

/** Whether the certificate that waits for the cut-over is by this root, and not by one that came to nothing. */
export function isCertifiedBy({ nextCertificate }: AuthorityDocument, root: AuthorityDocument): boolean {
  if (nextCertificate === undefined) return false;
  return parseCertificatePem(nextCertificate).authorityKeyId === root.subjectKeyId;
}

function newest(roots: readonly AuthorityDocument[], existing: readonly AuthorityDocument[]) {
  const next = roots.toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1)).at(-1);
  const old = existing.find(({ id }) => id === next?.replacement?.replaces);
  return next === undefined || old === undefined ? undefined : { old, next };
}

/** Ids of a root and of those that it replaced, one after another, up to one that is revoked. */
function lineOf(old: AuthorityDocument, existing: readonly AuthorityDocument[]): ReadonlySet<string> {
  const line = new Set<string>();
  for (let root: AuthorityDocument | undefined = old; root !== undefined && !line.has(root.id); ) {
    line.add(root.id);
    const before: string | undefined = root.replacement?.replaces;
    root = existing.find(({ id, state }) => id === before && state !== 'revoked');
  }
  return line;
}

function isActive({ state }: AuthorityDocument): boolean {
  return state === 'active';
}
