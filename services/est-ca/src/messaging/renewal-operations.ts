import { OperationError } from '@signet/contracts';
import type { Certificates } from '../domain/certificate/certificate.ts';
import {
  grantRenewal,
  orderRenewal,
  type RenewalGrants,
  type RenewalOrders,
  withdrawRenewal,
} from '../domain/renewal/renewal-orders.ts';
import type { EstCaOperations } from './operations.ts';

/** What operators decide about renewals. */
export function renewalOperations(deps: {
  readonly renewalGrants: Pick<RenewalGrants, 'insert' | 'update'>;
  readonly renewalOrders: Pick<RenewalOrders, 'insert' | 'update' | 'remove'>;
  readonly certificates: Pick<Certificates, 'find'>;
  readonly now: () => number;
}): Pick<EstCaOperations, 'grantExpiredRenewal' | 'orderRenewal' | 'withdrawRenewal'> {
  return {
    async grantExpiredRenewal({ account, deviceId, hours, by }) {
      const equals = { account, deviceId };
      const { items } = await deps.certificates.find({ index: 'device', equals, limit: 1 });
      if (items.length === 0)
        throw new OperationError(
          'unknown-device',
          `deviceId: "${deviceId}" of account "${account}" never had a certificate`,
          { field: 'deviceId' },
        );
      const { expiresAt } = await grantRenewal(
        deps.renewalGrants,
        { account, deviceId },
        { by, now: deps.now(), lifetimeMs: hours * 3_600_000 },
      );
      return { account, deviceId, expiresAt };
    },
    async orderRenewal({ account, deviceId, rotationId, expiresAt, by }) {
      const orderedAt = new Date(deps.now()).toISOString();
      const order = { rotationId, orderedBy: by, orderedAt, expiresAt };
      await orderRenewal(deps.renewalOrders, { account, deviceId }, order);
      return {};
    },
    async withdrawRenewal({ account, deviceId, rotationId }) {
      await withdrawRenewal(deps.renewalOrders, { account, deviceId }, rotationId);
      return {};
    },
  };
}
