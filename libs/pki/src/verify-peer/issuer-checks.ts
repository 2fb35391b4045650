import { type Finding, timeText } from './finding.ts';
import type { PinnedIssuer } from './issuer-set.ts';

/** More CAs above a leaf than anyone has; ends loops of cross-certificates. */
const MAX_HEIGHT = 8;

/**
 * Whether this CA may vouch for leaves now, and the CAs above it as far as they are pinned (RFC 5280 §6.1.4).
 * Only CAs of the same account or of the platform count as above: no tenant's CA can undo another's.
 * Undefined: nothing wrong.
 */
export function checkIssuer(
  issuer: PinnedIssuer,
  now: number,
  platformAccount: string,
  height = 0,
): Finding | undefined {
  const own = checkOne(issuer, now, height);
  if (own !== undefined) return own;
  const above = issuer.parents.filter(
    ({ account }) => account === issuer.account || account === platformAccount,
  );
  if (above.length === 0) return undefined;
  if (height === MAX_HEIGHT)
    return { code: 'path-too-long', message: `issuer: more than ${MAX_HEIGHT} CAs above the certificate` };
  let first: Finding | undefined;
  for (const parent of above) {
    const finding = checkIssuer(parent, now, platformAccount, height + 1);
    if (finding === undefined) return undefined;
    first ??= finding;
  }
  return first;
}

function checkOne(issuer: PinnedIssuer, now: number, height: number): Finding | undefined {
  const { certificate, keyId, state } = issuer;
  const who = `issuer ${certificate.subject.commonName ?? ''} (${keyId})`;
  if (now > certificate.notAfter)
    return { code: 'issuer-expired', message: `${who}: expired at ${timeText(certificate.notAfter)}` };
  if (now < certificate.notBefore)
    return { code: 'issuer-expired', message: `${who}: not valid before ${timeText(certificate.notBefore)}` };
  if (state !== 'active') return { code: 'issuer-disabled', message: `${who}: is ${state}` };
  if (certificate.basicConstraints?.ca !== true)
    return { code: 'issuer-disabled', message: `${who}: is no CA (basicConstraints)` };
  if (certificate.keyUsage !== undefined && !certificate.keyUsage.has('keyCertSign'))
    return { code: 'issuer-disabled', message: `${who}: may not sign certificates (keyUsage)` };
  const [unknown] = certificate.unknownCritical;
  if (unknown !== undefined)
    return { code: 'issuer-disabled', message: `${who}: critical extension ${unknown} is not known` };
  const { pathLen } = certificate.basicConstraints;
  if (pathLen !== undefined && pathLen < height)
    return {
      code: 'path-too-long',
      message: `${who}: pathLen is ${pathLen}, but ${height} CAs stand between it and the certificate`,
    };
  return undefined;
}
