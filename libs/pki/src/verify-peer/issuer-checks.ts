import type { Certificate } from '../certificate.ts';
import { isSameName } from '../name-comparison.ts';
import { type NameConstraints, nameConstraintsOf, outsideOf } from '../name-constraints.ts';
import { PkiError } from '../pki-error.ts';
import { type Finding, timeText } from './finding.ts';
import type { PinnedIssuer } from './issuer-set.ts';
import { isSignedBy, MAX_VISITS, Work } from './work.ts';

/** More CAs above a leaf than anyone has. */
const MAX_CHAIN = 8;

/** A CA on the way up. `height`: CAs between it and the leaf, as pathLen counts them. */
type Step = {
  readonly issuer: PinnedIssuer;
  readonly height: number;
  readonly depth: number;
  readonly below?: Step;
};

/**
 * Whether this CA may vouch for leaves now, and the CAs above it as far as they are pinned (RFC 5280 §6.1.4): it may if
 * one way up is good, or if nothing above it is wrong. Only CAs of the same account or of the platform count as above:
 * no tenant's CA can undo another's. A CA with the same key does not stand above it.
 * Each CA is looked at once, the nearest to the leaf first, which is where most of pathLen is left; at most
 * {@link MAX_VISITS} of them. Undefined: nothing wrong.
 */
export function checkIssuer(
  issuer: PinnedIssuer,
  now: number,
  platformAccount: string,
  work: Work = new Work(),
  leaf?: Certificate,
): Finding | undefined {
  const own = checkOne({ issuer, height: 0, depth: 1 }, now, leaf);
  if (own !== undefined) return own;
  const relevant = ({ account }: PinnedIssuer) => account === issuer.account || account === platformAccount;
  const seen = new Set<PinnedIssuer>();
  const rows: Step[][] = [[{ issuer, height: 0, depth: 1 }]];
  let first: Finding | undefined;
  for (let height = 0; height < rows.length; height++)
    for (const step of rows[height] ?? []) {
      if (seen.has(step.issuer)) continue;
      if (step.issuer !== issuer && !work.takeVisit())
        return tooLong(`more than ${MAX_VISITS} CAs stand above those that may have signed the certificate`);
      seen.add(step.issuer);
      const finding = checkOne(step, now, leaf);
      const above = finding === undefined ? parentsOf(step, relevant, work) : [];
      if (finding === undefined && above.length === 0 && !work.isExhausted) return undefined;
      first ??= finding ?? flawAbove(step, work);
      if (step.depth === MAX_CHAIN) continue;
      const next = step.height + (isSelfIssued(step.issuer) ? 0 : 1);
      const row = rows[next] ?? [];
      rows[next] = row;
      for (const parent of above)
        row.push({ issuer: parent, height: next, depth: step.depth + 1, below: step });
    }
  return first;
}

function parentsOf(
  step: Step,
  relevant: (issuer: PinnedIssuer) => boolean,
  work: Work,
): readonly PinnedIssuer[] {
  const { certificate } = step.issuer;
  return step.issuer
    .possibleParents()
    .filter(
      (parent) =>
        relevant(parent) &&
        parent.certificate.publicKeyHash !== certificate.publicKeyHash &&
        !isBelow(parent, step) &&
        isSignedBy(certificate, parent.certificate, work),
    );
}

function flawAbove({ depth }: Step, work: Work): Finding | undefined {
  if (work.isExhausted) return tooLong('more CAs may have signed it than are tried');
  return depth === MAX_CHAIN ? tooLong(`more than ${MAX_CHAIN} CAs above the certificate`) : undefined;
}

function tooLong(what: string): Finding {
  return { code: 'path-too-long', message: `issuer: ${what}` };
}

function isBelow(issuer: PinnedIssuer, step: Step): boolean {
  for (let next: Step | undefined = step; next !== undefined; next = next.below)
    if (next.issuer === issuer) return true;
  return false;
}

/** A CA that goes on under its own name (a rollover) does not count for pathLen (RFC 5280 §4.2.1.9). */
function isSelfIssued({ certificate: { issuerDer, subjectDer } }: PinnedIssuer): boolean {
  return isSameName(issuerDer, subjectDer);
}

function checkOne(step: Step, now: number, leaf: Certificate | undefined): Finding | undefined {
  const { issuer, height } = step;
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
  return boundsOf(step, leaf, who);
}

/** Bounds hold for the leaf and for every CA in between that does not go on under its own name (RFC 5280 §6.1.4). */
function boundsOf({ issuer, below }: Step, leaf: Certificate | undefined, who: string): Finding | undefined {
  let constraints: NameConstraints | undefined;
  try {
    constraints = nameConstraintsOf(issuer.certificate.extensions);
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    return { code: 'issuer-disabled', message: `${who}: ${error.message}` };
  }
  if (constraints === undefined) return undefined;
  const bound = leaf === undefined ? [] : [leaf];
  for (let step = below; step !== undefined; step = step.below)
    if (!isSelfIssued(step.issuer)) bound.push(step.issuer.certificate);
  for (const certificate of bound) {
    const reason = outsideOf(constraints, certificate);
    if (reason !== undefined) return { code: 'bad-identity', message: `${who}: nameConstraints: ${reason}` };
  }
  return undefined;
}
