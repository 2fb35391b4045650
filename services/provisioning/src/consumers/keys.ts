import type { Subscription } from '@signet/bus';
import type { Context } from '../context.ts';
import { noteRotationOutcome } from '../domain/campaigns/advance-campaigns.ts';
import { settleRekeyed } from '../domain/config/change-config.ts';
import { learnCertificate, recordContact } from '../domain/rotation/device-keys.ts';
import { revokeDroppedKey } from '../domain/rotation/rotations.ts';
import { maxDeliveries } from './patience.ts';

/** What events of certificates, contacts and rotations set off. */
export function consumeKeyEvents(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.consume(
      {
        durable: 'provisioning-certificates',
        types: ['CERT_ISSUED', 'CERT_RENEWED', 'CERT_REVOKED'],
        ordered: true,
        maxDeliveries,
      },
      async (event) => {
        if (event.type === 'CERT_ISSUED' || event.type === 'CERT_RENEWED' || event.type === 'CERT_REVOKED')
          await learnCertificate(ctx, event);
      },
    ),
    bus.consume(
      { durable: 'provisioning-contacts', types: ['DEVICE_CONNECTED'], maxDeliveries },
      async ({ account, subject: deviceId, type, data }) => {
        if (type !== 'DEVICE_CONNECTED') return;
        const { publicKeyHash, serialNumber } = data;
        await recordContact(ctx, { account, deviceId, publicKeyHash, serialNumber, at: 'broker' });
      },
    ),
    bus.consume(
      { durable: 'provisioning-seen', types: ['DEVICE_SEEN'], maxDeliveries },
      async ({ account, subject: deviceId, type, source, data }) => {
        if (type !== 'DEVICE_SEEN' || source !== '/bootstrap') return;
        const { publicKeyHash, serialNumber } = data;
        await recordContact(ctx, { account, deviceId, publicKeyHash, serialNumber, at: 'flotta' });
      },
    ),
    bus.consume(
      { durable: 'provisioning-dropped', types: ['DEVICE_ROTATION_CANCELLED'], maxDeliveries },
      async ({ account, type, data }) => {
        if (type !== 'DEVICE_ROTATION_CANCELLED' || data.keyKept === true) return;
        await revokeDroppedKey(ctx, { account, deviceId: data.deviceId, serialNumber: data.serialNumber });
      },
    ),
    bus.consume(
      {
        durable: 'provisioning-config-keys',
        types: ['DEVICE_ROTATION_CANCELLED', 'DEVICE_PUBKEY_CHANGE'],
        maxDeliveries,
      },
      async ({ account, subject: deviceId, type, data }) => {
        const device = { account, deviceId };
        if (type === 'DEVICE_PUBKEY_CHANGE')
          await settleRekeyed(ctx, { ...device, publicKeyHash: data.newPublicKeyHash, is: 'promoted' });
        if (type === 'DEVICE_ROTATION_CANCELLED' && data.keyKept !== true)
          await settleRekeyed(ctx, { ...device, publicKeyHash: data.publicKeyHash, is: 'dropped' });
      },
    ),
    bus.consume(
      {
        durable: 'provisioning-campaigns',
        types: ['DEVICE_ROTATION_COMPLETED', 'DEVICE_ROTATION_STEP', 'DEVICE_ROTATION_CANCELLED'],
        maxDeliveries,
      },
      async (event) => {
        if (
          event.type === 'DEVICE_ROTATION_COMPLETED' ||
          event.type === 'DEVICE_ROTATION_STEP' ||
          event.type === 'DEVICE_ROTATION_CANCELLED'
        )
          await noteRotationOutcome(ctx, event);
      },
    ),
  ]);
}
