import { z } from 'zod';

/**
 * States of a provisioning request. `CREATED` by an operator, `STARTED` by right credentials of the right device,
 * `RUNNING` with its bundle, `CONF_UPDATED` once its config is applied, `COMPLETED` once it is at work; and, final as
 * that, `FAILED` after the last attempt, `ABANDONED` when its window closed, `STOPPED` by an operator.
 */
export const ProvisioningState = z.enum([
  'CREATED',
  'STARTED',
  'RUNNING',
  'CONF_UPDATED',
  'COMPLETED',
  'FAILED',
  'ABANDONED',
  'STOPPED',
]);
export type ProvisioningState = z.infer<typeof ProvisioningState>;
