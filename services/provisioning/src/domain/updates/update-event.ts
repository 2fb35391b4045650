import { newEvent, type SignetEvent } from '@signet/contracts';
import { z } from 'zod';

/** What a device reports of an update, as `POST /events` carries it. The device's clock is not relied on. */
export const UpdateEvent = z.object({
  id: z.uuid(),
  deviceTime: z.string().max(64),
  event: z.object({
    correlationId: z.string().min(1).max(128),
    success: z.boolean().nullish(),
    targetName: z.string().max(256).nullish(),
    version: z.string().max(64).nullish(),
    details: z.string().max(4096).nullish(),
  }),
  eventType: z.object({ id: z.string().min(1).max(128), version: z.number() }),
});
export type UpdateEvent = z.infer<typeof UpdateEvent>;

/** The step of a key rotation that it reports; undefined for events of other updates. */
export function rotationStep(
  device: { readonly account: string; readonly deviceId: string },
  { event, eventType }: UpdateEvent,
  now: number,
): SignetEvent | undefined {
  if (!event.correlationId.startsWith('certs-')) return undefined;
  return newEvent('DEVICE_ROTATION_STEP', {
    account: device.account,
    subject: device.deviceId,
    time: now,
    data: {
      deviceId: device.deviceId,
      rotationId: event.correlationId,
      step: eventType.id,
      success: event.success ?? true,
      ...(event.details == null ? {} : { details: event.details }),
    },
  });
}
