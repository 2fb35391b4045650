import { z } from 'zod';
import { Fingerprint } from '../identifiers.ts';
import { operation } from '../operation.ts';

/** Which device a fingerprint or a claim code means, whosever it is. Between services: it does not ask who may know. */
export const identifyDevice = operation('bootstrap.identify', {
  input: z.object({ fingerprint: Fingerprint.optional(), code: z.string().max(64).optional() }),
  output: z.object({ fingerprint: Fingerprint, deviceSerialNumber: z.string() }),
  errors: ['unknown-device', 'bad-claim-code', 'ambiguous-code'],
});
