import type { DenyList } from '@signet/denylist';
import type { DeviceContact } from '../config/device-access.ts';
import type { DeviceConfigs } from '../config/device-config.ts';
import type { Asks, DeviceName } from '../devices/known-devices.ts';
import { isLatelySuperseded, type KeyRings, keyRingId, statusOf } from '../keys/key-ring.ts';
import { lookUpCertificate, recordContact } from './device-keys.ts';

/** Whose request it is at the gateway, or why it is rejected. `message` is for operators. */
export type Authentication =
  | ({ readonly ok: true } & DeviceContact)
  | {
      readonly ok: false;
      readonly code: 'third-key' | 'unknown-device' | 'unavailable';
      readonly message: string;
    };

/**
 * Whose request this is, of a peer whose certificate was verified. A key that was replaced is rejected (F38). Where no
 * event told of a key, and the device has another, the issuer is asked: the event of its certificate may be on its way, or
 * lost with what a restore took back. A certificate that is not on record there either is rejected for good, and the
 * device goes back through bootstrap.
 */
export async function authenticateDevice(
  ctx: Asks & {
    readonly rings: KeyRings;
    readonly configs: DeviceConfigs;
    readonly now: () => number;
  },
  peer: DeviceName & { readonly serialNumber: string; readonly publicKeyHash: string },
): Promise<Authentication> {
  const { account, deviceId, serialNumber, publicKeyHash } = peer;
  // 1. The contact may promote the key.
  let ring = await recordContact(ctx, { ...peer, at: 'gateway' });
  // 2. Where nothing was heard of the key, the issuer may know it.
  const isUnheard = ring?.current !== undefined && statusOf(ring, publicKeyHash) === 'unheard';
  const found = isUnheard ? await lookUpCertificate(ctx, peer) : undefined;
  if (found === 'learned') ring = await recordContact(ctx, { ...peer, at: 'gateway' });
  // 3. What the key is to the device decides.
  const status = ring === undefined ? 'unheard' : statusOf(ring, publicKeyHash);
  if (status === 'former')
    return {
      ok: false,
      code: 'third-key',
      message: 'publicKey: neither the current key of the device nor its next one',
    };
  if (status === 'unheard' && found === 'unknown')
    return {
      ok: false,
      code: 'unknown-device',
      message: `certificate: ${serialNumber} is genuine, but not on the record of issued certificates`,
    };
  if (status === 'unheard' && ring?.current !== undefined)
    return {
      ok: false,
      code: 'unavailable',
      message: 'publicKey: nothing was heard yet of a certificate with this key',
    };
  return { ok: true, device: { account, deviceId }, ring, publicKeyHash };
}

/**
 * Whether a certificate may still report how the rotation went that replaced it: for ten minutes, and only if nothing but
 * its own revocation denies it.
 */
export async function mayReportLate(
  ctx: {
    readonly rings: KeyRings;
    readonly denyList: Pick<DenyList, 'denied'>;
    readonly now: () => number;
  },
  peer: DeviceName & {
    readonly serialNumber: string;
    readonly publicKeyHash: string;
    readonly issuerKeyId: string;
  },
): Promise<boolean> {
  const { account, deviceId, serialNumber, publicKeyHash, issuerKeyId } = peer;
  const ring = await ctx.rings.get(keyRingId(account, deviceId));
  if (ring === undefined || !isLatelySuperseded(ring, serialNumber, ctx.now())) return false;
  // without the certificate's own names only the device, its key or its CA can be denied
  const others = { account, deviceId, publicKeyHash, issuerKeyId, fingerprint: '', serialNumber: '' };
  return ctx.denyList.denied(others) === undefined;
}
