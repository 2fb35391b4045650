import { type Certificate, verifyCertificateSignature } from '../certificate.ts';

/** Signatures that one verification checks at most. A chain has a handful; more is somebody's making. */
export const MAX_SIGNATURES = 16;
/** CAs above one issuer that are looked at, each once. */
export const MAX_VISITS = 32;

/** What one verification has done so far. Its bounds hold for whatever is pinned, by whomever. */
export class Work {
  /** Signatures checked; those that were known already do not count. */
  #signatures = 0;
  /** CAs above an issuer that were looked at. */
  #visits = 0;
  readonly #parts: Work[] = [];
  /** Whether something was left unchecked because of a bound. */
  isExhausted = false;

  /** With that of its parts. */
  get signatures(): number {
    return this.#parts.reduce((sum, part) => sum + part.signatures, this.#signatures);
  }

  get visits(): number {
    return this.#parts.reduce((sum, part) => sum + part.visits, this.#visits);
  }

  /** A part of it that has bounds of its own. */
  part(): Work {
    const part = new Work();
    this.#parts.push(part);
    return part;
  }

  /** Whether one more signature may be checked, which counts it. */
  takeSignature(): boolean {
    if (this.#signatures === MAX_SIGNATURES) this.isExhausted = true;
    else this.#signatures++;
    return !this.isExhausted;
  }

  /** Whether one more CA may be looked at, which counts it. */
  takeVisit(): boolean {
    if (this.#visits === MAX_VISITS) this.isExhausted = true;
    else this.#visits++;
    return !this.isExhausted;
  }
}

/** Which keys signed a certificate, as far as it was asked: CAs stay, so that this is verified once and not each time. */
const known = new WeakMap<Certificate, Map<string, boolean>>();

/**
 * Whether the key of `issuer` signed `certificate`. A key that cannot be loaded or used has signed nothing; one that is
 * not known yet counts as work, and where there has been enough of that the answer is no and `work` says so.
 */
export function isSignedBy(certificate: Certificate, issuer: Certificate, work: Work): boolean {
  const keys = known.get(certificate) ?? new Map<string, boolean>();
  const before = keys.get(issuer.publicKeyHash);
  if (before !== undefined) return before;
  if (!work.takeSignature()) return false;
  const isSigned = verified(certificate, issuer);
  known.set(certificate, keys.set(issuer.publicKeyHash, isSigned));
  return isSigned;
}

function verified(certificate: Certificate, issuer: Certificate): boolean {
  try {
    return verifyCertificateSignature(certificate, issuer);
  } catch {
    return false;
  }
}
