import { type IssuedCertificate, OperationError } from '@signet/contracts';
import type { z } from 'zod';
import type { CertificateRecord, Certificates } from '../domain/certificate/certificate.ts';
import {
  type Revocation,
  releaseCertificate,
  revokeCertificate,
  revokeDevice,
} from '../domain/certificate/revocation.ts';
import {
  grantRenewal,
  orderRenewal,
  type RenewalGrants,
  type RenewalOrders,
  withdrawRenewal,
} from '../domain/renewal/renewal-orders.ts';
import type { EstCaOperations } from './operations.ts';

/** Issued certificates: seen and revoked by operators. */
export function certificateOperations(deps: {
  readonly certificates: Certificates;
  readonly now: () => number;
}) {
  return {
    async listCertificates({ account, deviceId, cursor, limit }) {
      const page = await deps.certificates.find({
        index: 'device',
        equals: deviceId === undefined ? { account } : { account, deviceId },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      return {
        items: page.items.map(issuedCertificateOf),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    },

    async identifyCertificates({ issuerKeyId, serialNumbers }) {
      const found = await Promise.all(
        serialNumbers.map((serialNumber) => deps.certificates.get(serialNumber)),
      );
      return {
        certificates: found.flatMap((record) => {
          if (record?.issuerKeyId !== issuerKeyId) return [];
          const { serialNumber, account, deviceId } = record;
          return [{ serialNumber, account, deviceId }];
        }),
      };
    },

    async releaseCertificate({ account, serialNumber, by }) {
      const record = await deps.certificates.get(serialNumber);
      if (record?.account !== account) throw unknownCertificate(account);
      const outcome = await releaseCertificate(deps.certificates, serialNumber, { by, at: deps.now() });
      if (outcome === 'not-on-hold')
        throw new OperationError(
          'not-on-hold',
          `serialNumber: it was revoked for good, reason "${record.revocationReason}"`,
          { field: 'serialNumber' },
        );
      return { released: outcome === 'released' };
    },

    async revokeCertificates({ account, serialNumber, deviceId, reason, by }) {
      const revocation: Revocation = { reason, by, at: deps.now() };
      if (serialNumber !== undefined) {
        const record = await deps.certificates.get(serialNumber);
        if (record?.account !== account || (deviceId !== undefined && record.deviceId !== deviceId))
          throw unknownCertificate(account);
        const changed = await revokeCertificate(deps.certificates, serialNumber, revocation);
        return { revoked: changed ? [serialNumber] : [] };
      }
      if (deviceId === undefined)
        throw new OperationError('invalid-input', 'deviceId: give it, or serialNumber', {
          field: 'deviceId',
        });
      return { revoked: [...(await revokeDevice(deps.certificates, { account, deviceId }, revocation))] };
    },
  } satisfies Partial<EstCaOperations>;
}

function unknownCertificate(account: string): OperationError {
  return new OperationError(
    'unknown-certificate',
    `serialNumber: account "${account}" has no such certificate`,
    { field: 'serialNumber' },
  );
}

function issuedCertificateOf(record: CertificateRecord): z.input<typeof IssuedCertificate> {
  const {
    id: _id,
    authorityId: _authority,
    issuedAt: _issuedAt,
    revokedBy: _by,
    enteredBy: _enteredBy,
    identity: _identity,
    enrolment: _enrolment,
    releasedAt: _releasedAt,
    releasedBy: _releasedBy,
    ...issued
  } = record;
  return issued;
}

/** What operators decide about renewals. */
export function renewalOperations(deps: {
  readonly renewalGrants: Pick<RenewalGrants, 'insert' | 'update'>;
  readonly renewalOrders: Pick<RenewalOrders, 'insert' | 'update' | 'remove'>;
  readonly certificates: Pick<Certificates, 'find'>;
  readonly now: () => number;
}) {
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
  } satisfies Partial<EstCaOperations>;
}
