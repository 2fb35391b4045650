import type { Bus, Subscription } from '@signet/bus';
import { rotationOver } from '../../domain/config/device-config.ts';
import type { ConfigStore } from './collections.ts';

type Deps = { readonly bus: Bus; readonly store: Pick<ConfigStore, 'configs'>; readonly now: () => number };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** What a device encrypted to its next key goes with that key: dropped, it is as it was before. */
export function followKeys({ bus, store, now }: Deps): Promise<Subscription> {
  return bus.consume(
    {
      durable: 'provisioning-config-keys',
      types: ['DEVICE_ROTATION_CANCELLED', 'DEVICE_PUBKEY_CHANGE'],
      maxDeliveries,
    },
    async (event) => {
      const { account, subject } = event;
      const facts =
        event.type === 'DEVICE_ROTATION_CANCELLED'
          ? { ...pick(event.data), promoted: false }
          : event.type === 'DEVICE_PUBKEY_CHANGE'
            ? { publicKeyHash: event.data.newPublicKeyHash, rotationId: '', promoted: true }
            : undefined;
      const id = `${account}/${subject}`;
      if (facts === undefined || (await store.configs.get(id)) === undefined) return;
      await store.configs.update(id, (config) => rotationOver(config, { ...facts, now: now() }));
    },
  );
}

function pick({ publicKeyHash, rotationId }: { publicKeyHash: string; rotationId: string }) {
  return { publicKeyHash, rotationId };
}
