import { type IssuedCertificate, OperationError } from '@signet/contracts';
import type { z } from 'zod';
import type { CertificateRecord, Certificates } from '../domain/certificate/certificate.ts';
import {
  type Revocation,
  releaseCertificate,
  revokeCertificate,
  revokeDevice,
} from '../domain/certificate/revocation.ts';
import type { EstCaOperations } from './operations.ts';

/** Issued certificates: seen and revoked by operators. */
export function certificateOperations(deps: {
  readonly certificates: Certificates;
  readonly now: () => number;
}): Pick<
  EstCaOperations,
  'identifyCertificates' | 'listCertificates' | 'releaseCertificate' | 'revokeCertificates'
> {
  return {
    async listCertificates({ account, deviceId, cursor, limit }) {
      const page = await deps.certificates.find({
        index: 'device',
        equals: deviceId === undefined ? { account } : { account, deviceId },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      return {
        items: page.items.map(described),
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
  };
}

function unknownCertificate(account: string): OperationError {
  return new OperationError(
    'unknown-certificate',
    `serialNumber: account "${account}" has no such certificate`,
    { field: 'serialNumber' },
  );
}

function described(record: CertificateRecord): z.input<typeof IssuedCertificate> {
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
