import { z } from 'zod';
import { Pem } from '../identifiers.ts';
import { operation } from '../operation.ts';

/**
 * A device showed its bootstrap certificate elsewhere than at the bootstrap service. One that a registered CA made is
 * taken up if it comes for the first time, and its account wants that (F48). Repeating it changes nothing.
 */
export const meetDevice = operation('bootstrap.meet-device', {
  input: z.object({ certificate: Pem.max(16_384) }),
  output: z.object({
    met: z.boolean().describe('False: no CA whose devices are taken up at their first contact made it'),
  }),
  errors: ['unknown-device', 'bad-certificate'],
});
