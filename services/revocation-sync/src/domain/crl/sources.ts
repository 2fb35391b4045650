import {
  type addCrlSource,
  type CrlSource,
  type changeCrlSource,
  listAuthorities,
  type listCrlSources,
  OperationError,
  type OperationOutput,
  type ParsedInput,
  PLATFORM_ACCOUNT,
  type removeCrlSource,
  type uploadCrl,
} from '@signet/contracts';
import { type Certificate, PkiError, parseCertificatePem } from '@signet/pki';
import { insertIfAbsent } from '@signet/store';
import type { Asks } from '../devices/identify.ts';
import { type SourceRecord, type Sources, sourceId, sourceView } from './source-record.ts';
import { clearStaleness, type StalenessContext, watchSource } from './staleness.ts';
import { changeSettings, fetchParts, type TakeContext, takeUpload, withdrawSource } from './take-crl.ts';
import { addPiece, type Pieces, readPieces, removePieces } from './uploads.ts';

type SourceContext = TakeContext & StalenessContext & { readonly pieces: Pieces };
type SourceName = { readonly account: string; readonly name: string };

/** @throws OperationError `crl-source-exists`, `bad-certificate`, `foreign-issuer` */
export async function addSource(
  ctx: SourceContext,
  input: ParsedInput<typeof addCrlSource>,
): Promise<CrlSource> {
  const { account, name, issuer, urls, everySeconds, whenStale, by } = input;
  const certificate = parseIssuer(issuer);
  await requireOwnIssuer(ctx, account, certificate);
  const record: SourceRecord = {
    ...{ id: sourceId(account, name), account, name, issuer, urls, everySeconds, whenStale },
    issuerKeyId: certificate.subjectKeyId,
    issuerName: certificate.subject.commonName ?? '',
    createdAt: new Date(ctx.now()).toISOString(),
    createdBy: by,
    ...(urls.length === 0 ? {} : { dueAt: ctx.now() }),
    ...{ failures: 0, leasedUntil: 0, parts: [] },
  };
  if (await insertIfAbsent(ctx.sources, record)) return sourceView(record);
  throw new OperationError('crl-source-exists', `name: account "${account}" has a CRL source "${name}"`, {
    field: 'name',
  });
}

export async function listSources(
  { sources }: { readonly sources: Sources },
  { account, limit, cursor }: ParsedInput<typeof listCrlSources>,
): Promise<OperationOutput<typeof listCrlSources>> {
  const page = await sources.find({
    ...{ index: 'byAccount' as const, equals: { account }, limit },
    ...(cursor === undefined ? {} : { cursor }),
  });
  return { items: page.items.map(sourceView), ...(page.next === undefined ? {} : { next: page.next }) };
}

/** @throws OperationError `unknown-crl-source` */
export async function getSource(ctx: { readonly sources: Sources }, named: SourceName): Promise<CrlSource> {
  return sourceView(await requireSource(ctx, named));
}

/** @throws OperationError `unknown-crl-source`, `crl-source-busy` */
export async function changeSource(
  ctx: SourceContext,
  { account, name, by: _, ...settings }: ParsedInput<typeof changeCrlSource>,
): Promise<CrlSource> {
  const { id } = await requireSource(ctx, { account, name });
  const changed = await changeSettings(ctx, id, settings);
  if (settings.whenStale !== undefined) await clearStaleness(ctx, changed);
  await watchSource(ctx, id);
  return sourceView((await ctx.sources.get(id)) ?? changed);
}

/** Fetches the CRLs of a source now. @throws OperationError `unknown-crl-source`, `crl-source-busy` */
export async function fetchSource(ctx: SourceContext, named: SourceName): Promise<CrlSource> {
  const { id } = await requireSource(ctx, named);
  const fetched = await fetchParts(ctx, id);
  await watchSource(ctx, id);
  return sourceView((await ctx.sources.get(id)) ?? fetched);
}

/** The sources that are due and that no replica works on, at most `limit`. */
export async function findDueSources(
  { sources, now }: Pick<SourceContext, 'sources' | 'now'>,
  limit: number,
): Promise<SourceRecord[]> {
  const { items } = await sources.find({ index: 'byDue', to: now() + 1, limit });
  return items.filter(({ leasedUntil }) => leasedUntil <= now());
}

/**
 * Stores a piece of a CRL; the last one has the whole judged and applied.
 * @throws OperationError `unknown-crl-source`, `crl-source-busy`, `crl-refused`
 */
export async function uploadPiece(
  ctx: SourceContext,
  { account, name, uploadId, index, content, isLast }: ParsedInput<typeof uploadCrl>,
): Promise<OperationOutput<typeof uploadCrl>> {
  const { id } = await requireSource(ctx, { account, name });
  const upload = `${id}/${uploadId}`;
  await addPiece(ctx, { upload, index, content });
  if (!isLast) return {};
  try {
    await takeUpload(ctx, id, readPieces(ctx, { upload, last: index }));
  } finally {
    await removePieces(ctx, { upload, last: index });
  }
  await watchSource(ctx, id);
  return { source: sourceView(await requireSource(ctx, { account, name })) };
}

/** Takes back what a source denied, and removes it. @throws OperationError `unknown-crl-source`, `crl-source-busy` */
export async function removeSource(
  ctx: SourceContext,
  { account, name }: ParsedInput<typeof removeCrlSource>,
): Promise<OperationOutput<typeof removeCrlSource>> {
  const source = await requireSource(ctx, { account, name });
  const lifted = await withdrawSource(ctx, source.id);
  await clearStaleness(ctx, source);
  ctx.staleSources.delete(source.id);
  return { lifted };
}

async function requireSource(
  { sources }: { readonly sources: Sources },
  { account, name }: SourceName,
): Promise<SourceRecord> {
  const source = await sources.get(sourceId(account, name));
  if (source !== undefined) return source;
  throw new OperationError('unknown-crl-source', `name: account "${account}" has no CRL source "${name}"`, {
    field: 'name',
  });
}

type Issuer = Certificate & { readonly subjectKeyId: string };

/** @throws OperationError `bad-certificate` */
function parseIssuer(pem: string): Issuer {
  const rejected = (why: string, cause?: unknown) =>
    new OperationError('bad-certificate', `issuer: ${why}`, { field: 'issuer', cause });
  let certificate: Certificate;
  try {
    certificate = parseCertificatePem(pem);
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    throw rejected(error.message, error);
  }
  if (certificate.basicConstraints?.ca !== true) throw rejected('not the certificate of a CA');
  if (certificate.keyUsage?.has('cRLSign') === false) throw rejected('its key usage does not allow CRLs');
  if (!hasKeyId(certificate)) throw rejected('it has no subject key identifier');
  return certificate;
}

/**
 * A list denies by the key id of its issuer, which anybody may put in a certificate: an account names its own CAs only.
 * @throws OperationError `foreign-issuer`
 */
async function requireOwnIssuer({ bus }: Asks, account: string, issuer: Issuer): Promise<void> {
  if (account === PLATFORM_ACCOUNT) return;
  const { authorities } = await bus.request(listAuthorities, {});
  const isOwn = authorities.some(
    (authority) =>
      authority.account === account &&
      parseCertificatePem(authority.certificate).publicKeyHash === issuer.publicKeyHash &&
      authority.subjectKeyId === issuer.subjectKeyId,
  );
  if (!isOwn)
    throw new OperationError('foreign-issuer', `issuer: account "${account}" has no CA with this key`, {
      field: 'issuer',
    });
}

function hasKeyId(certificate: Certificate): certificate is Issuer {
  return certificate.subjectKeyId !== undefined;
}
