import type { Authority } from '@signet/contracts';
import type { DeviceServiceDeps } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import type { Collections } from '../adapters/collections.ts';
import { type FirstContacts, meet } from '../domain/factory/first-contact.ts';
import { guardFirstContact } from '../http/first-contact.ts';
import { serveFactory } from '../messaging/factory.ts';
import { serveImports } from '../messaging/factory-import.ts';
import { serveFirstContacts } from '../messaging/first-contacts.ts';

/** Making devices, and taking up those that were made elsewhere. */
export async function openFactory(
  { bus, now, log, door }: DeviceServiceDeps,
  collections: Pick<Collections, 'devices' | 'rules' | 'voided'>,
): Promise<AsyncDisposable & { readonly guard: (app: FastifyInstance) => void }> {
  await using stack = new AsyncDisposableStack();
  const authorityOf = byKeyId(() => door.trust.authorities());
  const deps = { ...collections, bus, now };
  for (const subscription of await serveFactory(deps)) stack.use(subscription);
  stack.use(
    await serveImports({
      ...deps,
      issuers: () => door.trust.issuers(),
      authorityOf: (keyId) => authorityOf(keyId)?.authorityId,
    }),
  );
  const contacts: FirstContacts = {
    factoryOf: (keyId) => {
      const { authorityId = '', account = '', firstContact } = authorityOf(keyId) ?? {};
      return firstContact === undefined ? undefined : { authorityId, account, firstContact };
    },
    meet: async (factory, certificate) => {
      const waiting = await meet(deps, factory, certificate);
      if (waiting !== undefined)
        log.warn(
          { ...factory, fingerprint: certificate.fingerprint, reason: waiting },
          'first contact: the device could not be claimed, and waits',
        );
    },
  };
  stack.use(await serveFirstContacts(bus, { ...contacts, issuers: () => door.trust.issuers(), now }));
  const rest = stack.move();
  return {
    guard: (app) => guardFirstContact(app, { ...contacts, refuse: (facts) => door.refusals.report(facts) }),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** The pinned factory CA with a subject key id; looked up anew when the pinned ones changed. */
function byKeyId(authorities: () => readonly Authority[]): (keyId: string) => Authority | undefined {
  let of: readonly Authority[] = [];
  let found = new Map<string, Authority>();
  return (keyId) => {
    if (of !== authorities()) {
      of = authorities();
      const factories = of.filter(({ kind }) => kind === 'factory');
      found = new Map(factories.map((authority) => [authority.subjectKeyId, authority]));
    }
    return found.get(keyId);
  };
}
