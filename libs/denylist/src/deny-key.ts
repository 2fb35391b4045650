import { hash } from 'node:crypto';
import type { DenyTarget } from '@signet/contracts';

/** The hashes of a peer, by the kind of what would deny it: 32 lower-case hex digits each. */
export type DenyKeys = {
  readonly certificate: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly ca: string;
  /** What keeps new sessions of a CA's certificates out and leaves live ones alone: no session is entered under it. */
  readonly newOfCa: string;
  /** Absent where the account or the device is not known. */
  readonly device?: string;
  /** Absent where the account is not known. */
  readonly account?: string;
};

/** What is read from a peer's certificate. Hex is lower-case; `account` and `deviceId` as far as they are known. */
export type PeerFacts = {
  /** SHA-256 of the certificate's DER. */
  readonly fingerprint: string;
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly publicKeyHash: string;
  readonly serialNumber: string;
  /** Subject key identifier of the issuing CA. */
  readonly issuerKeyId: string;
  readonly account?: string | undefined;
  readonly deviceId?: string | undefined;
};

/** The first 16 bytes of the SHA-256 of what is denied, in hex. Fields have no NUL, so the encoding is unambiguous. */
export function denyKey(target: DenyTarget): string {
  switch (target.kind) {
    case 'certificate':
      return digest(`certificate\0${target.issuerKeyId}\0${target.serialNumber}`);
    case 'key':
      return digest(`key\0${target.publicKeyHash}`);
    case 'device':
      return digest(`device\0${target.account}\0${target.deviceId}`);
    case 'fingerprint':
      return digest(`fingerprint\0${target.fingerprint}`);
    case 'ca':
      return target.only === 'new' ? newOfCa(target.subjectKeyId) : digest(`ca\0${target.subjectKeyId}`);
    case 'account':
      return digest(`account\0${target.account}`);
  }
}

/** All hashes under which a peer can be denied. Seven short digests: a few microseconds. */
export function peerDenyKeys(facts: PeerFacts): DenyKeys {
  const { account, deviceId } = facts;
  return {
    certificate: digest(`certificate\0${facts.issuerKeyId}\0${facts.serialNumber}`),
    key: digest(`key\0${facts.publicKeyHash}`),
    fingerprint: digest(`fingerprint\0${facts.fingerprint}`),
    ca: digest(`ca\0${facts.issuerKeyId}`),
    newOfCa: newOfCa(facts.issuerKeyId),
    ...(account === undefined || deviceId === undefined
      ? {}
      : { device: digest(`device\0${account}\0${deviceId}`) }),
    ...(account === undefined ? {} : { account: digest(`account\0${account}`) }),
  };
}

function newOfCa(keyId: string): string {
  return digest(`ca\0${keyId}\0new`);
}

function digest(encoded: string): string {
  return hash('sha256', encoded, 'hex').slice(0, 32);
}
