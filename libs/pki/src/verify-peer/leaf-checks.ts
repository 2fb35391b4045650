import type { Certificate } from '../certificate.ts';
import { EKU } from '../extensions.ts';
import { type Finding, timeText } from './finding.ts';

/** What a certificate is for: the handoff, to ask for a registration, or everything after. */
export type Purpose = 'bootstrap' | 'registration' | 'operational';

/** Whether the time lies within the certificate's validity, both ends included (RFC 5280 §4.1.2.5). */
export function checkValidity(leaf: Certificate, now: number): Finding | undefined {
  if (now < leaf.notBefore)
    return { code: 'not-yet-valid', message: `notBefore: not valid before ${timeText(leaf.notBefore)}` };
  if (now > leaf.notAfter)
    return { code: 'expired', message: `notAfter: expired at ${timeText(leaf.notAfter)}` };
  return undefined;
}

/**
 * Whether the certificate has the shape of a client's (RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.12). Key usages may be
 * missing from a bootstrap certificate (IEEE 802.1AR §8.10 leaves them to the maker), not from an operational one.
 */
export function checkShape(leaf: Certificate, purpose: Purpose): Finding | undefined {
  const { basicConstraints, keyUsage, extKeyUsage, unknownCritical } = leaf;
  if (basicConstraints?.ca === true) return { code: 'not-a-leaf', message: 'basicConstraints: is a CA' };
  if (keyUsage === undefined ? purpose !== 'bootstrap' : !keyUsage.has('digitalSignature'))
    return { code: 'wrong-key-usage', message: 'keyUsage: digitalSignature is missing' };
  if (keyUsage?.has('keyCertSign') === true || keyUsage?.has('cRLSign') === true)
    return { code: 'wrong-key-usage', message: 'keyUsage: may sign certificates or CRLs, which is for a CA' };
  if (extKeyUsage === undefined ? purpose !== 'bootstrap' : !extKeyUsage.includes(EKU.clientAuth))
    return { code: 'wrong-extended-key-usage', message: 'extKeyUsage: clientAuth is missing' };
  const [unknown] = unknownCritical;
  if (unknown !== undefined)
    return {
      code: 'malformed-certificate',
      message: `extensions: critical extension ${unknown} is not known`,
    };
  return undefined;
}
