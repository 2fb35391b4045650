import { z } from 'zod';
import { Account, DeviceId } from '../identifiers.ts';
import { operation } from '../operation.ts';

/**
 * Makes random MQTT credentials of a device; they are told this once and kept as a hash. Asking again makes others: the
 * earlier ones go on until later ones are used, so that a device which never got an answer is not locked out.
 */
export const createMqttCredentials = operation('provisioning.credentials', {
  input: z.object({ account: Account, deviceId: DeviceId }),
  output: z.object({ username: z.string(), password: z.string() }),
  errors: [],
});

/** Are these credentials of this device? Asked by the broker at CONNECT, after the certificate was admitted. */
export const checkMqttCredentials = operation('provisioning.check-credentials', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    username: z.string().max(256),
    password: z.string().max(1024),
  }),
  output: z.object({}),
  errors: ['wrong-password'],
});
