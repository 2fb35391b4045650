import type { ResponderKeys } from '../domain/ocsp/responders.ts';
import { purposeKeys } from './purpose-keys.ts';

/** Keys of OCSP responders: one for each CA. */
export function responderKeys(folder: string): ResponderKeys {
  return purposeKeys(folder, 'ocsp');
}
