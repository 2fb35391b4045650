import { type IssuedCertificate, OperationError } from '@signet/contracts';
import type { z } from 'zod';
import type { CertificateRecord, Certificates } from '../domain/certificate/certificate.ts';
import { type Revocation, revokeCertificate, revokeDevice } from '../domain/certificate/revoke.ts';
import type { EstCaOperations } from './operations.ts';

/** Issued certificates: seen and revoked by operators. */
export function certificateOperations(deps: {
  readonly certificates: Certificates;
  readonly now: () => number;
}): Pick<EstCaOperations, 'listCertificates' | 'revokeCertificates'> {
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

    async revokeCertificates({ account, serialNumber, deviceId, reason, by }) {
      const revocation: Revocation = { reason, by, at: deps.now() };
      if (serialNumber !== undefined) {
        const record = await deps.certificates.get(serialNumber);
        if (record?.account !== account || (deviceId !== undefined && record.deviceId !== deviceId))
          throw new OperationError(
            'unknown-certificate',
            `serialNumber: account "${account}" has no such certificate`,
            {
              field: 'serialNumber',
            },
          );
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

function described(record: CertificateRecord): z.input<typeof IssuedCertificate> {
  const {
    id: _id,
    authorityId: _authority,
    issuedAt: _issuedAt,
    revokedBy: _by,
    releasedAt: _releasedAt,
    releasedBy: _releasedBy,
    ...issued
  } = record;
  return issued;
}
