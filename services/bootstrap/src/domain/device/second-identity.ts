import type * as operations from '@signet/contracts';
import { type Authority, PLATFORM_ACCOUNT } from '@signet/contracts';
import {
  type Certificate,
  issuerSet,
  type PinnedIssuer,
  PkiError,
  parseCertificatePem,
  verifyPeer,
} from '@signet/pki';
import { isDuplicate } from '@signet/store';
import type { DeviceRecord, Devices } from '../../collections.ts';
import type { Context, InputOf, Trust } from '../../context.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { requireVisible, rulerOf, secondIdentityOf, withoutSecond } from './find-device.ts';

const PAGE = 500;

/**
 * Second identities that were stored before it was known who set them do not count. Those that a factory CA of the
 * account signed that has the device now are taken for its own. One that the device proved itself has no issuer on
 * record: it counts again when the device proves it anew, as it does before each handoff.
 * @returns how many count again
 */
export async function adoptSecondIdentities(
  devices: Pick<Devices, 'find' | 'update'>,
  authorities: readonly Authority[],
): Promise<number> {
  const isOwn = (record: DeviceRecord) =>
    authorities.some(
      ({ kind, account, subjectKeyId }) =>
        kind === 'factory' && account === rulerOf(record) && subjectKeyId === record.secondIssuerKeyId,
    );
  let count = 0;
  let cursor: string | undefined;
  do {
    const page = await devices.find({
      index: 'bySecond',
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { id, secondSetBy } of page.items) {
      if (secondSetBy !== undefined) continue;
      const { secondSetBy: setNow } = await devices.update(id, (current) =>
        current.secondSetBy === undefined && current.secondFingerprint !== undefined && isOwn(current)
          ? { document: { ...current, secondSetBy: rulerOf(current) } }
          : undefined,
      );
      if (setNow !== undefined) count++;
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return count;
}

type OwnershipQuestion = {
  readonly account: string;
  readonly now: number;
  /** Whether the CA has to be this account's alone. Where several registered it, it does not say whose device it is. */
  readonly alone: boolean;
};

/**
 * Why a certificate does not prove that a device is the account's; undefined: it does. Only a factory CA that the
 * account registered proves it: those of the platform make devices for everybody.
 */
export async function whyNotOfAccount(
  trust: Trust,
  leaf: Certificate,
  of: OwnershipQuestion,
): Promise<string | undefined> {
  if (findReason(trust, leaf, of) === undefined) return undefined;
  await trust.refresh();
  return findReason(trust, leaf, of);
}

function findReason(trust: Trust, leaf: Certificate, of: OwnershipQuestion): string | undefined {
  const { account, now, alone } = of;
  if (account === PLATFORM_ACCOUNT) return `certificate: account "${account}" is nobody's in particular`;
  const own = trust
    .authorities()
    .filter(
      (authority) =>
        authority.account === account ||
        (authority.account === PLATFORM_ACCOUNT && authority.kind === 'root'),
    );
  const peer = verifyPeer({
    ...{ leaf, issuers: issuerSet(own.map(pinnedIssuer)), purposes: ['bootstrap'], now },
    // whether it may come in is asked when it comes
    denied: () => undefined,
  });
  if (!peer.ok)
    return `certificate: not verified by a factory CA that account "${account}" registered: ${peer.message}`;
  if (!alone || !isShared(trust.authorities(), peer.issuer)) return undefined;
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
  throw new BootstrapError('bad-certificate', 'certificate: no certificate of a device', {
    field: 'certificate',
  });
}

/**
 * Makes a certificate the second identity of a device, for as long as `account` has the device. Repeating it changes
 * nothing. One that counts by now is left as it is, or replaced where `replaces` says so.
 * @throws BootstrapError `unknown-device` where the account does not have it, `identity-taken` where the certificate is
 * that of another device
 */
export async function setSecondIdentity(
  devices: Pick<Devices, 'get' | 'find' | 'update'>,
  id: string,
  wanted: {
    readonly account: string;
    readonly certificate: Pick<Certificate, 'fingerprint' | 'authorityKeyId' | 'serialNumber'>;
    readonly replaces: boolean;
  },
): Promise<DeviceRecord> {
  const { account, certificate, replaces } = wanted;
  const { fingerprint: secondFingerprint, authorityKeyId, serialNumber } = certificate;
  await requireNoDevice(devices, secondFingerprint);
  const set = () =>
    devices.update(id, (current) => {
      requireVisible(current, account, 'fingerprint');
      const counting = secondIdentityOf(current);
      if (counting === secondFingerprint || (counting !== undefined && !replaces)) return undefined;
      const issued =
        authorityKeyId === undefined ? {} : { secondIssuerKeyId: authorityKeyId, secondSerial: serialNumber };
      return {
        document: { ...withoutSecond(current), secondFingerprint, ...issued, secondSetBy: account },
      };
    });
  try {
    return await set();
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
  await dropStale(devices, secondFingerprint);
  try {
    return await set();
  } catch (error) {
    throw isDuplicate(error) ? identityTaken() : error;
  }
}

/** A certificate that the factory log has is a device by itself, and nobody's second. @throws BootstrapError `identity-taken` */
export async function requireNoDevice(devices: Pick<Devices, 'get'>, fingerprint: string): Promise<void> {
  if ((await devices.get(fingerprint)) !== undefined) throw identityTaken();
}

/** What a former owner set may bear the same certificate; it counts for nothing, and is in nobody's way. */
async function dropStale(
  devices: Pick<Devices, 'find' | 'update'>,
  secondFingerprint: string,
): Promise<void> {
  const { items } = await devices.find({ index: 'bySecond', equals: { secondFingerprint }, limit: 1 });
  for (const { id } of items)
    await devices.update(id, (current) =>
      current.secondFingerprint === secondFingerprint && secondIdentityOf(current) === undefined
        ? { document: withoutSecond(current) }
        : undefined,
    );
}

function identityTaken(): BootstrapError {
  return new BootstrapError('identity-taken', 'certificate: is that of a device that is known already', {
    field: 'certificate',
  });
}

/**
 * Registers a second bootstrap certificate of a device: an LDevID beside the IDevID (F15).
 * @throws BootstrapError `unknown-device`, `bad-certificate`, `identity-taken`
 */
export async function addIdentity(
  { devices, trust, now }: Pick<Context, 'devices' | 'trust' | 'now'>,
  { account, fingerprint, certificate: pem }: InputOf<typeof operations.addIdentity>,
) {
  requireVisible(await devices.get(fingerprint), account, 'fingerprint');
  const certificate = deviceCertificate(pem);
  await requireNoDevice(devices, certificate.fingerprint);
  const why = await whyNotOfAccount(trust, certificate, { account, now: now(), alone: true });
  if (why !== undefined) throw new BootstrapError('bad-certificate', why, { field: 'certificate' });
  await setSecondIdentity(devices, fingerprint, { account, certificate, replaces: true });
  return { fingerprint, secondFingerprint: certificate.fingerprint };
}
