import type { Bus } from '@signet/bus';
import { DENYLIST_HEAD_SUBJECT } from '@signet/contracts';
import { encodeHead } from '@signet/denylist';
import type { Logger } from '@signet/service';

/** Says the number of the last change to every replica; one that is lost is followed by another within 5 s. */
export function headSender(bus: Bus, log: Logger): (number: number) => void {
  return (number) => {
    bus.send(DENYLIST_HEAD_SUBJECT, encodeHead(number)).catch((error: unknown) => {
      log.warn({ err: error, number }, 'deny list: cannot say its head');
    });
  };
}
