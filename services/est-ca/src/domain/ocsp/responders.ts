import { createTemplate, exportSpki, issue, type OcspResponder, prepare, type Signer } from '@signet/pki';
import type { SigningCa } from '../authority/issuer-registry.ts';

/** Where the keys of OCSP responders are kept: one for each CA, the same for all replicas, never that of a CA. */
export type ResponderKeys = { openOrCreate(authorityId: string): Promise<Signer> };

/** Short: nobody can ask whether a responder's certificate is revoked (RFC 6960 §4.2.2.2.1). */
const VALIDITY_MS = 7 * 86_400_000;

/** Gives the responder of a CA. */
export type Responders = (authority: SigningCa) => Promise<OcspResponder>;

/**
 * A delegated responder for each CA (RFC 6960 §4.2.2.2): its certificate is signed by that CA when it is first needed,
 * and again at half of its life, or where a clock that was ahead made it and is set back. Where that fails, the one at
 * hand serves until its end.
 */
export function ocspResponders(deps: {
  readonly keys: ResponderKeys;
  readonly now: () => number;
  readonly onError: (error: unknown, authorityId: string) => void;
}): Responders {
  const made = new Map<string, Promise<OcspResponder>>();
  const make = async (authority: SigningCa): Promise<OcspResponder> => {
    const { id } = authority.document;
    const signer = await deps.keys.openOrCreate(id);
    const issuedAt = deps.now();
    const linted = prepare(createTemplate({ kind: 'ocsp', issuer: authority.issuer }), {
      subject: { commonName: `OCSP ${id}`.slice(0, 64) },
      spkiDer: exportSpki(signer.publicKey),
      issuedAt,
      notAfter: Math.min(issuedAt + VALIDITY_MS, authority.certificate.notAfter),
    });
    return { certificate: await issue(linted, authority.signer), signer };
  };
  const start = (authority: SigningCa): Promise<OcspResponder> => {
    const { id } = authority.document;
    const fresh = make(authority);
    made.set(id, fresh);
    fresh.catch(() => {
      if (made.get(id) === fresh) made.delete(id);
    });
    return fresh;
  };
  return async (authority) => {
    const { id } = authority.document;
    const held = made.get(id);
    if (held === undefined) return start(authority);
    const current = await held;
    const now = deps.now();
    const left = current.certificate.notAfter - now;
    const isYet = current.certificate.notBefore <= now;
    const isSame = current.certificate.authorityKeyId === authority.certificate.subjectKeyId;
    if (isSame && isYet && left > VALIDITY_MS / 2) return current;
    if (made.get(id) !== held) return made.get(id) ?? current;
    return start(authority).catch((error: unknown) => {
      if (!isSame || !isYet || left <= 0) throw error;
      deps.onError(error, id);
      made.set(id, held);
      return current;
    });
  };
}
