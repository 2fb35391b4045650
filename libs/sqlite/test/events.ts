import { newEvent, type SignetEvent } from '@signet/contracts';

/** An event about a thing; which one does not matter to a log. */
export function eventOf(thing: string): SignetEvent {
  return newEvent('DENYLIST_CHANGED', {
    account: 'acme',
    subject: thing,
    time: Date.UTC(2026, 0, 1),
    data: { number: 1, add: [], lift: [] },
  });
}
