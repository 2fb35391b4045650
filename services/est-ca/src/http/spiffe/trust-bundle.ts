import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import type { AuthorityDocument } from '../../domain/authority/authority.ts';

/** A trust bundle as SPIFFE writes it: a JWK Set (SPIFFE Trust Domain and Bundle §4). */
export type TrustBundle = {
  readonly keys: readonly (Readonly<Record<string, unknown>> & {
    readonly use: 'x509-svid';
    readonly x5c: readonly [string];
  })[];
  /** Seconds. */
  readonly spiffe_refresh_hint: number;
};

const REFRESH_SECONDS = 300;

/**
 * The authorities of the X.509-SVIDs of an account's devices: the issuing CAs in force, its own and the shared ones. Not
 * the roots: what a factory CA signs, maybe at a manufacturer's, must never pass for a device's SVID.
 * @param now Unix milliseconds
 */
export function trustBundle(
  documents: readonly AuthorityDocument[],
  account: string,
  now: number,
): TrustBundle {
  const authorities = documents.filter(
    (document) =>
      document.kind === 'issuing' &&
      document.state === 'active' &&
      (document.account === account || document.account === PLATFORM_ACCOUNT) &&
      Date.parse(document.notAfter) > now,
  );
  return {
    keys: authorities.map(({ certificate }) => {
      const { der, publicKey } = parseCertificatePem(certificate);
      return {
        ...publicKey.export({ format: 'jwk' }),
        use: 'x509-svid',
        x5c: [Buffer.from(der).toString('base64')],
      };
    }),
    spiffe_refresh_hint: REFRESH_SECONDS,
  };
}
