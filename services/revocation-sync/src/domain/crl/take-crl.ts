import { type CrlSourceSettings, newEvent, OperationError, type SignetEvent } from '@signet/contracts';
import { type CrlFile, isSameName, PkiError, parseCertificatePem } from '@signet/pki';
import { StoreError } from '@signet/store';
import type { Log } from '../documents/documents.ts';
import { type Applied, type ApplyContext, applyCrl, withdrawCrl } from './apply-crl.ts';
import { CrlRefused, judgeCrl, scopeOf } from './judge-crl.ts';
import { type LeaseContext, SourceLease, unknownSource } from './source-lease.ts';
import type { PartChange, PartRecord, SourceRecord } from './source-record.ts';
import { nextFetchAt } from './staleness.ts';

/** What an answer says of itself, for the next request. */
export type Validators = { readonly etag?: string; readonly lastModified?: string };

/** Brings CRLs into files, which exist while `work` runs. */
export type CrlFiles = {
  /**
   * Downloads a CRL, unless it is the one that `known` is of.
   * @throws CrlRefused `unreachable`, `too-large`, `malformed`, `unavailable`
   */
  download(
    url: string,
    known: Pick<PartRecord, 'etag' | 'lastModified'>,
    work: (file: CrlFile, validators: Validators) => Promise<void>,
  ): Promise<void>;
  /** @throws CrlRefused `too-large`, `malformed`, `unavailable` */
  receive(body: AsyncIterable<Buffer>, work: (file: CrlFile) => Promise<void>): Promise<void>;
};

export type TakeContext = ApplyContext & LeaseContext & { readonly crlFiles: CrlFiles; readonly log: Log };

/**
 * Fetches every CRL of a source. What is wrong with one stands in its part, and keeps no other from being fetched.
 * @throws OperationError `unknown-crl-source`, `crl-source-busy`
 */
export async function fetchParts(ctx: TakeContext, id: string): Promise<SourceRecord> {
  await using lease = await SourceLease.take(ctx, id, 'fetch');
  const { urls } = lease.source;
  let failed = false;
  for (const url of urls) {
    failed = !(await fetchPart(ctx, lease, { part: url, url })) || failed;
    const { deltaUrl } = await getPart(ctx, id, url);
    if (deltaUrl !== undefined)
      failed = !(await fetchPart(ctx, lease, { part: url, url: deltaUrl })) || failed;
  }
  const now = ctx.now();
  return updateSource(ctx, id, (current) => {
    const failures = failed ? current.failures + 1 : 0;
    const dueAt = nextFetchAt({ ...current, failures }, now, Math.random());
    return { ...current, failures, ...(urls.length === 0 ? {} : { dueAt }) };
  });
}

/** Takes a CRL that was uploaded. @throws OperationError `crl-refused`, `unknown-crl-source`, `crl-source-busy` */
export async function takeUpload(
  ctx: TakeContext,
  id: string,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  await using lease = await SourceLease.take(ctx, id, 'change');
  try {
    await ctx.crlFiles.receive(content, (file) =>
      takeCrl(ctx, lease, { file, part: undefined, validators: {} }),
    );
  } catch (error) {
    const { code, message } = asRefused(error);
    throw new OperationError('crl-refused', `${code}: ${message}`, { field: 'content', cause: error });
  }
}

/** Takes back what a source denied, and removes it. @returns how many certificates were lifted */
export async function withdrawSource(ctx: TakeContext, id: string): Promise<number> {
  await using lease = await SourceLease.take(ctx, id, 'change');
  let lifted = 0;
  for (const part of lease.source.parts) lifted += await withdrawPart(ctx, lease, part);
  await ctx.sources.remove(id);
  return lifted;
}

/**
 * Changes the settings of a source. What was listed at a URL that it has no more is lifted.
 * @throws OperationError `unknown-crl-source`, `crl-source-busy`
 */
export async function changeSettings(
  ctx: TakeContext,
  id: string,
  settings: CrlSourceSettings,
): Promise<SourceRecord> {
  await using lease = await SourceLease.take(ctx, id, 'change');
  const { source } = lease;
  const { urls = source.urls } = settings;
  const isGone = ({ name }: PartRecord) => source.urls.includes(name) && !urls.includes(name);
  for (const part of source.parts.filter(isGone)) await withdrawPart(ctx, lease, part);
  const now = ctx.now();
  return updateSource(ctx, id, ({ dueAt: _, ...current }) => ({
    ...current,
    ...(withoutUndefined(settings) as Partial<SourceRecord>),
    parts: current.parts.filter((part) => !isGone(part)),
    failures: 0,
    ...(urls.length === 0 ? {} : { dueAt: now }),
  }));
}

function withdrawPart(ctx: TakeContext, lease: SourceLease, part: PartRecord): Promise<number> {
  return withdrawCrl({ ...ctx, source: lease.source, part, hold: () => lease.hold() });
}

/** Fetches the CRL of a part, or its delta. @returns whether it could be fetched and was accepted */
async function fetchPart(
  ctx: TakeContext,
  lease: SourceLease,
  { part, url }: { readonly part: string; readonly url: string },
): Promise<boolean> {
  const { id } = lease.source;
  const isDelta = url !== part;
  try {
    const known = isDelta ? {} : await getPart(ctx, id, part);
    await ctx.crlFiles.download(url, known, (file, validators) =>
      takeCrl(ctx, lease, { file, part, validators: isDelta ? {} : validators }),
    );
    await changePart(ctx, id, part, { askedAt: iso(ctx), error: undefined });
    return true;
  } catch (error) {
    await noteFailure(ctx, id, part, asRefused(error));
    return false;
  }
}

/** Judges a CRL, and applies it. Without the name of a part, its distribution point says which part it is. */
async function takeCrl(
  ctx: TakeContext,
  lease: SourceLease,
  crl: { readonly file: CrlFile; readonly part: string | undefined; readonly validators: Validators },
): Promise<void> {
  const { file, part: name, validators } = crl;
  const { head } = file;
  const source = await getRecord(ctx, lease.source.id);
  const { id } = source;
  // 1. The pinned issuer made it.
  const issuer = parseCertificatePem(source.issuer);
  if (!isSameName(head.issuerDer, issuer.subjectDer))
    throw new CrlRefused('wrong-issuer', 'issuer: it is not the name of the pinned issuer');
  if (!(await file.isSignedBy(issuer)))
    throw new CrlRefused('bad-signature', 'signature: it is not one of the pinned issuer');
  // 2. It is of one part of the source, and newer than what that part has (RFC 5280 §6.3.3).
  const scope = scopeOf(head);
  const part =
    source.parts.find((one) => (name === undefined ? one.scope === scope : one.name === name)) ??
    ({ name: name ?? `upload ${scope}`.trim(), entries: 0 } satisfies PartRecord);
  if (source.parts.some((other) => other.name !== part.name && other.scope === scope))
    throw new CrlRefused(
      'other-scope',
      `issuingDistributionPoint: "${scope}" is that of another CRL of this source`,
    );
  const judgement = judgeCrl(head, part, ctx.now());
  if (judgement.kind === 'unchanged') return changePart(ctx, id, part.name, validators);
  // 3. What is new in it is denied, what left it is lifted.
  const parts = { ...ctx, source, part, hold: () => lease.hold() };
  const applied = await applyCrl(parts, { file, head, judgement }, (change) =>
    changePart(ctx, id, part.name, change),
  );
  // 4. The part has it from now on.
  await lease.hold();
  const number = head.number?.toString();
  const thisUpdate = new Date(head.thisUpdate).toISOString();
  const [deltaUrl] = head.freshestUrls ?? [];
  const accepted: PartChange = {
    ...{ number, scope, entries: applied.entries, acceptedAt: iso(ctx), error: undefined, thisUpdate },
    nextUpdate: head.nextUpdate === undefined ? undefined : new Date(head.nextUpdate).toISOString(),
    ...(judgement.kind === 'complete'
      ? { ...validators, completeNumber: number, completeThisUpdate: thisUpdate, deltaUrl }
      : {}),
  };
  const event = changedEvent(source, part.name, { number, applied, time: ctx.now() });
  await changePart(ctx, id, part.name, accepted, [event]);
  ctx.log.info({ source: id, part: part.name, number, ...applied }, 'CRL source: a CRL was accepted');
}

function changedEvent(
  { account, name }: SourceRecord,
  part: string,
  facts: { readonly number: string | undefined; readonly applied: Applied; readonly time: number },
): SignetEvent {
  const { number, applied, time } = facts;
  const data = { source: name, part, ...(number === undefined ? {} : { number }), ...applied };
  return newEvent('CRL_SOURCE_CHANGED', { account, subject: name, data, time });
}

/** The first failure of a kind is an event, those after it are counted. */
async function noteFailure(
  ctx: TakeContext,
  id: string,
  name: string,
  { code, message }: CrlRefused,
): Promise<void> {
  const { account, name: source } = await getRecord(ctx, id);
  const before = (await getPart(ctx, id, name)).error;
  const at = iso(ctx);
  const isAgain = before?.code === code;
  ctx.log.warn({ source: id, part: name, code }, `CRL source: ${message}`);
  const event = () =>
    newEvent('CRL_SOURCE_REFUSED', {
      ...{ account, subject: source, time: ctx.now() },
      data: { source, part: name, code, message },
    });
  const error = { code, message, at, count: isAgain ? before.count + 1 : 1 };
  await changePart(ctx, id, name, { askedAt: at, error }, isAgain ? [] : [event()]);
}

async function changePart(
  { sources }: Pick<TakeContext, 'sources'>,
  id: string,
  name: string,
  change: PartChange,
  events: readonly SignetEvent[] = [],
): Promise<void> {
  await sources.update(id, (current) => {
    const before = current.parts.find((part) => part.name === name) ?? { name, entries: 0 };
    const after = withoutUndefined({ ...before, ...change }) as PartRecord;
    const others = current.parts.filter((part) => part.name !== name);
    const parts = [...others, after].sort((a, b) => (a.name < b.name ? -1 : 1));
    return { document: { ...current, parts }, events };
  });
}

async function updateSource(
  { sources }: Pick<TakeContext, 'sources'>,
  id: string,
  change: (current: SourceRecord) => SourceRecord,
): Promise<SourceRecord> {
  try {
    return await sources.update(id, (current) => ({ document: change(current) }));
  } catch (error) {
    throw error instanceof StoreError && error.code === 'not-found' ? unknownSource() : error;
  }
}

async function getRecord({ sources }: Pick<TakeContext, 'sources'>, id: string): Promise<SourceRecord> {
  const source = await sources.get(id);
  if (source === undefined) throw unknownSource();
  return source;
}

async function getPart(ctx: Pick<TakeContext, 'sources'>, id: string, name: string): Promise<PartRecord> {
  const { parts } = await getRecord(ctx, id);
  return parts.find((part) => part.name === name) ?? { name, entries: 0 };
}

/** @throws whatever is neither a CRL's fault nor that of a service that is unavailable */
function asRefused(error: unknown): CrlRefused {
  if (error instanceof CrlRefused) return error;
  if (error instanceof PkiError)
    return new CrlRefused(error.code === 'too-large' ? 'too-large' : 'malformed', error.message, {
      cause: error,
    });
  if (error instanceof OperationError || error instanceof StoreError)
    return new CrlRefused('unavailable', error.message, { cause: error });
  throw error;
}

function withoutUndefined(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

function iso({ now }: Pick<TakeContext, 'now'>): string {
  return new Date(now()).toISOString();
}
