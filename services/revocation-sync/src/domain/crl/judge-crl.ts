import type { CrlHead } from '@signet/pki';
import type { PartRecord } from './source-record.ts';

/** How far ahead a CA's clock may be. */
const SKEW_MS = 300_000;

/** Codes of CRLs that change nothing, and of those that never came. */
export type CrlFault =
  | 'unreachable'
  | 'too-large'
  | 'malformed'
  | 'wrong-issuer'
  | 'bad-signature'
  | 'not-understood'
  | 'not-yet-valid'
  | 'expired'
  | 'other-scope'
  | 'older-number'
  | 'base-missing'
  | 'unavailable';

/** A CRL that is not accepted. */
export class CrlRefused extends Error {
  override readonly name = 'CrlRefused';
  readonly code: CrlFault;

  constructor(code: CrlFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What is to be done with a CRL whose signature is good. */
export type Judgement = { readonly kind: 'complete' | 'delta' | 'unchanged'; readonly number: bigint };

/** The distribution point that a CRL names, as text; empty for one that speaks of all certificates of its issuer. */
export function scopeOf({ scope }: CrlHead): string {
  if (scope === undefined) return '';
  return `${scope.onlyUserCerts ? 'user ' : ''}${[...scope.urls].sort().join(' ')}`;
}

/**
 * Judges a CRL against the newest one of its part (RFC 5280 §5.2.3, §5.2.4, §6.3.3). A list without a number goes by
 * the seconds of its `thisUpdate`. `now` in Unix ms.
 * @throws CrlRefused
 */
export function judgeCrl(head: CrlHead, part: PartRecord, now: number): Judgement {
  const [unknown] = head.unknownCritical;
  if (unknown !== undefined)
    throw new CrlRefused('not-understood', `CRL: critical extension ${unknown} is not known`);
  if (head.thisUpdate > now + SKEW_MS)
    throw new CrlRefused('not-yet-valid', `thisUpdate: ${iso(head.thisUpdate)} is yet to come`);
  if (head.nextUpdate !== undefined && head.nextUpdate <= now)
    throw new CrlRefused('expired', `nextUpdate: it ended at ${iso(head.nextUpdate)}`);
  const scope = scopeOf(head);
  if (part.scope !== undefined && part.scope !== scope)
    throw new CrlRefused(
      'other-scope',
      `issuingDistributionPoint: "${scope}" instead of "${part.scope}": it speaks of other certificates`,
    );
  const number = head.number ?? BigInt(Math.floor(head.thisUpdate / 1000));
  const complete = part.completeNumber === undefined ? undefined : BigInt(part.completeNumber);
  const newest = part.number === undefined ? undefined : BigInt(part.number);
  if (head.baseNumber !== undefined) {
    if (complete === undefined || head.baseNumber > complete)
      throw new CrlRefused(
        'base-missing',
        `deltaCRLIndicator: goes with CRL ${head.baseNumber}, the complete one here is ${complete ?? 'missing'}`,
      );
    return { kind: newest !== undefined && number <= newest ? 'unchanged' : 'delta', number };
  }
  if (complete !== undefined && number < complete)
    throw new CrlRefused('older-number', `cRLNumber: ${number} is older than ${complete}`);
  const isKnown = newest !== undefined && number <= newest && part.completeNumber !== undefined;
  const isNewer = part.thisUpdate === undefined || head.thisUpdate > Date.parse(part.thisUpdate);
  if (isKnown && !(number === newest && isNewer)) return { kind: 'unchanged', number };
  return { kind: 'complete', number };
}

/** @throws CrlRefused `malformed`; `now` in Unix ms */
export function checkEntry(serialNumber: string, revokedAt: number, now: number): void {
  if (serialNumber.length > 40)
    throw new CrlRefused(
      'malformed',
      'revokedCertificates: a serial number of more than 20 octets (RFC 5280 §4.1.2.2)',
    );
  if (revokedAt > now + SKEW_MS)
    throw new CrlRefused(
      'malformed',
      `revokedCertificates: ${serialNumber} is revoked as of ${iso(revokedAt)}, yet to come`,
    );
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
