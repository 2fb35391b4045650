import type { Bus, Subscription } from '@signet/bus';
import type { AnswerCache } from '../domain/ocsp/answer-cache.ts';

/** Lets no replica give again what it said of a certificate before its standing changed. */
export function followStanding(bus: Pick<Bus, 'tail'>, cache: AnswerCache): Promise<Subscription> {
  const types = ['CERT_REVOKED', 'CERT_RELEASED', 'CA_CHANGED'] as const;
  return bus.tail({ types, from: 'new' }, (event) => {
    if (event.type === 'CA_CHANGED') cache.clear();
    if (event.type === 'CERT_REVOKED' || event.type === 'CERT_RELEASED')
      cache.changed(event.data.serialNumber);
  });
}
