import type { Bus, Subscription } from '@signet/bus';
import { checkMqttCredentials, createMqttCredentials, OperationError } from '@signet/contracts';
import { type Collection, StoreError } from '@signet/store';
import {
  areCredentials,
  type MqttCredentials,
  randomCredentials,
  used,
  withCredentials,
} from '../domain/credentials/mqtt-credentials.ts';
import { keyRingId } from '../domain/rotation/key-ring.ts';

type Deps = { bus: Bus; credentials: Collection<MqttCredentials>; now: () => number };

/** Random MQTT credentials of devices: made for the hand-over, checked for the broker (F21). */
export async function serveMqttCredentials({ bus, credentials, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(createMqttCredentials, async ({ account, deviceId }) => {
      const given = randomCredentials();
      const id = keyRingId(account, deviceId);
      await credentials.insert({ id, account, deviceId, issued: [] }).catch((error: unknown) => {
        if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
      });
      await credentials.update(id, (held) => withCredentials(held, given, now()));
      return given;
    }),
    await bus.serve(checkMqttCredentials, async ({ account, deviceId, ...given }) => {
      const held = await credentials.get(keyRingId(account, deviceId));
      if (held === undefined || !areCredentials(held, given))
        throw new OperationError('wrong-password', `username: wrong user name or password for "${deviceId}"`);
      await credentials.update(held.id, (current) => used(current, given));
      return {};
    }),
  ];
}
