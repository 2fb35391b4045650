import { join } from 'node:path';
import { type ServiceDeps, whenAvailable } from '@signet/service';
import type { Collections } from '../adapters/collections.ts';
import { guardKeyStores } from '../adapters/guarded-keys.ts';
import { type KeyStores, openKeyStores } from '../adapters/key-stores.ts';
import type { EstCaConfig } from '../config.ts';
import { ensureHierarchy } from '../domain/authority/ensure-hierarchy.ts';
import { type LiveRing, liveRing } from '../domain/authority/live-ring.ts';
import { standingOf } from '../domain/authority/ring.ts';
import type { PublicUrls } from '../domain/certificate/leaf-signer.ts';
import { followAuthorities } from '../messaging/follow-authorities.ts';

/** The CAs of this service and where their keys are. */
export type OpenAuthorities = AsyncDisposable & { readonly keys: KeyStores; readonly ring: LiveRing };

/** The folder of keys in files. */
export function keyFolderOf(config: Pick<EstCaConfig, 'SIGNET_DATA_DIR' | 'SIGNET_EST_KEY_DIR'>): string {
  return config.SIGNET_EST_KEY_DIR ?? join(config.SIGNET_DATA_DIR, 'est-ca', 'keys');
}

/** Opens the key stores, makes the platform's CAs if they are not there yet, and follows those on record. */
export async function openAuthorities(
  config: EstCaConfig,
  { bus, clock, health, log, now }: ServiceDeps,
  { authorities, urls }: Pick<Collections, 'authorities'> & { readonly urls: PublicUrls },
): Promise<OpenAuthorities> {
  await using stack = new AsyncDisposableStack();
  const opened = await openKeyStores({
    folder: keyFolderOf(config),
    tokenUri: config.SIGNET_EST_PKCS11,
    pin: config.SIGNET_EST_PKCS11_PIN,
    custody: config.SIGNET_EST_KEYS,
  });
  const keys = stack.use(guardKeyStores(opened, clock?.fault));
  stack.use(health.register('est-ca.key-store', () => keys.failure()));
  const trustDomain = config.SIGNET_TRUST_DOMAIN;
  const held = await whenAvailable(log, () => ensureHierarchy({ authorities, keys, trustDomain, urls, now }));
  const onLost = (id: string, error: unknown) =>
    log.error({ err: error, authorityId: id }, 'authorities: the key cannot be opened');
  const ring = liveRing({ authorities, keys, now, onLost }, held);
  stack.use(await followAuthorities(bus, ring.refresh, log));
  await whenAvailable(log, ring.refresh);
  const withinDays = Math.min(config.SIGNET_EST_VALIDITY_DAYS * 2, 180);
  stack.use(health.register('est-ca.keys', () => standingOf(ring, { now: now(), withinDays })));
  const rest = stack.move();
  return { keys, ring, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
