import { type Authority, PLATFORM_ACCOUNT } from '@signet/contracts';
import {
  type Certificate,
  issuerSet,
  type PinnedIssuer,
  PkiError,
  parseCertificatePem,
  verifyPeer,
} from '@signet/pki';
import { BootstrapError } from './bootstrap-error.ts';

/** The CAs of the platform, as this process pins them. */
export type Pins = {
  readonly authorities: () => readonly Authority[];
  /** Asks for them now: a CA may have been registered a moment ago. */
  readonly refresh: () => Promise<void>;
};

type OwnershipQuestion = {
  readonly account: string;
  readonly now: number;
  /** Whether the CA has to be this account's alone. Where several registered it, it does not say whose device it is. */
  readonly alone: boolean;
};

/**
 * Why a certificate says of no device that it is the account's: only a factory CA that the account registered does, none
 * of the platform, which makes anybody's devices. Undefined: it does.
 */
export async function whyNotOfAccount(
  pins: Pins,
  leaf: Certificate,
  of: OwnershipQuestion,
): Promise<string | undefined> {
  if (findReason(pins, leaf, of) === undefined) return undefined;
  await pins.refresh();
  return findReason(pins, leaf, of);
}

function findReason({ authorities }: Pins, leaf: Certificate, of: OwnershipQuestion): string | undefined {
  const { account, now, alone } = of;
  if (account === PLATFORM_ACCOUNT) return `certificate: account "${account}" is nobody's in particular`;
  const own = authorities().filter(
    (authority) =>
      authority.account === account || (authority.account === PLATFORM_ACCOUNT && authority.kind === 'root'),
  );
  const peer = verifyPeer({
    ...{ leaf, issuers: issuerSet(own.map(pinnedIssuer)), purposes: ['bootstrap'], now },
    // whether it may come in is asked when it comes
    denied: () => undefined,
  });
  if (!peer.ok)
    return `certificate: not verified by a factory CA that account "${account}" registered: ${peer.message}`;
  if (!alone || !isShared(authorities(), peer.issuer)) return undefined;
  return 'certificate: other accounts registered its CA too, so that an operator cannot say whose it is; the device proves it itself (POST /v1/bootstrap/identities)';
}

function isShared(authorities: readonly Authority[], { account, certificate }: PinnedIssuer): boolean {
  return authorities.some(
    (other) =>
      other.kind === 'factory' &&
      other.account !== account &&
      pinnedIssuer(other).certificate.publicKeyHash === certificate.publicKeyHash,
  );
}

function pinnedIssuer({ certificate, kind, account, state }: Authority) {
  return { kind, account, state, certificate: parseCertificatePem(certificate) };
}

/** The certificate of a device in PEM. @throws BootstrapError `bad-certificate` */
export function deviceCertificate(pem: string): Certificate {
  try {
    const certificate = parseCertificatePem(pem);
    if (certificate.basicConstraints?.ca !== true) return certificate;
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
  }
  throw new BootstrapError('bad-certificate', 'certificate: no certificate of a device', 'certificate');
}
