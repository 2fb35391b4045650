import type { Bus } from '@signet/bus';
import type { RefusalCode } from '@signet/contracts';
import { type DenyList, type DenyListSource, denyListSource, peerDenyKeys } from '@signet/denylist';
import type { PeerFacts } from '@signet/pki';

/** What a gate asks of the deny list. */
export interface DenialSource {
  /** Why the list denies this peer, if it does. */
  denied(facts: PeerFacts): string | undefined;
  /** Why nobody can be admitted by this list: not loaded, or (where that refuses) stale. */
  unable(): { readonly code: RefusalCode; readonly message: string } | undefined;
  /** When that was asked for which led to the change that was heard last, Unix ms. */
  changedAt(): number | undefined;
}

/** The deny list as gates ask it. */
export function denialsOf(list: DenyList, changedAt: () => number | undefined): DenialSource {
  return {
    denied(facts) {
      const admitting = list.admitting();
      const verdict = admitting.ok ? admitting.list.check(peerDenyKeys(facts)) : 'clear';
      return verdict === 'clear' ? undefined : `its ${verdict.denied} is denied`;
    },
    unable() {
      const admitting = list.admitting();
      return admitting.ok ? undefined : { code: admitting.code, message: admitting.message };
    },
    changedAt,
  };
}

/** The source over a bus, and when the last change that came through it was asked for. */
export function timedSource(bus: Bus): { readonly source: DenyListSource; changedAt(): number | undefined } {
  let changedAt: number | undefined;
  return {
    source: {
      ...denyListSource(bus),
      onChange: (handler) =>
        bus.tail({ types: ['DENYLIST_CHANGED'], from: 'new' }, (event) => {
          if (event.type !== 'DENYLIST_CHANGED') return;
          changedAt = Date.parse(event.data.since ?? event.time);
          handler(event.data);
        }),
    },
    changedAt: () => changedAt,
  };
}
