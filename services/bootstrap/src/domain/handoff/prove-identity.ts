import {
  type Certificate,
  decodePem,
  PkiError,
  signatureAlgorithmFor,
  verifyPeer,
  verifySignature,
} from '@signet/pki';
import type { DeviceRecord, Devices } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { rulerOf, secondIdentityOf } from '../device/find-device.ts';
import { setSecondIdentity, whyNotOfAccount } from '../device/second-identity.ts';
import { BootstrapError } from '../refusals/errors.ts';
import type { NoHandoff } from './decide-handoff.ts';

type ProofContext = Pick<Context, 'devices' | 'trust' | 'now'>;

export type IdentityProof = {
  /** Of the connection, verified. */
  readonly connection: Certificate;
  /** The device's other bootstrap certificate, PEM. */
  readonly certificate: string;
  /** Signature of that one's key over {@link proofMessage}. */
  readonly signature: Uint8Array;
};

export type ProvenIdentity =
  | { readonly kind: 'proven'; readonly fingerprint: string; readonly secondFingerprint: string }
  | ({ readonly kind: 'refuse' } & NoHandoff);

/** What the other key signs: it is bound to both certificates, so that a proof is good for this pair alone. */
export function proofMessage(connection: string, other: string): Uint8Array {
  return Buffer.from(`signet-identity\n${connection}\n${other}\n`, 'utf8');
}

/**
 * A device that shows one of its bootstrap certificates proves that another is its own too (F15). One of the two is
 * that of the factory log; the other one’s CA was registered by the account that has the device, and it counts for as
 * long as that account has it. A second identity that counts by now is replaced by an operator only. Repeating it
 * changes nothing.
 */
export async function proveIdentity(ctx: ProofContext, proof: IdentityProof): Promise<ProvenIdentity> {
  const other = verifyOther(ctx, proof);
  if ('code' in other) return { kind: 'refuse', ...other };
  const { connection } = proof;
  const records = await Promise.all(
    [connection, other].map(({ fingerprint }) => ctx.devices.get(fingerprint)),
  );
  const record = records[0] ?? records[1];
  if (record === undefined)
    return refusal('unknown-device', 'fingerprint: neither certificate is of a device that was made');
  const second = records[0] === undefined ? connection : other;
  if (records.every((one) => one !== undefined))
    return refusal('wrong-identity', 'certificate: each of the two is a device by itself', record);
  if (record.state === 'blocked' || record.state === 'retired')
    return refusal(record.state, `state: the device is ${record.state}`, record);
  const account = rulerOf(record);
  const why = await whyNotOfAccount(ctx.trust, second, { account, now: ctx.now(), alone: false });
  if (why !== undefined) return refusal('wrong-identity', why, record);
  return storeSecondIdentity(ctx.devices, record, { account, certificate: second, replaces: false });
}

async function storeSecondIdentity(
  devices: Devices,
  record: DeviceRecord,
  wanted: Parameters<typeof setSecondIdentity>[2],
): Promise<ProvenIdentity> {
  const { fingerprint: secondFingerprint } = wanted.certificate;
  try {
    const after = await setSecondIdentity(devices, record.id, wanted);
    if (secondIdentityOf(after) === secondFingerprint)
      return { kind: 'proven', fingerprint: record.id, secondFingerprint };
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    if (error.code === 'unknown-device')
      return refusal('wrong-identity', 'certificate: the device changed hands meanwhile');
    if (error.code !== 'identity-taken') throw error;
  }
  const message =
    'certificate: the device, or another, has a second identity already; an operator replaces it';
  return refusal('wrong-identity', message, record);
}

function verifyOther({ trust, now }: ProofContext, proof: IdentityProof): Certificate | NoHandoff {
  const leaf = derOf(proof.certificate);
  if (leaf === undefined) return { code: 'malformed-certificate', message: 'certificate: no PEM' };
  const peer = verifyPeer({
    ...{ leaf, issuers: trust.issuers(), purposes: ['bootstrap'], now: now() },
    // whether it may come in is asked when it comes
    denied: () => undefined,
  });
  if (!peer.ok) return { code: peer.code, message: peer.message };
  const { publicKey, fingerprint } = peer.certificate;
  const algorithm = { oid: '', name: signatureAlgorithmFor(publicKey) };
  const signed = proofMessage(proof.connection.fingerprint, fingerprint);
  if (!verifySignature(algorithm, signed, proof.signature, publicKey))
    return { code: 'bad-signature', message: 'signature: not over both fingerprints, by the other key' };
  return peer.certificate;
}

function derOf(pem: string): Uint8Array | undefined {
  try {
    return decodePem(pem, 'CERTIFICATE');
  } catch (error) {
    if (error instanceof PkiError) return undefined;
    throw error;
  }
}

function refusal(code: NoHandoff['code'], message: string, record?: DeviceRecord): ProvenIdentity {
  const known = record === undefined ? {} : { account: rulerOf(record), deviceId: record.deviceId };
  return { kind: 'refuse', code, message, ...known };
}
