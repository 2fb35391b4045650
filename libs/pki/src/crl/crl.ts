/** Why a certificate was revoked (RFC 5280 §5.3.1), with its CRLReason number. */
export const crlReasons = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;
export type CrlReason = keyof typeof crlReasons;

export type CrlEntry = {
  /** Lower-case hex without leading zero bytes. */
  readonly serialNumber: string;
  /** Unix milliseconds; a CRL holds whole seconds. */
  readonly revokedAt: number;
  /** Missing means unspecified. */
  readonly reason?: CrlReason;
};

/** Extension OIDs of CRLs (RFC 5280 §5.2, §5.3). */
export const CRL_EXTENSION = {
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  freshestCrl: '2.5.29.46',
  authorityKeyId: '2.5.29.35',
} as const;

export const ENUMERATED = 0x0a;

/** Which certificates a CRL speaks of, where it is not all of its issuer's (RFC 5280 §5.2.5). */
export type CrlScope = {
  /** URLs of the distribution point whose certificates these are. */
  readonly urls: readonly string[];
  readonly onlyUserCerts: boolean;
};

/** CRLs may be large: more than a million entries. */
export const MAX_CRL_BYTES = 128 * 1024 * 1024;
