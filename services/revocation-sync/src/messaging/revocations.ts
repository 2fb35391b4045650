import type { Bus, Subscription } from '@signet/bus';
import { hearDenials, parseEvent } from '@signet/contracts';
import type { DenialDebt } from '../domain/denial-debt.ts';
import type { DenyLedger } from '../domain/deny-ledger.ts';
import { accountTypes, intentsOfEvent, revocationTypes, stateTypes } from '../domain/intents-of-event.ts';
import { answering } from './answering.ts';

/** Never given up: with the store away for days, a revocation still has to take effect when it is back. */
const maxDeliveries = 1_000_000;
const certificates = { durable: 'revocation-sync-certificates', types: revocationTypes, maxDeliveries };
const states = { durable: 'revocation-sync-states', types: stateTypes, ordered: true, maxDeliveries };
const accounts = { durable: 'revocation-sync-accounts', types: accountTypes, ordered: true, maxDeliveries };

/**
 * Turns revocation events into changes of the deny list. Those that undo each other come in order, device by device. A
 * denial is heard from whoever wrote it, too, before the stream has it: its number among the events of its document keeps
 * one from undoing what came after it.
 */
export async function consumeRevocations(
  bus: Bus,
  ledger: DenyLedger,
  debt: DenialDebt,
  keepSeconds: number,
): Promise<Subscription[]> {
  const handle = (event: Parameters<typeof intentsOfEvent>[0]) =>
    debt.taking(async () => {
      const intents = intentsOfEvent(event, keepSeconds);
      if (intents.length > 0) await ledger.append(intents);
    });
  return [
    await bus.serve(hearDenials, ({ events }) =>
      answering(() =>
        debt.taking(async () => {
          const intents = events.flatMap((event) => intentsOfEvent(parseEvent(event), keepSeconds));
          return { number: intents.length === 0 ? ledger.number : await ledger.append(intents) };
        }),
      ),
    ),
    await bus.consume(certificates, handle),
    await bus.consume(states, handle),
    await bus.consume(accounts, handle),
  ];
}

/** How many revocations wait in the stream. */
export async function waitingRevocations(bus: Bus): Promise<number> {
  const waiting = await Promise.all([certificates, states, accounts].map((each) => bus.pending(each)));
  return waiting.reduce((sum, one) => sum + one, 0);
}
