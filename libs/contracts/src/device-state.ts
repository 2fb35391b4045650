import { z } from 'zod';

/** States of a device. `pending` and `blocked` stand aside of the line; `retired` is final. */
export const DeviceState = z.enum([
  'manufactured',
  'claimed',
  'bootstrapped',
  'enrolled',
  'active',
  'pending',
  'blocked',
  'retired',
]);
export type DeviceState = z.infer<typeof DeviceState>;
