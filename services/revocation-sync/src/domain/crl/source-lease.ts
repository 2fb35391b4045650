import { randomUUID } from 'node:crypto';
import { OperationError } from '@signet/contracts';
import { StoreError } from '@signet/store';
import type { Log } from '../documents/documents.ts';
import type { SourceRecord, Sources } from './source-record.ts';

/** How long a replica that works on a source may be silent before another takes it for dead. */
export const LEASE_MS = 60_000;
/** How often its holder looks whether a quarter of it is over. */
const LOOK_MS = LEASE_MS / 12;

export type LeaseContext = {
  readonly sources: Sources;
  readonly now: () => number;
  readonly log: Log;
  /** Runs work at once, and again so many ms after each run has ended; disposing waits for what is running. */
  readonly repeat: (
    ms: number,
    work: () => Promise<void>,
    onError: (error: unknown) => void,
  ) => AsyncDisposable;
};

/** The right to work on a source, renewed while the work lasts. A replica that dies is followed by another. */
export class SourceLease implements AsyncDisposable {
  /** The source as it was when the lease was taken. */
  readonly source: SourceRecord;
  readonly #ctx: LeaseContext;
  readonly #token: string;
  readonly #renewing: AsyncDisposable;
  #until: number;

  private constructor(ctx: LeaseContext, source: SourceRecord, token: string) {
    this.#ctx = ctx;
    this.source = source;
    this.#token = token;
    this.#until = source.leasedUntil;
    this.#renewing = ctx.repeat(
      LOOK_MS,
      () => this.#keep(),
      (error) => ctx.log.warn({ err: error, source: source.id }, 'CRL source: failed to renew its lease'),
    );
  }

  /**
   * To fetch: the source stays due until the work is done, so that whoever follows a dead holder begins anew.
   * @throws OperationError `crl-source-busy`, `unknown-crl-source`
   */
  static async take(ctx: LeaseContext, id: string, purpose: 'fetch' | 'change'): Promise<SourceLease> {
    const token = randomUUID();
    const now = ctx.now();
    try {
      const source = await ctx.sources.update(id, (current) => {
        if (current.leasedUntil > now)
          throw new OperationError('crl-source-busy', 'name: its CRLs are being looked at, try again soon', {
            field: 'name',
          });
        const due = purpose === 'fetch' && current.urls.length > 0 ? { dueAt: now } : {};
        return { document: { ...current, ...due, lease: token, leasedUntil: now + LEASE_MS } };
      });
      return new SourceLease(ctx, source, token);
    } catch (error) {
      throw error instanceof StoreError && error.code === 'not-found' ? unknownSource() : error;
    }
  }

  /** Before anything is changed by what was read under the lease. @throws OperationError `unavailable` once it is over */
  async hold(): Promise<void> {
    await this.#keep();
    if (this.#ctx.now() < this.#until) return;
    throw new OperationError('unavailable', 'name: another replica has taken the source over');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#renewing[Symbol.asyncDispose]();
    const { sources, log } = this.#ctx;
    const { id } = this.source;
    try {
      await sources.update(id, (current) =>
        current.lease === this.#token ? { document: { ...current, leasedUntil: 0 } } : undefined,
      );
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'not-found')
        log.warn({ err: error, source: id }, 'CRL source: failed to release its lease');
    }
  }

  async #keep(): Promise<void> {
    if (this.#ctx.now() > this.#until - LEASE_MS * 0.75) await this.#renew();
  }

  async #renew(): Promise<void> {
    const { sources, now } = this.#ctx;
    const leasedUntil = now() + LEASE_MS;
    const { lease } = await sources.update(this.source.id, (current) =>
      current.lease === this.#token ? { document: { ...current, leasedUntil } } : undefined,
    );
    this.#until = lease === this.#token ? leasedUntil : 0;
  }
}

/** What is thrown where a source was removed meanwhile. */
export function unknownSource(): OperationError {
  return new OperationError('unknown-crl-source', 'name: the account has no such CRL source', {
    field: 'name',
  });
}
