import {
  newEvent,
  RevocationReason,
  type RootCrl,
  type RootCrlRequest,
  type SignetEvent,
  Time,
} from '@signet/contracts';
import {
  type Certificate,
  type Crl,
  type CrlEntry,
  decodeBase64,
  decodePem,
  PkiError,
  parseCertificatePem,
  parseCrl,
  verifyCrlSignature,
} from '@signet/pki';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import { type Authorities, type AuthorityDocument, AuthorityError } from '../authority/authority.ts';
import { authoritiesOf, type CertifiedAuthority, certifiedBy } from '../authority/chains.ts';

/**
 * A CRL that the keeper of a root signed and uploaded. Its id ends with how many were uploaded before it, so that of two
 * uploads at once one is made after the other, and held against it.
 */
export const UploadedCrl = z.object({
  /** `<root>/<step in six digits>`. */
  id: z.string(),
  authorityId: z.string(),
  step: z.number().int().min(1),
  number: z.number().int().min(0),
  thisUpdate: Time,
  nextUpdate: Time,
  entries: z.number().int(),
  /** Base64. */
  der: z.string(),
  uploadedAt: Time,
  uploadedBy: z.string(),
});
export type UploadedCrl = z.infer<typeof UploadedCrl>;

export type UploadedCrls = Collection<UploadedCrl, never>;
export const uploadedCrls: CollectionSpec<UploadedCrl, never> = {
  name: 'est-ca.uploaded-crls',
  schema: UploadedCrl,
  indexes: {},
};

export function uploadedCrlId(authorityId: string, step: number): string {
  return `${authorityId}/${String(step).padStart(6, '0')}`;
}

/** The one that is served. */
export async function latestUpload(
  uploads: Pick<UploadedCrls, 'find'>,
  authorityId: string,
): Promise<UploadedCrl | undefined> {
  const { items } = await uploads.find({ prefix: `${authorityId}/`, descending: true, limit: 1 });
  return items[0];
}

export type RootCrlDeps = {
  readonly authorities: Pick<Authorities, 'find'>;
  readonly uploads: Pick<UploadedCrls, 'find' | 'insert' | 'remove'>;
  readonly now: () => number;
};

type Which = { readonly account: string; readonly authorityId: string };

/** How far ahead the clock of whoever signed may be. */
const SKEW_MS = 300_000;

/**
 * What the next CRL of a root has to list, and what the one that is served says, for a root whose key its account keeps.
 * @throws AuthorityError `unknown-authority`, `bad-crl` for a root whose CRLs Signet signs itself
 */
export async function describeRootCrl(
  deps: RootCrlDeps,
  which: Which,
): Promise<{ readonly request: RootCrlRequest; readonly current?: RootCrl }> {
  const { root, certified } = await readRoot(deps, which);
  const before = await latestUpload(deps.uploads, root.id);
  const now = deps.now();
  const revoked = mustList(certified, now);
  const kept = listedBefore(before).filter(
    ({ serialNumber }) =>
      !revoked.some((one) => one.serialNumber === serialNumber) && !hasEnded(certified, serialNumber, now),
  );
  const entries = [
    ...kept.map(({ serialNumber, revokedAt, reason }) => ({ serialNumber, since: revokedAt, reason })),
    ...revoked,
  ].map(({ since, serialNumber, ...rest }) => ({
    serialNumber,
    revokedAt: new Date(since).toISOString(),
    ...('authorityId' in rest ? { authorityId: rest.authorityId } : {}),
    ...knownReason(rest.reason),
  }));
  const number = (before?.number ?? 0) + 1;
  const request = { authorityId: root.id, certificate: root.certificate, number, entries };
  return before === undefined ? { request } : { request, current: describeUpload(before) };
}

/**
 * Takes the CRL that a root signed offline.
 * @throws AuthorityError `unknown-authority`, `bad-crl`, `crl-number`, `crl-lists-less`
 */
export async function uploadRootCrl(
  deps: RootCrlDeps,
  request: Which & { readonly crl: string; readonly by: string },
): Promise<UploadedCrl> {
  const { root, certified } = await readRoot(deps, request);
  const der = readDer(request.crl);
  const before = await latestUpload(deps.uploads, root.id);
  if (before !== undefined && before.der === base64(der)) return before;
  const crl = readCrl(der, parseCertificatePem(root.certificate), deps.now());
  checkNumber(crl, before);
  checkCoverage(crl, { certified, before, now: deps.now() });
  const document: UploadedCrl = {
    id: uploadedCrlId(root.id, (before?.step ?? 0) + 1),
    authorityId: root.id,
    step: (before?.step ?? 0) + 1,
    number: Number(crl.number),
    thisUpdate: new Date(crl.thisUpdate).toISOString(),
    nextUpdate: new Date(crl.nextUpdate).toISOString(),
    entries: crl.entries.length,
    der: base64(der),
    uploadedAt: new Date(deps.now()).toISOString(),
    uploadedBy: request.by,
  };
  try {
    await deps.uploads.insert(document, [publishedEvent(root, document)]);
  } catch (cause) {
    if (!isDuplicate(cause)) throw cause;
    throw new AuthorityError(
      'crl-number',
      'crl: another one was uploaded at this moment; look, and sign anew',
      {
        cause,
      },
    );
  }
  if (before !== undefined) await deps.uploads.remove(before.id);
  return document;
}

export function describeUpload(upload: UploadedCrl): RootCrl {
  const { number, thisUpdate, nextUpdate, entries, uploadedAt, uploadedBy } = upload;
  return { number, thisUpdate, nextUpdate, entries, uploadedAt, uploadedBy };
}

/** Revoked CAs that have not ended: what a CRL of their root must list. */
export function mustList(certified: readonly CertifiedAuthority[], now: number) {
  return certified.filter(({ status, notAfter }) => status === 'revoked' && notAfter > now);
}

async function readRoot(
  { authorities }: Pick<RootCrlDeps, 'authorities'>,
  { account, authorityId }: Which,
): Promise<{ readonly root: AuthorityDocument; readonly certified: readonly CertifiedAuthority[] }> {
  const existing = await authoritiesOf(authorities, account);
  const root = existing.find(({ id }) => id === authorityId);
  if (root === undefined)
    throw new AuthorityError('unknown-authority', `authorityId: account "${account}" has no such CA`);
  if (root.kind !== 'root' || root.custody !== 'elsewhere')
    reject(`"${root.id}" is no root that the account keeps; Signet signs the CRLs of its own CAs itself`);
  return { root, certified: certifiedBy(root.id, existing) };
}

function readDer(text: string): Uint8Array {
  try {
    return text.includes('-----BEGIN') ? decodePem(text, 'X509 CRL') : decodeBase64(text, 'crl');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new AuthorityError('bad-crl', `crl: ${cause.message}`, { cause });
  }
}

type CompleteCrl = Crl & { readonly number: bigint; readonly nextUpdate: number };

function readCrl(der: Uint8Array, root: Certificate, now: number): CompleteCrl {
  const crl = parsed(der);
  const { number, nextUpdate, thisUpdate, baseNumber, scope, unknownCritical } = crl;
  if (Buffer.compare(crl.issuerDer, root.subjectDer) !== 0) reject('issuer: is not the root');
  if (crl.authorityKeyId !== undefined && crl.authorityKeyId !== root.subjectKeyId)
    reject('authorityKeyIdentifier: is not the key id of the root');
  if (!verifyCrlSignature(crl, root)) reject('signature: the root did not sign this');
  if (unknownCritical.length > 0) reject(`critical extension ${unknownCritical[0]} is not known`);
  if (baseNumber !== undefined || scope !== undefined) reject('a complete CRL of the root is expected');
  if (number === undefined || number > BigInt(Number.MAX_SAFE_INTEGER))
    return reject('cRLNumber: missing (RFC 5280 §5.2.3), or above 2^53');
  if (thisUpdate > now + SKEW_MS)
    reject(`thisUpdate: ${new Date(thisUpdate).toISOString()} is in the future`);
  if (nextUpdate === undefined || nextUpdate <= now) return reject('nextUpdate: missing, or past');
  return { ...crl, number, nextUpdate };
}

function parsed(der: Uint8Array): Crl {
  try {
    return parseCrl(der);
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new AuthorityError('bad-crl', `crl: ${cause.message}`, { cause });
  }
}

function checkNumber({ number, thisUpdate }: CompleteCrl, before: UploadedCrl | undefined): void {
  if (before === undefined) return;
  if (number <= BigInt(before.number))
    throw new AuthorityError(
      'crl-number',
      `cRLNumber: ${number} is not above ${before.number}, the one before`,
    );
  if (thisUpdate < Date.parse(before.thisUpdate))
    throw new AuthorityError('crl-number', `thisUpdate: is before that of number ${before.number}`);
}

/** A higher number never lists less, but for what has ended or was only on hold. */
function checkCoverage(
  crl: CompleteCrl,
  {
    certified,
    before,
    now,
  }: { certified: readonly CertifiedAuthority[]; before: UploadedCrl | undefined; now: number },
): void {
  const listed = new Set(crl.entries.map(({ serialNumber }) => serialNumber));
  const missing = mustList(certified, now).find(({ serialNumber }) => !listed.has(serialNumber));
  if (missing !== undefined)
    throw new AuthorityError(
      'crl-lists-less',
      `crl: CA "${missing.authorityId}" (${missing.serialNumber}) is revoked and not listed`,
    );
  const lost = listedBefore(before).find(
    ({ serialNumber, reason }) =>
      !listed.has(serialNumber) && reason !== 'certificateHold' && !hasEnded(certified, serialNumber, now),
  );
  if (lost !== undefined)
    throw new AuthorityError(
      'crl-lists-less',
      `crl: ${lost.serialNumber} was listed in number ${before?.number} and is not any more`,
    );
}

function listedBefore(before: UploadedCrl | undefined): readonly CrlEntry[] {
  return before === undefined ? [] : parseCrl(Buffer.from(before.der, 'base64')).entries;
}

function hasEnded(certified: readonly CertifiedAuthority[], serialNumber: string, now: number): boolean {
  return certified.some((one) => one.serialNumber === serialNumber && one.notAfter <= now);
}

function publishedEvent({ id, account }: AuthorityDocument, upload: UploadedCrl): SignetEvent {
  const { number, entries, thisUpdate, nextUpdate, uploadedAt } = upload;
  return newEvent('CRL_PUBLISHED', {
    account,
    subject: id,
    time: Date.parse(uploadedAt),
    data: { authorityId: id, number, entries, thisUpdate, nextUpdate, delta: false },
  });
}

/** Reasons that we do not give (aACompromise, …) are left out. */
function knownReason(reason: string | undefined): { readonly reason?: RevocationReason } {
  const known = RevocationReason.safeParse(reason);
  return known.success ? { reason: known.data } : {};
}

const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');

function reject(reason: string): never {
  throw new AuthorityError('bad-crl', `crl: ${reason}`);
}
