import { type Finding, timeText } from './finding.ts';
import type { PinnedIssuer } from './issuer-set.ts';

/** More CAs above a leaf than anyone has. */
const MAX_CHAIN = 8;

/**
 * Whether this CA may vouch for leaves now, and the CAs above it as far as they are pinned (RFC 5280 §6.1.4).
 * Only CAs of the same account or of the platform count as above: no tenant's CA can undo another's.
 * `below` are the CAs between it and the leaf. Undefined: nothing wrong.
 */
export function checkIssuer(
  issuer: PinnedIssuer,
  now: number,
  platformAccount: string,
  below: readonly PinnedIssuer[] = [],
): Finding | undefined {
  const own = checkOne(issuer, now, below);
  if (own !== undefined) return own;
  const above = issuer.parents.filter(
    (parent) =>
      (parent.account === issuer.account || parent.account === platformAccount) && !below.includes(parent),
  );
  const chain = [...below, issuer];
  if (above.length > 0 && chain.length === MAX_CHAIN)
    return { code: 'path-too-long', message: `issuer: more than ${MAX_CHAIN} CAs above the certificate` };
  let first: Finding | undefined;
  for (const parent of above) {
    const finding = checkIssuer(parent, now, platformAccount, chain);
    if (finding === undefined) return undefined;
    first ??= finding;
  }
  return first;
}

function checkOne(issuer: PinnedIssuer, now: number, below: readonly PinnedIssuer[]): Finding | undefined {
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
  // A CA that goes on under its own name (a rollover) does not count (RFC 5280 §4.2.1.9).
  const height = below.filter(
    ({ certificate: { issuerDer, subjectDer } }) => Buffer.compare(issuerDer, subjectDer) !== 0,
  ).length;
  if (pathLen !== undefined && pathLen < height)
    return {
      code: 'path-too-long',
      message: `${who}: pathLen is ${pathLen}, but ${height} CAs stand between it and the certificate`,
    };
  return undefined;
}
