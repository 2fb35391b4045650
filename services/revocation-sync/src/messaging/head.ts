import type { Bus } from '@signet/bus';
import { DENYLIST_DIGEST_SUBJECT, DENYLIST_HEAD_SUBJECT } from '@signet/contracts';
import { type DenyListDigest, encodeDigest, encodeHead } from '@signet/denylist';
import type { Logger } from '@signet/service';

/**
 * Says the number of the last change to every replica, and for how long denials have been owed; one that is lost is
 * followed by another within 5 s.
 */
export function headSender(bus: Bus, owedMs: () => number, log: Logger): (number: number) => void {
  return (number) => {
    bus.send(DENYLIST_HEAD_SUBJECT, encodeHead({ number, owedMs: owedMs() })).catch((error: unknown) => {
      log.warn({ err: error, number }, 'deny list: cannot say its head');
    });
  };
}

/** Says what the list comes to, to every replica, those of the authority among them. */
export async function sendDigest(bus: Bus, digest: DenyListDigest): Promise<void> {
  await bus.send(DENYLIST_DIGEST_SUBJECT, encodeDigest(digest));
}
