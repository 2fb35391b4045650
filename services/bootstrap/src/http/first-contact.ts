import { Problem, peerOf, type RefusalFacts } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { BootstrapError } from '../domain/device/bootstrap-error.ts';
import type { FirstContacts } from '../domain/factory/first-contact.ts';

/** Before a device asks for its handoff: is it one that a registered CA made, and that comes for the first time? */
export function guardFirstContact(
  app: FastifyInstance,
  options: FirstContacts & { readonly refuse: (facts: RefusalFacts) => void },
): void {
  app.addHook('preHandler', async (request) => {
    if (request.routeOptions.url !== '/v1/bootstrap') return;
    const peer = peerOf(request.raw.socket);
    const pins = peer?.purpose === 'bootstrap' ? options.pinsOf(peer.issuer.keyId) : [];
    if (peer === undefined || pins.length === 0) return;
    try {
      await options.meet(pins, peer.certificate);
    } catch (error) {
      if (!(error instanceof BootstrapError)) throw error;
      for (const { account } of pins)
        options.refuse({
          ...{ code: 'unknown-device', message: error.message, account },
          deviceId: peer.deviceId,
          fingerprint: peer.facts.fingerprint,
          ...{ listener: 'bootstrap', address: request.ip },
        });
      throw new Problem(403, 'unknown-device', 'this device is not admitted here');
    }
  });
}
