import {
  decodePem,
  type IssuerSet,
  PkiError,
  signatureAlgorithmFor,
  verifyPeer,
  verifySignature,
} from '@signet/pki';
import { StoreError } from '@signet/store';
import type { DeviceRecord } from '../device/device-record.ts';
import { type Devices, isVisible } from '../device/find-device.ts';
import type { NoHandOver } from './decision.ts';

export type ProveIdentity = {
  readonly devices: Pick<Devices, 'get' | 'update'>;
  readonly issuers: () => IssuerSet;
  readonly now: () => number;
};

export type IdentityProof = {
  /** Of the certificate of the connection, whose account is that of its CA. */
  readonly connection: { readonly fingerprint: string; readonly account: string };
  /** The device's other bootstrap certificate, PEM. */
  readonly certificate: string;
  /** Signature of that one's key over {@link provenBy}. */
  readonly signature: Uint8Array;
};

export type ProvenIdentity =
  | { readonly kind: 'proven'; readonly fingerprint: string; readonly secondFingerprint: string }
  | ({ readonly kind: 'refuse' } & NoHandOver);

/** What the other key signs: it is bound to both certificates, so that a proof is good for this pair alone. */
export function provenBy(connection: string, other: string): Uint8Array {
  return Buffer.from(`signet-identity\n${connection}\n${other}\n`, 'utf8');
}

/**
 * A device that shows one of its bootstrap certificates proves that another is its own too (F15). One of the two is
 * that of the factory log; the other one’s CA is of the account that has the device. A second identity that the device
 * has by now is replaced by an operator only. Repeating it changes nothing.
 */
export async function proveIdentity(deps: ProveIdentity, proof: IdentityProof): Promise<ProvenIdentity> {
  const other = otherOf(deps, proof);
  if ('code' in other) return { kind: 'refuse', ...other };
  const { connection } = proof;
  const records = await Promise.all(
    [connection, other].map(({ fingerprint }) => deps.devices.get(fingerprint)),
  );
  const record = records[0] ?? records[1];
  if (record === undefined)
    return refused('unknown-device', 'fingerprint: neither certificate is of a device that was made');
  const second = records[0] === undefined ? connection : other;
  if (records.every((one) => one !== undefined))
    return refused('wrong-identity', 'certificate: each of the two is a device by itself', record);
  if (!isVisible(record, second.account))
    return refused(
      'wrong-identity',
      `issuer: is of account "${second.account}", which does not have it`,
      record,
    );
  if (record.state === 'blocked' || record.state === 'retired')
    return refused(record.state, `state: the device is ${record.state}`, record);
  return keep(deps.devices, record, second);
}

async function keep(
  devices: Pick<Devices, 'update'>,
  { id }: DeviceRecord,
  second: Named,
): Promise<ProvenIdentity> {
  const secondFingerprint = second.fingerprint;
  const taken = 'certificate: the device, or another, has a second identity already; an operator replaces it';
  try {
    const after = await devices.update(id, (current) =>
      isVisible(current, second.account) && current.secondFingerprint === undefined
        ? { document: { ...current, secondFingerprint } }
        : undefined,
    );
    return after.secondFingerprint === secondFingerprint
      ? { kind: 'proven', fingerprint: id, secondFingerprint }
      : refused('wrong-identity', taken, after);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
    return refused('wrong-identity', taken);
  }
}

type Named = IdentityProof['connection'];

function otherOf({ issuers, now }: ProveIdentity, proof: IdentityProof): Named | NoHandOver {
  const leaf = derOf(proof.certificate);
  if (leaf === undefined) return { code: 'malformed-certificate', message: 'certificate: no PEM' };
  const peer = verifyPeer({
    ...{ leaf, issuers: issuers(), purposes: ['bootstrap'], now: now() },
    // whether it may come in is asked when it comes
    denied: () => undefined,
  });
  if (!peer.ok) return { code: peer.code, message: peer.message };
  const { publicKey, fingerprint } = peer.certificate;
  const algorithm = { oid: '', name: signatureAlgorithmFor(publicKey) };
  const signed = provenBy(proof.connection.fingerprint, fingerprint);
  if (!verifySignature(algorithm, signed, proof.signature, publicKey))
    return { code: 'bad-signature', message: 'signature: not over both fingerprints, by the other key' };
  return { fingerprint, account: peer.issuer.account };
}

function derOf(pem: string): Uint8Array | undefined {
  try {
    return decodePem(pem, 'CERTIFICATE');
  } catch (error) {
    if (error instanceof PkiError) return undefined;
    throw error;
  }
}

function refused(code: NoHandOver['code'], message: string, record?: DeviceRecord): ProvenIdentity {
  const known =
    record === undefined
      ? {}
      : { account: record.account ?? record.factoryAccount, deviceId: record.deviceId };
  return { kind: 'refuse', code, message, ...known };
}
