import type { Bus } from '@signet/bus';
import {
  DENYLIST_DIGEST_SUBJECT,
  DENYLIST_HEAD_SUBJECT,
  type denylistChanges,
  type denylistSnapshot,
  OperationError,
  type OperationOutput,
  type ParsedInput,
} from '@signet/contracts';
import { type DenyListDigest, encodeDigest, encodeHead } from '@signet/denylist';
import type { Log } from '../documents/documents.ts';
import type { DenialDebt } from './denial-debt.ts';
import type { Ledger } from './ledger.ts';
import { type Changes, changeId } from './records.ts';

/** Entries in one answer of changes, about. */
const ENTRIES_IN_ANSWER = 2000;

/** A page of the deny list, for a replica that begins. @throws OperationError `invalid-input` */
export async function readSnapshot(
  { ledger }: { readonly ledger: Ledger },
  { cursor }: ParsedInput<typeof denylistSnapshot>,
): Promise<OperationOutput<typeof denylistSnapshot>> {
  const page = ledger.snapshot(cursor);
  if (page === undefined)
    throw new OperationError('invalid-input', 'cursor: none of a snapshot', { field: 'cursor' });
  return page;
}

/** Changes of the deny list, for a replica that goes on: as many as fit an answer, at least one. */
export async function readChanges(
  { changes }: { readonly changes: Changes },
  { from, to }: ParsedInput<typeof denylistChanges>,
): Promise<OperationOutput<typeof denylistChanges>> {
  const { items } = await changes.find({ from: changeId(from), to: changeId(to + 1), limit: 1000 });
  let entries = 0;
  const fitting = items.filter((change, index) => {
    entries += change.add.length + change.lift.length;
    return index === 0 || entries <= ENTRIES_IN_ANSWER;
  });
  return { changes: fitting.map(({ number, add, lift }) => ({ number, add, lift })) };
}

/**
 * Tells every replica the number of the last change, and for how long denials have been owed. A head that is lost is
 * followed by another within 5 s.
 */
export function announceHead(
  { bus, debt, log }: { readonly bus: Pick<Bus, 'send'>; readonly debt: DenialDebt; readonly log: Log },
  number: number,
): void {
  const head = encodeHead({ number, owedMs: debt.owedMs() });
  bus.send(DENYLIST_HEAD_SUBJECT, head).catch((error: unknown) => {
    log.warn({ err: error, number }, 'deny list: failed to send its head');
  });
}

/** Tells every replica what the list comes to, those of the authority among them. */
export async function announceDigest({
  bus,
  ledger,
}: {
  readonly bus: Pick<Bus, 'send'>;
  readonly ledger: Ledger;
}): Promise<void> {
  await bus.send(DENYLIST_DIGEST_SUBJECT, encodeDigest(ledger.digest));
}

/** How the lists of two replicas of the authority differed when they were compared last; undefined where they agreed. */
export type DigestStatus = { mismatch: string | undefined };

/**
 * Compares this replica's list with what another says of its own. One that differs is made anew of the store.
 * @returns whether they differ
 */
export function checkDigest(
  ctx: { readonly ledger: Ledger; readonly digestStatus: DigestStatus; readonly log: Log },
  said: DenyListDigest,
): boolean {
  const { ledger, digestStatus, log } = ctx;
  const agrees = ledger.agrees(said);
  if (agrees === undefined) return false;
  digestStatus.mismatch = agrees
    ? undefined
    : `deny list: at change ${said.number} two replicas of its authority differ`;
  if (digestStatus.mismatch === undefined) return false;
  log.error({ said, own: ledger.digest }, digestStatus.mismatch);
  ledger
    .reload()
    .catch((error: unknown) => log.error({ err: error }, 'deny list: failed to load it anew from the store'));
  return true;
}
