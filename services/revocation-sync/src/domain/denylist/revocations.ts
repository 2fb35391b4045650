import type { Bus, Consumer } from '@signet/bus';
import {
  type hearDenials as HearDenials,
  type OperationOutput,
  type ParsedInput,
  parseEvent,
  type SignetEvent,
} from '@signet/contracts';
import {
  accountTypes,
  intentsOfEvent,
  intentsOfHandover,
  revocationTypes,
  stateTypes,
} from '../denial/intents-of-event.ts';
import type { DenialDebt } from '../ledger/denial-debt.ts';
import type { Ledger } from '../ledger/ledger.ts';

type RevocationContext = {
  readonly ledger: Ledger;
  readonly debt: DenialDebt;
  /** How long a denial outlasts the notAfter of what it denies. */
  readonly keepSeconds: number;
};

/** Never given up: with the store unavailable for days, a revocation still has to take effect when it is back. */
const maxDeliveries = 1_000_000;

/** The consumers by which revocations come. Those that undo each other come in order, device by device. */
export const revocationConsumers = [
  { durable: 'revocation-sync-certificates', types: revocationTypes, maxDeliveries },
  { durable: 'revocation-sync-states', types: stateTypes, ordered: true, maxDeliveries },
  { durable: 'revocation-sync-accounts', types: accountTypes, ordered: true, maxDeliveries },
] as const satisfies readonly Consumer[];

/** Turns a revocation event into changes of the deny list. */
export function applyRevocation(ctx: RevocationContext, event: SignetEvent): Promise<void> {
  return ctx.debt.taking(async () => {
    const intents = intentsOfEvent(event, ctx.keepSeconds);
    if (intents.length > 0) await ctx.ledger.append(intents);
  });
}

/**
 * Denials of which whoever wrote them tells directly, before the stream has them. The number of an event among those of
 * its document keeps it from undoing what came after it.
 */
export function hearDenials(
  { ledger, debt, keepSeconds }: RevocationContext,
  { events }: ParsedInput<typeof HearDenials>,
): Promise<OperationOutput<typeof HearDenials>> {
  return debt.taking(async () => {
    const intents = events.flatMap((event) => intentsOfEvent(parseEvent(event), keepSeconds));
    return { number: intents.length === 0 ? ledger.number : await ledger.append(intents) };
  });
}

/** A device changed hands: what operators of its former account denied of it is over. */
export async function endOwnersDenials(
  { ledger }: Pick<RevocationContext, 'ledger'>,
  event: SignetEvent,
): Promise<void> {
  const intents = intentsOfHandover(event);
  if (intents.length > 0) await ledger.append(intents);
}

/** How many revocations wait in the stream. */
export async function countWaiting({ bus }: { readonly bus: Pick<Bus, 'pending'> }): Promise<number> {
  const waiting = await Promise.all(revocationConsumers.map((consumer) => bus.pending(consumer)));
  return waiting.reduce((sum, one) => sum + one, 0);
}
