import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CrlSourceSettings,
  isStorageFailure,
  newEvent,
  OperationError,
  type SignetEvent,
} from '@signet/contracts';
import { CrlFile, isSameName, PkiError, parseCertificatePem } from '@signet/pki';
import type { Logger } from '@signet/service';
import { StoreError } from '@signet/store';
import { CrlRefused, judgeCrl, scopeOf } from '../../domain/crl/judge-crl.ts';
import { nextFetchAt } from '../../domain/crl/schedule.ts';
import type { PartChange, PartRecord, SourceRecord, Sources } from '../../domain/crl/source-record.ts';
import { type Applied, type ApplyParts, applyCrl, withdrawCrl } from './apply-crl.ts';
import { type DownloadLimits, downloadCrl, type Validators } from './download-crl.ts';
import { SourceLease } from './source-lease.ts';
import { unknownSource } from './unknown-source.ts';

export type KeeperParts = Omit<ApplyParts, 'hold'> & {
  readonly sources: Sources;
  readonly limits: DownloadLimits;
  /** For files that are done with at once. */
  readonly folder: string;
  readonly log: Logger;
};

/** Brings sources up to the CRLs that they are asked for, or that are uploaded to them. */
export class SourceKeeper {
  readonly #parts: KeeperParts;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /**
   * Asks for every CRL of a source. What is wrong with one stands in its part, and keeps no other from being asked for.
   * @throws OperationError `unknown-crl-source`, `crl-source-busy`
   */
  async fetch(id: string): Promise<SourceRecord> {
    return this.#leased(
      id,
      async (source, lease) => {
        let failed = false;
        for (const url of source.urls) {
          failed = !(await this.#fetchPart(lease, url, url)) || failed;
          const { deltaUrl } = await this.#part(id, url);
          if (deltaUrl !== undefined) failed = !(await this.#fetchPart(lease, url, deltaUrl)) || failed;
        }
        const now = this.#parts.now();
        return this.#change(id, (current) => {
          const failures = failed ? current.failures + 1 : 0;
          const dueAt = nextFetchAt({ ...current, failures }, now, Math.random());
          return { ...current, failures, ...(source.urls.length === 0 ? {} : { dueAt }) };
        });
      },
      true,
    );
  }

  /** Takes a CRL that was uploaded. @throws OperationError `crl-refused`, `unknown-crl-source`, `crl-source-busy` */
  async upload(id: string, write: (path: string) => Promise<void>): Promise<SourceRecord> {
    return this.#leased(id, (_, lease) =>
      this.#withFile(async (path) => {
        try {
          await write(path);
          await this.#take(lease, undefined, path, {});
        } catch (error) {
          const refused = asRefused(error);
          throw new OperationError('crl-refused', `${refused.code}: ${refused.message}`, {
            field: 'content',
            cause: error,
          });
        }
        return this.#get(id);
      }),
    );
  }

  /** Takes back what the source denied, and forgets it. @returns how many certificates were lifted */
  async remove(id: string): Promise<number> {
    let lifted = 0;
    await this.#leased(id, async (source, lease) => {
      for (const part of source.parts) lifted += await this.#withdraw(lease, part);
      await this.#parts.sources.remove(id);
      return source;
    });
    return lifted;
  }

  /** @throws OperationError `unknown-crl-source`, `crl-source-busy` */
  async change(id: string, settings: CrlSourceSettings): Promise<SourceRecord> {
    return this.#leased(id, async (source, lease) => {
      const { urls = source.urls } = settings;
      const isGone = ({ name }: PartRecord) => source.urls.includes(name) && !urls.includes(name);
      const gone = source.parts.filter(isGone);
      for (const part of gone) await this.#withdraw(lease, part);
      const now = this.#parts.now();
      return this.#change(id, ({ dueAt: _, ...current }) => ({
        ...current,
        ...(definedOf(settings) as Partial<SourceRecord>),
        parts: current.parts.filter((part) => !isGone(part)),
        failures: 0,
        ...(urls.length === 0 ? {} : { dueAt: now }),
      }));
    });
  }

  #withdraw(lease: SourceLease, part: PartRecord): Promise<number> {
    return withdrawCrl({ ...this.#parts, source: lease.source, part, hold: () => lease.hold() });
  }

  async #fetchPart(lease: SourceLease, part: string, url: string): Promise<boolean> {
    const { id } = lease.source;
    return this.#withFile(async (path) => {
      const isDelta = url !== part;
      try {
        const known = isDelta ? {} : await this.#part(id, part);
        const validators = await downloadCrl(url, known, path, this.#parts.limits);
        if (validators !== undefined) await this.#take(lease, part, path, isDelta ? {} : validators);
        await this.#note(id, part, { askedAt: this.#iso(), error: undefined });
        return true;
      } catch (error) {
        await this.#noteFailure(id, part, asRefused(error));
        return false;
      }
    });
  }

  /** Judges the CRL in a file, and applies it. Without the name of a part, its distribution point says which it is. */
  async #take(
    lease: SourceLease,
    name: string | undefined,
    path: string,
    validators: Validators,
  ): Promise<void> {
    const { id } = lease.source;
    const { limits, now, log } = this.#parts;
    await using file = await CrlFile.open(path, limits.maxBytes);
    const source = await this.#get(id);
    const issuer = parseCertificatePem(source.issuer);
    const { head } = file;
    if (!isSameName(head.issuerDer, issuer.subjectDer))
      throw new CrlRefused('wrong-issuer', 'issuer: it is not the name of the pinned issuer');
    if (!(await file.isSignedBy(issuer)))
      throw new CrlRefused('bad-signature', 'signature: it is not one of the pinned issuer');
    const scope = scopeOf(head);
    const part =
      source.parts.find((one) => (name === undefined ? one.scope === scope : one.name === name)) ??
      ({ name: name ?? `upload ${scope}`.trim(), entries: 0 } satisfies PartRecord);
    if (source.parts.some((other) => other.name !== part.name && other.scope === scope))
      throw new CrlRefused(
        'other-scope',
        `issuingDistributionPoint: "${scope}" is that of another CRL of this source`,
      );
    const judgement = judgeCrl(head, part, now());
    if (judgement.kind === 'unchanged') {
      await this.#note(id, part.name, validators);
      return;
    }
    const parts = { ...this.#parts, source, part, hold: () => lease.hold() };
    const applied = await applyCrl(parts, { file, head, judgement }, (change) =>
      this.#note(id, part.name, change),
    );
    await lease.hold();
    const number = head.number?.toString();
    const thisUpdate = new Date(head.thisUpdate).toISOString();
    const [deltaUrl] = head.freshestUrls ?? [];
    const accepted: PartChange = {
      number,
      scope,
      entries: applied.entries,
      acceptedAt: this.#iso(),
      error: undefined,
      thisUpdate,
      nextUpdate: head.nextUpdate === undefined ? undefined : new Date(head.nextUpdate).toISOString(),
      ...(judgement.kind === 'complete'
        ? { ...validators, completeNumber: number, completeThisUpdate: thisUpdate, deltaUrl }
        : {}),
    };
    await this.#note(id, part.name, accepted, [this.#changed(source, part.name, number, applied)]);
    log.info({ source: id, part: part.name, number, ...applied }, 'CRL source: a CRL was accepted');
  }

  #changed(source: SourceRecord, part: string, number: string | undefined, applied: Applied): SignetEvent {
    return newEvent('CRL_SOURCE_CHANGED', {
      account: source.account,
      subject: source.name,
      data: { source: source.name, part, ...(number === undefined ? {} : { number }), ...applied },
      time: this.#parts.now(),
    });
  }

  async #noteFailure(id: string, name: string, { code, message }: CrlRefused): Promise<void> {
    const { account, name: source } = await this.#get(id);
    const before = (await this.#part(id, name)).error;
    const at = this.#iso();
    const error = { code, message, at, count: before?.code === code ? before.count + 1 : 1 };
    this.#parts.log.warn({ source: id, part: name, code }, `CRL source: ${message}`);
    const events =
      before?.code === code
        ? []
        : [
            newEvent('CRL_SOURCE_REFUSED', {
              account,
              subject: source,
              data: { source, part: name, code, message },
              time: this.#parts.now(),
            }),
          ];
    await this.#note(id, name, { askedAt: at, error }, events);
  }

  async #note(
    id: string,
    name: string,
    change: PartChange,
    events: readonly SignetEvent[] = [],
  ): Promise<void> {
    await this.#parts.sources.update(id, (current) => {
      const before = current.parts.find((part) => part.name === name) ?? { name, entries: 0 };
      const after = definedOf({ ...before, ...change }) as PartRecord;
      const others = current.parts.filter((part) => part.name !== name);
      const parts = [...others, after].sort((a, b) => (a.name < b.name ? -1 : 1));
      return { document: { ...current, parts }, events };
    });
  }

  /** One replica at a time works on a source. */
  async #leased<T>(
    id: string,
    work: (source: SourceRecord, lease: SourceLease) => Promise<T>,
    isFetched = false,
  ): Promise<T> {
    await using lease = await SourceLease.take(this.#parts, id, isFetched);
    return await work(lease.source, lease);
  }

  async #change(id: string, change: (current: SourceRecord) => SourceRecord): Promise<SourceRecord> {
    try {
      return await this.#parts.sources.update(id, (current) => ({ document: change(current) }));
    } catch (error) {
      throw error instanceof StoreError && error.code === 'not-found' ? unknownSource() : error;
    }
  }

  async #get(id: string): Promise<SourceRecord> {
    const source = await this.#parts.sources.get(id);
    if (source === undefined) throw unknownSource();
    return source;
  }

  async #part(id: string, name: string): Promise<PartRecord> {
    const { parts } = await this.#get(id);
    return parts.find((part) => part.name === name) ?? { name, entries: 0 };
  }

  async #withFile<T>(work: (path: string) => Promise<T>): Promise<T> {
    const { folder } = this.#parts;
    await mkdir(folder, { recursive: true });
    const path = join(folder, `crl-${randomUUID()}.tmp`);
    try {
      return await work(path);
    } finally {
      await rm(path, { force: true });
    }
  }

  #iso(): string {
    return new Date(this.#parts.now()).toISOString();
  }
}

/** @throws whatever is neither a CRL's fault nor that of a service that is away */
function asRefused(error: unknown): CrlRefused {
  if (error instanceof CrlRefused) return error;
  if (error instanceof PkiError)
    return new CrlRefused(error.code === 'too-large' ? 'too-large' : 'malformed', error.message, {
      cause: error,
    });
  if (error instanceof OperationError || error instanceof StoreError || isStorageFailure(error))
    return new CrlRefused('unavailable', error.message, { cause: error });
  throw error;
}

function definedOf(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
