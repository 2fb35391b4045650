import { all } from '@signet/store';
import { type DenyState, entryOf } from '../denial/deny-state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type Changes, changeId, type LedgerCollections } from '../ledger/records.ts';

type DeniedContext = LedgerCollections & { readonly ledger: Ledger; readonly now: () => number };

/** What a broker that is not ours is to know: which devices are denied. `expiresAt` in Unix seconds, 0 for never. */
export type BrokerClients = {
  /** `expiresAt` is undefined where the device is not denied. */
  set(deviceId: string, expiresAt: number | undefined): void;
  clear(): void;
  /** Tells the broker what is denied at `now` (Unix seconds). */
  bringUpToDate(now: number): Promise<void>;
};

/** Follows the denials of one account's devices, and keeps a broker that is not ours up to date. */
export class DeniedDevices {
  readonly #ctx: DeniedContext;
  readonly #account: string;
  readonly #clients: BrokerClients;
  /** Number of the last change that the clients have. */
  #seen: number | undefined;
  #running = Promise.resolve();

  constructor(ctx: DeniedContext, options: { readonly account: string; readonly clients: BrokerClients }) {
    this.#ctx = ctx;
    this.#account = options.account;
    this.#clients = options.clients;
  }

  /** One call runs at a time. What fails is done by the next. */
  catchUp(): Promise<void> {
    this.#running = this.#running.catch(() => undefined).then(() => this.#follow());
    return this.#running;
  }

  async #follow(): Promise<void> {
    const { ledger, changes, entries, now } = this.#ctx;
    if (this.#seen === undefined || !(await reachesBackTo(changes, this.#seen)))
      this.#seen = await ledger.whileQuiet(async (number) => {
        this.#clients.clear();
        for await (const entry of all(entries, {})) this.#note(entry);
        return number;
      });
    for await (const change of all(changes, { from: changeId(this.#seen + 1) })) {
      for (const state of change.states) this.#note(state);
      this.#seen = change.number;
    }
    await this.#clients.bringUpToDate(Math.floor(now() / 1000));
  }

  #note(state: DenyState): void {
    if (state.target.kind !== 'device' || state.target.account !== this.#account) return;
    const entry = entryOf(state, Math.floor(this.#ctx.now() / 1000));
    this.#clients.set(state.target.deviceId, entry?.expiresAt);
  }
}

/** Whether the log still has what came after a change: what was trimmed is read from the entries. */
async function reachesBackTo(changes: Changes, number: number): Promise<boolean> {
  const { items } = await changes.find({ limit: 1 });
  return (items[0]?.number ?? 0) <= number + 1;
}
