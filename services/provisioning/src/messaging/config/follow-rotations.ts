import type { Bus, Subscription } from '@signet/bus';
import { keyDropped, keyPromoted } from '../../domain/config/rekeyed.ts';
import type { ConfigStore } from './collections.ts';

type Deps = { readonly bus: Bus; readonly store: Pick<ConfigStore, 'configs'> };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** What a device encrypted to an announced key goes with that key: promoted, it is the config; dropped, it is gone. */
export function followKeys({ bus, store }: Deps): Promise<Subscription> {
  return bus.consume(
    {
      durable: 'provisioning-config-keys',
      types: ['DEVICE_ROTATION_CANCELLED', 'DEVICE_PUBKEY_CHANGE'],
      maxDeliveries,
    },
    async (event) => {
      const id = `${event.account}/${event.subject}`;
      if ((await store.configs.get(id)) === undefined) return;
      if (event.type === 'DEVICE_PUBKEY_CHANGE')
        await store.configs.update(id, (config) => keyPromoted(config, event.data.newPublicKeyHash));
      if (event.type === 'DEVICE_ROTATION_CANCELLED' && event.data.keyKept !== true)
        await store.configs.update(id, (config) => keyDropped(config, event.data.publicKeyHash));
    },
  );
}
