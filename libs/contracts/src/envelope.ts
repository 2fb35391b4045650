import { z } from 'zod';
import { Account, DeviceId } from './identifiers.ts';

/**
 * CloudEvents 1.0, structured JSON mode. `subject` is the device id, or the CA id for events of a CA.
 * `sequence` numbers the events of one stored document (CloudEvents "sequence" extension), from 1.
 */
export const Envelope = z.object({
  specversion: z.literal('1.0'),
  id: z.uuidv7(),
  type: z.string(),
  source: z.string().regex(/^\/[a-z-]+$/, 'source: "/<service>"'),
  subject: DeviceId,
  time: z.iso.datetime(),
  datacontenttype: z.literal('application/json'),
  account: Account,
  sequence: z.number().int().min(1).optional(),
  traceparent: z
    .string()
    .regex(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/, 'traceparent: W3C Trace Context')
    .optional(),
});
export type Envelope = z.infer<typeof Envelope>;
