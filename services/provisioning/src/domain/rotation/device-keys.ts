import {
  type announceKey as AnnounceKey,
  type DeviceKey,
  type DeviceKeys,
  type IssuedCertificate,
  listCertificates,
  OperationError,
  type ParsedInput,
  type SignetEvent,
} from '@signet/contracts';
import { BACKDATED_MS, encodePem, parseCertificatePem } from '@signet/pki';
import type { Change, UpdateOptions } from '@signet/store';
import { lockConfig } from '../config/config-lock.ts';
import type { DeviceContact } from '../config/device-access.ts';
import type { DeviceConfigs } from '../config/device-config.ts';
import type { Asks, DeviceName } from '../devices/known-devices.ts';
import { upsert } from '../documents/documents.ts';
import {
  addIssuedKey,
  announceNext,
  noteContact,
  replaceCertificate,
  type Shown,
} from '../keys/arriving-keys.ts';
import { dropRevokedKey } from '../keys/end-rotation.ts';
import {
  announcedKey,
  emptyRing,
  type KeyRing,
  KeyRingError,
  type KeyRings,
  keyRingId,
  keyRingView,
} from '../keys/key-ring.ts';
import { confirmNext } from '../keys/rotation-progress.ts';

type KeyContext = {
  readonly rings: KeyRings;
  readonly configs: DeviceConfigs;
  readonly now: () => number;
};

/**
 * `est-ca` announces the next key of a device, before it answers a renewal (F31, F38). Once this is answered the config is
 * locked. @throws OperationError `third-key`; `unavailable` where nothing was heard yet of the current key
 */
export async function announceKey(
  ctx: KeyContext,
  { account, deviceId, currentPublicKeyHash, next }: ParsedInput<typeof AnnounceKey>,
): Promise<DeviceKeys> {
  const facts = { currentPublicKeyHash, next, now: ctx.now() };
  try {
    return keyRingView(await changeRing(ctx, { account, deviceId }, (ring) => announceNext(ring, facts)));
  } catch (error) {
    if (!(error instanceof KeyRingError)) throw error;
    const code = error.code === 'third-key' ? 'third-key' : 'unavailable';
    throw new OperationError(code, error.message, { cause: error });
  }
}

/** The keys of a device. @throws OperationError `unknown-device` */
export async function getKeys(
  { rings }: Pick<KeyContext, 'rings'>,
  { account, deviceId }: DeviceName,
): Promise<DeviceKeys> {
  const ring = await rings.get(keyRingId(account, deviceId));
  if (ring === undefined)
    throw new OperationError('unknown-device', `deviceId: no key of "${deviceId}" is known`);
  return keyRingView(ring);
}

/** Learns what became of a certificate. An event that comes again, or late, changes nothing. */
export async function learnCertificate(
  ctx: KeyContext,
  event: SignetEvent<'CERT_ISSUED' | 'CERT_RENEWED' | 'CERT_REVOKED'>,
): Promise<void> {
  const { id: appliedEvent, account, subject: deviceId, time: since } = event;
  const device = { account, deviceId };
  if (event.type === 'CERT_REVOKED') {
    const { serialNumber, reason } = event.data;
    await changeRing(ctx, device, (ring) => dropRevokedKey(ring, serialNumber, reason), { appliedEvent });
    return;
  }
  const { publicKey, publicKeyHash, serialNumber } = event.data;
  const key = { publicKey, publicKeyHash, serialNumber, since };
  const isIssued = event.type === 'CERT_ISSUED';
  await changeRing(
    ctx,
    device,
    (ring) => (isIssued ? addIssuedKey(ring, key, ctx.now()) : replaceCertificate(ring, key)),
    { appliedEvent },
  );
}

/** A verified contact of a device, at whichever listener. @returns its keys afterwards, if any are known */
export async function recordContact(
  { rings, now }: Pick<KeyContext, 'rings' | 'now'>,
  { account, deviceId, ...shown }: DeviceName & Shown,
): Promise<KeyRing | undefined> {
  const ring = await rings.get(keyRingId(account, deviceId));
  if (ring === undefined || noteContact(ring, shown, now()) === undefined) return ring;
  return rings.update(ring.id, (current) => noteContact(current, shown, now()));
}

/**
 * The device says that it has the certificate of this key. The current key counts too: it was announced, and its first
 * contact came before this confirmation. @returns the key; undefined where it was not announced
 */
export async function confirmKey(
  { rings, now }: Pick<KeyContext, 'rings' | 'now'>,
  { ring, publicKeyHash }: Pick<DeviceContact, 'ring' | 'publicKeyHash'>,
): Promise<DeviceKey | undefined> {
  if (ring === undefined) return undefined;
  const { current } = ring;
  const key =
    announcedKey(ring, publicKeyHash) ?? (current?.publicKeyHash === publicKeyHash ? current : undefined);
  if (key !== undefined) await rings.update(ring.id, (held) => confirmNext(held, publicKeyHash, now()));
  return key;
}

const LOOKUP_DEADLINE_MS = 2000;

/**
 * Asks the issuer about a certificate that a device came with and of which no event told, and learns it as its event would
 * be. The certificate was verified; the record must be of the same key. `unknown`: it is not on record, as after a
 * restore from an older copy; `unavailable`: the issuer does not answer, or the certificate is revoked.
 */
export async function lookUpCertificate(
  ctx: KeyContext & Asks,
  { account, deviceId, serialNumber, publicKeyHash }: DeviceName & Omit<Shown, 'at'>,
): Promise<'learned' | 'unknown' | 'unavailable'> {
  const device = { account, deviceId };
  let record: IssuedCertificate | undefined;
  try {
    record = await findCertificate(ctx, device, serialNumber);
  } catch (error) {
    if (error instanceof OperationError) return 'unavailable';
    throw error;
  }
  if (record === undefined || record.publicKeyHash !== publicKeyHash) return 'unknown';
  if (record.revokedAt !== undefined) return 'unavailable';
  const { spkiDer, notBefore } = parseCertificatePem(record.certificate);
  const key = {
    ...{ publicKey: encodePem('PUBLIC KEY', spkiDer), publicKeyHash, serialNumber },
    since: new Date(notBefore + BACKDATED_MS).toISOString(),
  };
  await changeRing(ctx, device, (ring) => addIssuedKey(ring, key, ctx.now()));
  return 'learned';
}

async function findCertificate(
  { bus }: Asks,
  device: DeviceName,
  serialNumber: string,
): Promise<IssuedCertificate | undefined> {
  let cursor: string | undefined;
  do {
    const page = await bus.request(
      listCertificates,
      { ...device, limit: 200, ...(cursor === undefined ? {} : { cursor }) },
      { deadlineMs: LOOKUP_DEADLINE_MS },
    );
    const found = page.items.find((item) => item.serialNumber === serialNumber);
    if (found !== undefined) return found;
    cursor = page.next;
  } while (cursor !== undefined);
  return undefined;
}

/** Updates a device's ring, which is created with its first change. A key that is announced then locks the config. */
async function changeRing(
  ctx: Pick<KeyContext, 'rings' | 'configs'>,
  { account, deviceId }: DeviceName,
  step: (ring: KeyRing) => Change<KeyRing> | undefined,
  options: UpdateOptions = {},
): Promise<KeyRing> {
  const ring = await upsert(ctx.rings, emptyRing(account, deviceId), step, options);
  await lockConfig(ctx, ring);
  return ring;
}
