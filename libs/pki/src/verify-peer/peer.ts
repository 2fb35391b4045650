import type { RefusalCode } from '@signet/contracts';
import type { Certificate } from '../certificate.ts';
import type { IssuerSet, PinnedIssuer } from './issuer-set.ts';
import type { Purpose } from './leaf-checks.ts';
import type { Work } from './work.ts';

/** What a deny list goes by. All in lower-case hex but for the names. */
export type PeerFacts = {
  /** SHA-256 of the certificate's DER. */
  readonly fingerprint: string;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly publicKeyHash: string;
  readonly serialNumber: string;
  /** Subject key id of the pinned issuer. */
  readonly issuerKeyId: string;
  readonly account?: string;
  readonly deviceId?: string;
};

declare const verified: unique symbol;

/** A peer that is admitted. Only `verifyPeer` makes one. */
export type VerifiedPeer = {
  readonly [verified]: true;
  readonly ok: true;
  readonly certificate: Certificate;
  readonly issuer: PinnedIssuer;
  readonly purpose: Purpose;
  /** Missing from a bootstrap certificate: its claim says whose device it is. */
  readonly account?: string;
  /** A registration certificate is of no device: there it is the name of the certificate, its CN. */
  readonly deviceId: string;
  /** Only ever true where `allowExpired` was asked for. */
  readonly expired: boolean;
  readonly facts: PeerFacts;
};

/** A peer that is refused, and what may be told about it. */
export type PeerRefusal = {
  readonly ok: false;
  readonly code: RefusalCode;
  /** Names the field and the reason; for operators, not for the peer. */
  readonly message: string;
  /** SHA-256 of what was shown, if anything was. */
  readonly fingerprint?: string;
  /** Common name and key id of the issuer that the certificate names. */
  readonly issuer?: string;
  /** Only where a pinned issuer's signature was verified. */
  readonly deviceId?: string;
  /** Only where a pinned issuer's signature was verified and that issuer may vouch for this account. */
  readonly account?: string;
  /** Of a certificate that is good but denied: its serial number, and the key id of its issuer. */
  readonly serialNumber?: string;
  readonly issuerKeyId?: string;
};

export type VerifyPeerInput = {
  /** The certificate that the peer proved to hold the key of in the handshake, read or not: see `leafOf`. */
  readonly leaf: Uint8Array | Certificate | undefined;
  readonly issuers: IssuerSet;
  /** What this listener is for. */
  readonly purposes: readonly Purpose[];
  /** Unix milliseconds. */
  readonly now: number;
  /** Why the deny list denies this peer, if it does. What it throws, `verifyPeer` throws. */
  readonly denied: (facts: PeerFacts) => string | undefined;
  /** EST renewal only: everything else is verified, and `expired` says that the certificate is. */
  readonly allowExpired?: boolean;
  /** The account whose CAs all tenants share. */
  readonly platformAccount?: string;
  /** Counts what the verification costs, and bounds it. */
  readonly work?: Work;
};
