import type { DenyChange, DenyKind } from '@signet/contracts';
import { DenyTable } from './deny-table.ts';
import type { DenyListDigest, DenyListHead, DenyListSource } from './source.ts';

/** An authority in memory: what a test, or a benchmark, feeds a replica from. */
export class MemoryAuthority implements DenyListSource {
  readonly table = new DenyTable();
  readonly log: DenyChange[] = [];
  /** While set, every request and subscription fails with it. */
  away: Error | undefined;
  /** Entries in a page of the snapshot, about. */
  pageSize = 1000;
  readonly #onChange = new Set<(change: DenyChange) => void>();
  readonly #onHead = new Set<(head: DenyListHead) => void>();
  readonly #onDigest = new Set<(digest: DenyListDigest) => void>();

  get number(): number {
    return this.log.at(-1)?.number ?? 0;
  }

  /** Makes a change; sends it, and the head after it, unless told not to. */
  change(
    change: { readonly add?: readonly string[]; readonly lift?: readonly string[] },
    options: { readonly send?: boolean; readonly expiresAt?: number; readonly kind?: DenyKind } = {},
  ): DenyChange {
    const { send = true, expiresAt = 0, kind = 'certificate' } = options;
    const made: DenyChange = {
      number: this.number + 1,
      add: (change.add ?? []).map((key) => ({ key, kind, reason: 'test', expiresAt })),
      lift: [...(change.lift ?? [])],
    };
    this.log.push(made);
    for (const key of made.lift) this.table.lift(key);
    for (const { key } of made.add) this.table.add(key, expiresAt);
    if (send) {
      this.send(made);
      this.sendHead();
    }
    return made;
  }

  send(...changes: readonly DenyChange[]): void {
    for (const change of changes) for (const handler of [...this.#onChange]) handler(change);
  }

  sendHead(number = this.number, owedMs = 0): void {
    for (const handler of [...this.#onHead]) handler({ number, owedMs });
  }

  /** Says what the list comes to; what is given takes the place of what is so. */
  sendDigest(said: Partial<DenyListDigest> = {}): void {
    const { horizon, digest } = this.table;
    for (const handler of [...this.#onDigest]) handler({ number: this.number, horizon, digest, ...said });
  }

  async snapshot(cursor = '0'): Promise<{ number: number; entries: string; next?: string }> {
    this.#failIfAway();
    const from = Number(cursor);
    const width = Math.max(1, Math.floor((2 ** 32 * this.pageSize) / Math.max(1, this.table.size)));
    const to = Math.min(2 ** 32, from + width);
    const entries = Buffer.from(this.table.packed(from, to)).toString('base64');
    return { number: this.number, entries, ...(to < 2 ** 32 ? { next: String(to) } : {}) };
  }

  async changes(from: number, to: number): Promise<readonly DenyChange[]> {
    this.#failIfAway();
    return this.log.filter(({ number }) => number >= from && number <= to);
  }

  onChange(handler: (change: DenyChange) => void): Promise<AsyncDisposable> {
    return this.#subscribe(this.#onChange, handler);
  }

  onHead(handler: (head: DenyListHead) => void): Promise<AsyncDisposable> {
    return this.#subscribe(this.#onHead, handler);
  }

  onDigest(handler: (digest: DenyListDigest) => void): Promise<AsyncDisposable> {
    return this.#subscribe(this.#onDigest, handler);
  }

  async #subscribe<H>(handlers: Set<H>, handler: H): Promise<AsyncDisposable> {
    this.#failIfAway();
    handlers.add(handler);
    return { [Symbol.asyncDispose]: async () => void handlers.delete(handler) };
  }

  #failIfAway(): void {
    if (this.away !== undefined) throw this.away;
  }
}
