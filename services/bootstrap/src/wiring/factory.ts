import type { DeviceServiceDeps } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import type { Collections } from '../collections.ts';
import { type FirstContacts, recordFirstContact } from '../domain/claim/first-contact.ts';
import { type FactoryPins, inForce } from '../domain/factory/factory-pins.ts';
import { guardFirstContact } from '../http/bootstrap-routes.ts';
import { serveFactory } from '../messaging/factory.ts';
import { serveImports } from '../messaging/factory-import.ts';
import { serveFirstContacts } from '../messaging/first-contacts.ts';

/** Making devices, and taking up those that were made elsewhere. */
export async function openFactory(
  { bus, now, log, admission }: DeviceServiceDeps,
  {
    factories,
    ...collections
  }: Pick<Collections, 'devices' | 'rules' | 'voided' | 'accountStates'> & {
    readonly factories: FactoryPins;
  },
): Promise<AsyncDisposable & { readonly guard: (app: FastifyInstance) => void }> {
  await using stack = new AsyncDisposableStack();
  const deps = { ...collections, factories, bus, now };
  for (const subscription of await serveFactory(deps)) stack.use(subscription);
  stack.use(await serveImports({ ...deps, issuers: () => admission.trust.issuers(), pins: factories }));
  const contacts: FirstContacts = {
    pinsOf: (keyId) => {
      const pins = inForce(factories.byKeyId(keyId));
      return pins.some(({ firstContact }) => firstContact !== undefined) ? pins : [];
    },
    meet: async (pins, certificate) => {
      const waiting = await recordFirstContact(deps, pins, certificate);
      if (waiting !== undefined)
        log.warn(
          { ...pins[0], fingerprint: certificate.fingerprint, reason: waiting },
          'first contact: the device could not be claimed, and waits',
        );
    },
  };
  stack.use(await serveFirstContacts(bus, { ...contacts, issuers: () => admission.trust.issuers(), now }));
  const rest = stack.move();
  return {
    guard: (app) =>
      guardFirstContact(app, { ...contacts, refuse: (facts) => admission.refusals.report(facts) }),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
