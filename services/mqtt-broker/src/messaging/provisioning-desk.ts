import type { Bus } from '@signet/bus';
import {
  authenticateProvisioning,
  completeProvisioning,
  OperationError,
  reportProvisioning,
} from '@signet/contracts';
import { type ProvisioningDesk, ProvisioningRefused, refusalOf } from '../domain/provisioning-exchange.ts';

/** The provisioning service, asked over the bus. */
export function provisioningDesk(bus: Bus): ProvisioningDesk {
  return {
    async authenticate(credentials) {
      try {
        const applicant = await bus.request(authenticateProvisioning, credentials);
        return { ...applicant, fingerprint: credentials.fingerprint };
      } catch (error) {
        throw refused(error);
      }
    },
    async complete({ clientId: _, ...applicant }, { csr }) {
      const asked = { ...applicant, ...(csr === undefined ? {} : { csr }) };
      try {
        return JSON.stringify(await bus.request(completeProvisioning, asked));
      } catch (error) {
        throw refused(error);
      }
    },
    async report({ clientId: _, ...applicant }, progress) {
      try {
        await bus.request(reportProvisioning, { ...applicant, progress });
      } catch (error) {
        throw refused(error);
      }
    },
  };
}

function refused(cause: unknown): unknown {
  if (!(cause instanceof OperationError)) return cause;
  return new ProvisioningRefused(refusalOf(cause.code), cause.message, { cause });
}
