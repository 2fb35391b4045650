import { createSignedCsr, encodePem, type Name, parseCertificatePem } from '@signet/pki';
import { isDuplicate, StoreError } from '@signet/store';
import {
  type Authorities,
  type AuthorityDocument,
  type AuthorityKeys,
  changedEvent,
  createdEvent,
} from './authority.ts';
import { endStage, isSuccessorDue, issuingNow, type Needs, type NeedsOf } from './authority-ends.ts';
import { certifyBelow, keyTypeLike, newAuthorityDocument } from './certify.ts';
import { activeRoot } from './create-authorities.ts';
import { signingCa } from './ensure-hierarchy.ts';
import type { SigningCa } from './issuer-registry.ts';
import type { AuthorityRequests, RequestDocument } from './request-authority.ts';
import type { PublicUrls } from './revocation-urls.ts';
import { revocationUrlsOf } from './revocation-urls.ts';

const DAY_MS = 86_400_000;

export type SucceedDeps = {
  readonly authorities: Pick<Authorities, 'get' | 'insert' | 'update'>;
  readonly requests: Pick<AuthorityRequests, 'find' | 'insert'>;
  readonly keys: AuthorityKeys;
  readonly urls: PublicUrls;
  readonly needsOf: NeedsOf;
  readonly now: () => number;
  readonly onError: (authorityId: string, error: unknown) => void;
};

/** What keeps a CA from having a successor, by its id: its owner's part. */
export type Hindrances = ReadonlyMap<string, string>;

/**
 * Ensures that no CA ends before another is in its place. Below a root that is kept here the successor is made: a new
 * key under a name of its own, for as long as profiles need. Below a root that its owner keeps, the key is made and its
 * request waits for the owner. The one before stays in force for what it has signed.
 */
export async function succeedAuthorities(
  deps: SucceedDeps,
  documents: readonly AuthorityDocument[],
): Promise<Hindrances> {
  const hindrances = new Map<string, string>();
  for (const document of issuingNow(documents)) {
    if (document.kind === 'root') continue;
    try {
      const needs = await deps.needsOf(document);
      const hindrance = await succeed(deps, document, needs, documents);
      if (hindrance !== undefined) hindrances.set(document.id, hindrance);
    } catch (error) {
      if (error instanceof StoreError && error.code === 'unavailable') throw error;
      deps.onError(document.id, error);
      hindrances.set(document.id, `no successor could be made: ${messageOf(error)}`);
    }
  }
  return hindrances;
}

async function succeed(
  deps: SucceedDeps,
  document: AuthorityDocument,
  needs: Needs,
  documents: readonly AuthorityDocument[],
): Promise<string | undefined> {
  const now = deps.now();
  const own = documents.filter(({ account }) => account === document.account);
  const root = activeRoot(own);
  if (root === undefined) return 'its root is not in force';
  if (root.custody === 'elsewhere') {
    if (endStage(document, needs, now) === undefined) return undefined;
    const request = await orderSuccessor(deps, document, own);
    return `sign request "${request}" with the root "${root.id}" and upload the certificate (signet ca upload)`;
  }
  if (!isSuccessorDue(document, needs, now)) return undefined;
  const signer = await deps.keys.open(root);
  if (signer === undefined) return `the key of its root "${root.id}" is not at hand here`;
  const held = signingCa(root, signer);
  if (endOf(held, needs, now) < Date.parse(document.notAfter) + DAY_MS)
    return `its root "${root.id}" ends at ${root.notAfter}; replace that first (signet ca replace-root)`;
  await makeSuccessor(deps, document, held, needs, own);
  return undefined;
}

/** Long enough that it does not need a successor itself at once, whatever the profiles give. */
function leastDays(needs: Needs): number {
  return 3 * needs.days;
}

function endOf(root: SigningCa, needs: Needs, now: number): number {
  const tenYears = new Date(now).setUTCFullYear(new Date(now).getUTCFullYear() + 10);
  return Math.min(Math.max(tenYears, now + leastDays(needs) * DAY_MS), root.certificate.notAfter);
}

/**
 * Its id is settled by a compare-and-set in the document of the CA before it, which has to be in force still; key and
 * document are made under that id once. So however many replicas make it, and wherever one is cut off, there is one.
 */
async function makeSuccessor(
  deps: SucceedDeps,
  before: AuthorityDocument,
  root: SigningCa,
  needs: Needs,
  own: readonly AuthorityDocument[],
): Promise<void> {
  const id = await settleSuccessor(deps, before, own);
  if (id === undefined) return;
  const { kind, account, custody } = before;
  const certificate = parseCertificatePem(before.certificate);
  const { signer, ...place } = await deps.keys.openOrCreate(id, {
    custody: custody === 'pkcs11' ? 'pkcs11' : 'file',
    type: keyTypeLike(certificate),
  });
  const now = deps.now();
  const made = await certifyBelow(root, {
    kind,
    subject: nameOf(certificate.subject, id),
    signer,
    now,
    revocationUrls: revocationUrlsOf(deps.urls, root.document.id),
    leastDays: leastDays(needs),
  });
  const document = newAuthorityDocument({
    ...{ id, kind, account, certificate: made, parent: root.document.id, place, now },
    by: `succeeds "${before.id}"`,
  });
  await deps.authorities.insert(document, [createdEvent(document)]).catch(unlessThere);
}

/** The id of the successor; undefined where the CA is not in force any more. */
async function settleSuccessor(
  { authorities, now }: SucceedDeps,
  before: AuthorityDocument,
  own: readonly AuthorityDocument[],
): Promise<string | undefined> {
  const wanted = successorId(before, own);
  const kept = await authorities.update(before.id, (current) => {
    if (current.state !== 'active' || current.successor === wanted) return undefined;
    if (current.successor !== before.successor) return undefined;
    const next = { ...current, successor: wanted };
    return { document: next, events: [changedEvent(next, now(), `"${wanted}" is made to succeed it`)] };
  });
  return kept.state === 'active' && kept.successor === wanted ? wanted : undefined;
}

/** `<id>-r<n>`: the one that was settled and is not on record yet, else the next number. */
function successorId({ id, successor }: AuthorityDocument, own: readonly AuthorityDocument[]): string {
  const known = new Set(own.map((document) => document.id));
  if (successor !== undefined && !known.has(successor)) return successor;
  const [, base = id, number = '1'] = /^(.*?)(?:-r(\d+))?$/.exec(id) ?? [];
  let next = Number(number) + 1;
  while (known.has(`${base}-r${next}`)) next++;
  return `${base}-r${next}`;
}

/** The name of the CA before it, with the number of the successor. */
function nameOf(before: Name, id: string): Name {
  const suffix = ` ${id.split('-').at(-1)}`;
  const base = (before.commonName ?? id).replace(/ r\d+$/, '');
  return { ...before, commonName: base.slice(0, 64 - suffix.length) + suffix };
}

/** The id of the request that waits for the owner of the root: one of the kind that is open, or a new one. */
async function orderSuccessor(
  deps: SucceedDeps,
  before: AuthorityDocument,
  own: readonly AuthorityDocument[],
): Promise<string> {
  const { account, kind, custody } = before;
  if (kind === 'root') throw new TypeError('a root is not ordered');
  const { items } = await deps.requests.find({ index: 'account', equals: { account }, limit: 1000 });
  const open = items.find((request) => request.kind === kind);
  if (open !== undefined) return open.id;
  const id = successorId(before, own);
  const certificate = parseCertificatePem(before.certificate);
  const { signer, ...place } = await deps.keys.openOrCreate(id, {
    custody: custody === 'pkcs11' ? 'pkcs11' : 'file',
    type: keyTypeLike(certificate),
  });
  const { der, publicKeyHash } = await createSignedCsr(signer, {
    subject: nameOf(certificate.subject, id),
    authority: { pathLen: 0 },
  });
  const request: RequestDocument = {
    ...{ id, account, kind, ...place, publicKeyHash },
    csr: encodePem('CERTIFICATE REQUEST', der),
    createdAt: new Date(deps.now()).toISOString(),
    createdBy: `succeeds "${before.id}"`,
  };
  await deps.requests.insert(request).catch(unlessThere);
  return id;
}

function unlessThere(error: unknown): void {
  if (!isDuplicate(error)) throw error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
