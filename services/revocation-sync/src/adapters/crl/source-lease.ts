import { randomUUID } from 'node:crypto';
import { OperationError } from '@signet/contracts';
import { type Logger, type Repetition, repeatedly } from '@signet/service';
import { StoreError } from '@signet/store';
import type { SourceRecord, Sources } from '../../domain/crl/source-record.ts';
import { unknownSource } from './unknown-source.ts';

/** How long a replica that works on a source may be silent before another takes it for dead. */
export const LEASE_MS = 60_000;
/** How often its holder looks whether a quarter of it is over. */
const LOOK_MS = LEASE_MS / 12;

type Parts = { readonly sources: Sources; readonly now: () => number; readonly log: Logger };

/** The right to work on a source, renewed while the work lasts. A replica that dies is followed by another. */
export class SourceLease implements AsyncDisposable {
  /** The source as it was when the lease was taken. */
  readonly source: SourceRecord;
  readonly #parts: Parts;
  readonly #token: string;
  readonly #renewing: Repetition;
  #until: number;

  private constructor(parts: Parts, source: SourceRecord, token: string) {
    this.#parts = parts;
    this.source = source;
    this.#token = token;
    this.#until = source.leasedUntil;
    this.#renewing = repeatedly(
      LOOK_MS,
      () => this.#keep(),
      (error) => parts.log.warn({ err: error, source: source.id }, 'CRL source: its lease was not renewed'),
    );
  }

  /**
   * `isFetched`: it is due until the work is done, so that whoever follows a dead holder begins anew.
   * @throws OperationError `crl-source-busy`, `unknown-crl-source`
   */
  static async take(parts: Parts, id: string, isFetched = false): Promise<SourceLease> {
    const token = randomUUID();
    const now = parts.now();
    try {
      const source = await parts.sources.update(id, (current) => {
        if (current.leasedUntil > now)
          throw new OperationError('crl-source-busy', 'name: its CRLs are being looked at, try again soon', {
            field: 'name',
          });
        const due = isFetched && current.urls.length > 0 ? { dueAt: now } : {};
        return { document: { ...current, ...due, lease: token, leasedUntil: now + LEASE_MS } };
      });
      return new SourceLease(parts, source, token);
    } catch (error) {
      throw error instanceof StoreError && error.code === 'not-found' ? unknownSource() : error;
    }
  }

  /** Before anything is changed by what was read under the lease. @throws OperationError `unavailable` once it is over */
  async hold(): Promise<void> {
    await this.#keep();
    if (this.#parts.now() < this.#until) return;
    throw new OperationError('unavailable', 'name: another replica has taken the source over');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#renewing[Symbol.asyncDispose]();
    const { sources, log } = this.#parts;
    const { id } = this.source;
    try {
      await sources.update(id, (current) =>
        current.lease === this.#token ? { document: { ...current, leasedUntil: 0 } } : undefined,
      );
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'not-found')
        log.warn({ err: error, source: id }, 'CRL source: its lease was not given back');
    }
  }

  async #keep(): Promise<void> {
    if (this.#parts.now() > this.#until - LEASE_MS * 0.75) await this.#renew();
  }

  async #renew(): Promise<void> {
    const { sources, now } = this.#parts;
    const leasedUntil = now() + LEASE_MS;
    const { lease } = await sources.update(this.source.id, (current) =>
      current.lease === this.#token ? { document: { ...current, leasedUntil } } : undefined,
    );
    this.#until = lease === this.#token ? leasedUntil : 0;
  }
}
