import type { Bus } from '@signet/bus';
import {
  DENYLIST_HEAD_SUBJECT,
  type DenyChange,
  type DenyTarget,
  denylistChanges,
  denylistSnapshot,
  hearDenials,
  newEvent,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import { DenyTable, denyKey, encodeHead } from '@signet/denylist';

/** The authority of a deny list over a bus, in memory: what revocation-sync is, without its store. */
export class TestDenyAuthority {
  readonly #bus: Bus;
  readonly #now: () => number;
  readonly #table = new DenyTable();
  readonly #changes: DenyChange[] = [];

  constructor(bus: Bus, now: () => number) {
    this.#bus = bus;
    this.#now = now;
  }

  async serve(): Promise<readonly AsyncDisposable[]> {
    return [
      await this.#bus.serve(denylistSnapshot, async () => ({
        number: this.#changes.length,
        entries: Buffer.from(this.#table.packed(0, 2 ** 32)).toString('base64'),
      })),
      // denials that are written come by their events here
      await this.#bus.serve(hearDenials, async () => ({ number: this.#changes.length })),
      await this.#bus.serve(denylistChanges, async ({ from, to }) => ({
        changes: this.#changes.slice(from - 1, to),
      })),
    ];
  }

  /** Denies these and publishes the change; resolves once it is on the bus. */
  async deny(...targets: readonly DenyTarget[]): Promise<void> {
    const add = targets.map((target) => ({
      key: denyKey(target),
      kind: target.kind,
      reason: 'test',
      expiresAt: 0,
    }));
    const change: DenyChange = { number: this.#changes.length + 1, add, lift: [] };
    for (const { key } of add) this.#table.add(key, 0);
    this.#changes.push(change);
    await this.#bus.publish([
      newEvent('DENYLIST_CHANGED', {
        account: PLATFORM_ACCOUNT,
        subject: 'denylist',
        data: change,
        time: this.#now(),
      }),
    ]);
    await this.sendHead();
  }

  async sendHead(): Promise<void> {
    await this.#bus.send(DENYLIST_HEAD_SUBJECT, encodeHead({ number: this.#changes.length, owedMs: 0 }));
  }
}
