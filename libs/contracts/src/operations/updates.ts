import { z } from 'zod';
import { Account, DeviceId, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/** One thing that a device reported of an update, in the order in which it came here. */
export const ReportedUpdate = z.object({
  eventId: z.string(),
  updateId: z.string().describe('`correlationId` of the report, as `certs-1669676316`'),
  event: z.string(),
  target: z.string(),
  version: z.string(),
  success: z.boolean().optional().describe('Absent where the event says neither'),
  details: z.string().optional(),
  deviceTime: z.string().describe('What the device’s clock said; it may be years off'),
  receivedAt: Time,
});
export type ReportedUpdate = z.infer<typeof ReportedUpdate>;

/** The events of one update of a device, the oldest first. */
export const listUpdateEvents = operation('provisioning.list-update-events', {
  idempotent: true,
  input: PageRequest.extend({ account: Account, deviceId: DeviceId, updateId: z.string().max(128) }),
  output: pageOf(ReportedUpdate),
  errors: [],
});

/** The updates of a device, the newest first. */
export const listUpdates = operation('provisioning.list-updates', {
  idempotent: true,
  input: PageRequest.extend({ account: Account, deviceId: DeviceId }),
  output: pageOf(
    z.object({
      updateId: z.string(),
      target: z.string(),
      version: z.string(),
      startedAt: Time,
      lastEvent: z.string(),
      lastAt: Time,
      success: z.boolean().optional(),
    }),
  ),
  errors: [],
});
