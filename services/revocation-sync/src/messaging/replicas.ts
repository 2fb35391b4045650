import type { Bus, Subscription } from '@signet/bus';
import { denylistChanges, denylistSnapshot, OperationError } from '@signet/contracts';
import type { DenyLedger } from '../domain/deny-ledger.ts';
import { type Collections, changeId } from '../domain/records.ts';
import { answering } from './answering.ts';

/** Entries in one answer of changes, about. */
const ENTRIES_IN_ANSWER = 2000;

/** The deny list to its replicas. */
export async function serveReplicas(deps: {
  readonly bus: Bus;
  readonly ledger: DenyLedger;
  readonly changes: Collections['changes'];
}): Promise<Subscription[]> {
  const { bus, ledger, changes } = deps;
  return [
    await bus.serve(denylistSnapshot, async ({ cursor }) => {
      const page = ledger.snapshot(cursor);
      if (page === undefined)
        throw new OperationError('invalid-input', 'cursor: none of a snapshot', { field: 'cursor' });
      return page;
    }),
    await bus.serve(denylistChanges, ({ from, to }) =>
      answering(async () => {
        const { items } = await changes.find({ from: changeId(from), to: changeId(to + 1), limit: 1000 });
        let entries = 0;
        const fits = items.filter((change, index) => {
          entries += change.add.length + change.lift.length;
          return index === 0 || entries <= ENTRIES_IN_ANSWER;
        });
        return { changes: fits.map(({ number, add, lift }) => ({ number, add, lift })) };
      }),
    ),
  ];
}
