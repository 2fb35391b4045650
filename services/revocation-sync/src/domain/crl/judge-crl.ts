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
  | 'older-update'
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
export type Judgement = { readonly kind: 'complete' | 'delta' | 'unchanged' };

/** The distribution point that a CRL names, as text; empty for one that speaks of all certificates of its issuer. */
export function scopeOf({ scope }: CrlHead): string {
  if (scope === undefined) return '';
  return `${scope.onlyUserCerts ? 'user ' : ''}${[...scope.urls].sort().join(' ')}`;
}

/**
 * Judges a CRL against the newest one of its part (RFC 5280 §5.2.3, §5.2.4, §6.3.3): number is compared with number;
 * where one of the two has none, `thisUpdate` with `thisUpdate`. `now` in Unix ms.
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
  const complete = {
    number: numberOf(part.completeNumber),
    thisUpdate: timeOf(part.completeThisUpdate ?? part.thisUpdate),
  };
  const newest = { number: numberOf(part.number), thisUpdate: timeOf(part.thisUpdate) };
  const isKnown = newest.thisUpdate !== undefined && compare(head, newest) <= 0;
  if (head.baseNumber !== undefined) {
    if (complete.number === undefined || head.baseNumber > complete.number)
      throw new CrlRefused(
        'base-missing',
        `deltaCRLIndicator: goes with CRL ${head.baseNumber}, the complete one here ${absentOr(complete)}`,
      );
    return { kind: isKnown ? 'unchanged' : 'delta' };
  }
  if (complete.thisUpdate === undefined) return { kind: 'complete' };
  if (compare(head, complete) < 0) throw older(head, complete);
  const isMadeAgain = newest.number === head.number && head.thisUpdate > (newest.thisUpdate ?? 0);
  return { kind: isKnown && !isMadeAgain ? 'unchanged' : 'complete' };
}

type Moment = { readonly number?: bigint | undefined; readonly thisUpdate?: number | undefined };

/** Below 0 where `a` is older than `b`, 0 where they are the same. */
function compare(a: Moment, b: Moment): number {
  if (a.number !== undefined && b.number !== undefined)
    return a.number < b.number ? -1 : Number(a.number > b.number);
  return Math.sign((a.thisUpdate ?? 0) - (b.thisUpdate ?? 0));
}

function older(head: Moment, known: Moment): CrlRefused {
  if (head.number !== undefined && known.number !== undefined)
    return new CrlRefused('older-number', `cRLNumber: ${head.number} is older than ${known.number}`);
  const [ours, theirs] = [known, head].map(({ thisUpdate = 0 }) => iso(thisUpdate));
  return new CrlRefused(
    'older-update',
    `thisUpdate: ${theirs} is older than ${ours}, and one of the two has no cRLNumber`,
  );
}

function absentOr({ number, thisUpdate }: Moment): string {
  if (number !== undefined) return `is ${number}`;
  return thisUpdate === undefined ? 'is missing' : 'has no cRLNumber';
}

function numberOf(text: string | undefined): bigint | undefined {
  return text === undefined ? undefined : BigInt(text);
}

function timeOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}

/** @throws CrlRefused `malformed`; `now` in Unix ms */
export function checkEntry(serialNumber: string, revokedAt: number, now: number): void {
  if (serialNumber.length > 40)
    throw new CrlRefused(
      'malformed',
      'revokedCertificates: a serial number of more than 20 bytes (RFC 5280 §4.1.2.2)',
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
