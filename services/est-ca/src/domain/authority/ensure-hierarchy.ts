import { newEvent, PLATFORM_ACCOUNT } from '@signet/contracts';
import {
  type Certificate,
  createTemplate,
  exportSpki,
  issue,
  issueRoot,
  NO_END,
  parseCertificatePem,
  prepare,
  type Signer,
} from '@signet/pki';
import type { Collection } from '@signet/store';
import { StoreError } from '@signet/store';
import { type AuthorityDocument, authorityFacts } from './authority.ts';
import { AuthorityError } from './authority-error.ts';
import { hierarchy, type PlannedAuthority } from './hierarchy.ts';
import type { AuthorityKeys } from './keys.ts';
import type { HeldAuthority } from './ring.ts';

export type HierarchyDeps = {
  readonly authorities: Pick<Collection<AuthorityDocument, 'kind'>, 'get' | 'insert'>;
  readonly keys: AuthorityKeys;
  readonly trustDomain: string;
  readonly now: () => number;
};

/**
 * The platform's own CAs: found, or made at the first start. Each is a key file and then a document, so that a start
 * that was cut off is taken up where it stopped; replicas that start together end with one PKI, since key file and
 * document each can be made only once.
 * @throws AuthorityError `missing-key`, `foreign-key` where the key folder is not the one that the CAs were made with
 */
export async function ensureHierarchy(deps: HierarchyDeps): Promise<readonly HeldAuthority[]> {
  const held = new Map<string, HeldAuthority>();
  for (const planned of hierarchy) {
    const stored = await deps.authorities.get(planned.id);
    const authority = stored === undefined ? await make(deps, planned, held) : await hold(deps, stored);
    if (authority !== undefined) held.set(planned.id, authority);
  }
  return [...held.values()];
}

async function make(
  deps: HierarchyDeps,
  planned: PlannedAuthority,
  held: ReadonlyMap<string, HeldAuthority>,
): Promise<HeldAuthority> {
  const signer = await deps.keys.openOrCreate(planned.id);
  const certificate = await certify(deps, planned, signer, held.get(planned.parent));
  const now = deps.now();
  const document: AuthorityDocument = {
    id: planned.id,
    kind: planned.kind,
    account: PLATFORM_ACCOUNT,
    state: 'active',
    certificate: certificate.pem(),
    parent: planned.parent,
    subjectKeyId: certificate.subjectKeyId ?? '',
    notAfter: new Date(certificate.notAfter).toISOString(),
    createdAt: new Date(now).toISOString(),
  };
  const created = newEvent('CA_CREATED', {
    account: PLATFORM_ACCOUNT,
    subject: document.id,
    time: now,
    data: authorityFacts(document),
  });
  try {
    await deps.authorities.insert(document, [created]);
    return { document, certificate, signer };
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
    const stored = await deps.authorities.get(planned.id);
    if (stored === undefined) throw error;
    return withKey(stored, signer);
  }
}

/** A root's key may be kept elsewhere once it has signed what is below it. */
async function hold(deps: HierarchyDeps, stored: AuthorityDocument): Promise<HeldAuthority | undefined> {
  const signer = await deps.keys.open(stored.id);
  if (signer !== undefined) return withKey(stored, signer);
  if (stored.kind === 'root') return undefined;
  throw new AuthorityError(
    'missing-key',
    `keys: the key of CA "${stored.id}" is not in this process's key folder`,
  );
}

function withKey(document: AuthorityDocument, signer: Signer): HeldAuthority {
  const certificate = parseCertificatePem(document.certificate);
  if (!signer.publicKey.equals(certificate.publicKey))
    throw new AuthorityError(
      'foreign-key',
      `keys: the key of CA "${document.id}" is not the one in its certificate; all replicas need the same key folder`,
    );
  return { document, certificate, signer };
}

async function certify(
  { trustDomain, now }: HierarchyDeps,
  planned: PlannedAuthority,
  signer: Signer,
  parent: HeldAuthority | undefined,
): Promise<Certificate> {
  const subject = { commonName: planned.commonName, organization: trustDomain };
  const issuedAt = now();
  const notAfter = planned.years === undefined ? NO_END : endAfter(issuedAt, planned.years);
  if (planned.parent === planned.id) return issueRoot({ subject, signer, issuedAt, notAfter, pathLen: 1 });
  if (parent === undefined)
    throw new AuthorityError(
      'missing-key',
      `keys: CA "${planned.id}" is signed by "${planned.parent}", whose key is not here`,
    );
  const template = createTemplate({ kind: 'authority', issuer: parent.certificate, pathLen: 0 });
  const linted = prepare(template, { subject, spkiDer: exportSpki(signer.publicKey), issuedAt, notAfter });
  return issue(linted, parent.signer);
}

function endAfter(time: number, years: number): number {
  const end = new Date(time);
  return end.setUTCFullYear(end.getUTCFullYear() + years);
}
