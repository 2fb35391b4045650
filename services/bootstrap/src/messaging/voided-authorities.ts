import type { Bus, Subscription } from '@signet/bus';
import type { SignetEvent } from '@signet/contracts';
import { StoreError } from '@signet/store';
import type { AccountRecords, Devices, VoidedAuthorities } from '../collections.ts';
import { applyToPage, nextProgress, voidedByEvent } from '../domain/claim/voided-authorities.ts';
import type { FactoryPins } from '../domain/factory/factory-pins.ts';

/** Never given up: a CA that is voided stays so, however long the store is away. */
const maxDeliveries = 1_000_000;

type Deps = {
  bus: Bus;
  voided: VoidedAuthorities;
  /** There are devices to tell. */
  onDue: () => void;
  now: () => number;
};

/** Notes factory CAs that are put out of force, and back. */
export function followAuthorities({ bus, voided, onDue, now }: Deps): Promise<Subscription> {
  return bus.consume(
    { durable: 'bootstrap-authorities', types: ['CA_CHANGED'], maxDeliveries },
    async (event) => {
      if (event.type !== 'CA_CHANGED' || event.data.kind !== 'factory') return;
      await note(voided, event, now());
      onDue();
    },
  );
}

async function note(voided: VoidedAuthorities, event: SignetEvent<'CA_CHANGED'>, now: number): Promise<void> {
  const next = voidedByEvent(event, now);
  const before = await voided.get(next.id);
  if (before === undefined) {
    if (next.state === 'active') return;
    try {
      return await voided.insert(next);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
    }
  }
  await voided.update(next.id, (current) => {
    const isNews = next.sequence > current.sequence && next.state !== current.state;
    if (isNews) return { document: next };
    return next.sequence > current.sequence
      ? { document: { ...current, sequence: next.sequence } }
      : undefined;
  });
}

export type Told = {
  readonly voided: VoidedAuthorities;
  readonly devices: Devices;
  readonly accounts: AccountRecords;
  readonly factories: FactoryPins;
  /** Who else has a CA pinned must be known before its devices are told. */
  readonly refresh: () => Promise<void>;
  readonly now: () => number;
};

/** Tells devices, page by page; what is cut goes on where it was, here or at another replica. */
export async function tellDevices(deps: Told): Promise<void> {
  for (;;) {
    const { items } = await deps.voided.find({ index: 'byDue', to: deps.now() + 1, limit: 1 });
    const [authority] = items;
    if (authority === undefined) return;
    await deps.refresh();
    const next = await applyToPage(deps, authority);
    await deps.voided.update(authority.id, (current) => nextProgress(current, { of: authority, next }));
  }
}
