import type * as operations from '@signet/contracts';
import { OperationError } from '@signet/contracts';
import { type Certificate, decodePem, PkiError, verifyPeer } from '@signet/pki';
import type { Context, InputOf } from '../../context.ts';
import { byFingerprint } from '../device/find-device.ts';
import { type FactoryPin, inForce } from '../factory/factory-pins.ts';
import { insertDevice, newDeviceRecord } from '../factory/new-device.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { type ClaimContext, claimUnclaimed, isNeverClaimed } from './claim-device.ts';

type ContactContext = ClaimContext & Pick<Context, 'devices' | 'log'>;

/**
 * A device came to the bootstrap service: is it one that a registered CA made, and that comes for the first time?
 * @returns whether the accounts that have its CA pinned want devices that nobody announced
 * @throws BootstrapError `serial-number-taken`, `certificate-serial-taken`
 */
export async function admitFirstContact(
  ctx: ContactContext,
  device: { readonly certificate: Certificate; readonly issuerKeyId: string },
): Promise<boolean> {
  const pins = inForce(ctx.factories.byKeyId(device.issuerKeyId));
  if (refusesFirstContact(pins)) return false;
  const waiting = await recordFirstContact(ctx, pins, device.certificate);
  if (waiting !== undefined)
    ctx.log.warn(
      { ...pins[0], fingerprint: device.certificate.fingerprint, reason: waiting },
      'first contact: the device could not be claimed, and waits',
    );
  return true;
}

/**
 * A first contact at another listener (F48). The certificate is verified here again.
 * @throws OperationError `bad-certificate`, `unknown-device`
 */
export async function meetDevice(
  ctx: ContactContext & Pick<Context, 'trust'>,
  { certificate }: InputOf<typeof operations.meetDevice>,
): Promise<{ met: boolean }> {
  const peer = verifyPeer({
    leaf: requireDer(certificate),
    issuers: ctx.trust.issuers(),
    purposes: ['bootstrap'],
    now: ctx.now(),
    // the listener asked
    denied: () => undefined,
  });
  if (!peer.ok) throw new OperationError('bad-certificate', peer.message, { field: 'certificate' });
  try {
    const device = { certificate: peer.certificate, issuerKeyId: peer.issuer.keyId };
    return { met: await admitFirstContact(ctx, device) };
  } catch (cause) {
    if (!(cause instanceof BootstrapError)) throw cause;
    throw new OperationError('unknown-device', cause.message, { cause });
  }
}

function requireDer(pem: string): Uint8Array {
  try {
    return decodePem(pem, 'CERTIFICATE');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new OperationError('bad-certificate', `certificate: ${cause.message}`, { cause });
  }
}

/**
 * The first contact of a device whose certificate was made at a registered CA (F48): it is recorded, and claimed where
 * the account wants that. A device that was claimed before is skipped: its owner gave it up on purpose. Where several
 * accounts have the CA pinned, the device is of none of them: only a claim decides whose it is.
 * @param pins in force, of the CA that signed it
 * @param certificate verified, of this CA
 * @returns why it could not be claimed, if so: it waits then
 * @throws BootstrapError `serial-number-taken`, `certificate-serial-taken`
 */
async function recordFirstContact(
  ctx: ContactContext,
  pins: readonly FactoryPin[],
  certificate: Certificate,
): Promise<string | undefined> {
  const [first] = pins;
  if (first === undefined || refusesFirstContact(pins)) return undefined;
  const now = ctx.now();
  const { fingerprint } = certificate;
  const known = await byFingerprint(ctx.devices, fingerprint);
  const sole = pins.length === 1 ? first : undefined;
  if (known === undefined) {
    const { authorityId } = first;
    const record = newDeviceRecord({ certificate, factoryAccount: sole?.account, authorityId, now });
    await insertDevice(ctx.devices, record, { seenBy: pins, now });
  }
  const isClaimable = known === undefined || isNeverClaimed(known);
  if (sole?.firstContact !== 'claimed' || !isClaimable) return undefined;
  try {
    const { account, authorityId } = sole;
    const by = `first contact, CA ${authorityId}`;
    await claimUnclaimed(ctx, { account, fingerprint, by });
    return undefined;
  } catch (error) {
    if (error instanceof BootstrapError) return error.message;
    throw error;
  }
}

/** Whether none of those that pinned the CA wants devices that nobody announced. */
function refusesFirstContact(pins: readonly FactoryPin[]): boolean {
  return pins.every(({ firstContact = 'refused' }) => firstContact === 'refused');
}
