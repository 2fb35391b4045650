import { z } from 'zod';
import { Account } from '../identifiers.ts';
import { operation } from '../operation.ts';

/** What an account wants of the MQTT broker beyond certificates. */
export const MqttPolicy = z.object({
  /** A device must also show the user name and password that it was handed; both must pass. */
  secondFactor: z.boolean(),
  /** Devices may subscribe to `a/<account>/shared/…`. */
  shared: z.boolean(),
  /** The last message of each shared topic is kept for devices that subscribe later; an empty one ends that. */
  retainShared: z.boolean(),
});
export type MqttPolicy = z.infer<typeof MqttPolicy>;

/** What holds for an account that has not said otherwise. */
export const defaultMqttPolicy: MqttPolicy = { secondFactor: false, shared: true, retainShared: false };

export const getMqttPolicy = operation('mqtt-broker.policy', {
  idempotent: true,
  input: z.object({ account: Account }),
  output: MqttPolicy,
  errors: [],
});

/** Changes what is named, for connections from now on. */
export const setMqttPolicy = operation('mqtt-broker.set-policy', {
  input: z.object({ account: Account, change: MqttPolicy.partial(), by: z.string() }),
  output: MqttPolicy,
  errors: [],
});
