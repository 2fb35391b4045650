import type { Bus } from '@signet/bus';
import {
  authenticateProvisioning,
  checkMqttCredentials,
  completeProvisioning,
  meetDevice,
  OperationError,
  reportProvisioning,
} from '@signet/contracts';
import type { CheckCredentials } from '../domain/connect/connect-decision.ts';
import {
  ProvisioningRefused,
  type ProvisioningService,
  refusalOf,
} from '../domain/provisioning/provisioning-exchange.ts';

/** The provisioning service, asked over the bus. */
export function provisioningService(bus: Bus): ProvisioningService {
  return {
    async authenticate({ certificate, ...credentials }) {
      const { fingerprint } = credentials;
      const ask = async () => ({
        ...(await bus.request(authenticateProvisioning, credentials)),
        fingerprint,
      });
      try {
        return await ask();
      } catch (error) {
        if (!(await isMet(bus, error, certificate))) throw refused(error);
      }
      try {
        return await ask();
      } catch (error) {
        throw refused(error);
      }
    },
    async complete({ clientId: _, ...requester }, { csr }) {
      const asked = { ...requester, ...(csr === undefined ? {} : { csr }) };
      try {
        return JSON.stringify(await bus.request(completeProvisioning, asked));
      } catch (error) {
        throw refused(error);
      }
    },
    async report({ clientId: _, ...requester }, progress) {
      try {
        await bus.request(reportProvisioning, { ...requester, progress });
      } catch (error) {
        throw refused(error);
      }
    },
  };
}

/** Whether a device that matched nothing may match now: it came for the first time (F48). */
async function isMet(bus: Bus, error: unknown, certificate: string): Promise<boolean> {
  if (!(error instanceof OperationError) || error.code !== 'unmatched') return false;
  try {
    return (await bus.request(meetDevice, { certificate })).met;
  } catch (cause) {
    throw refused(cause);
  }
}

function refused(cause: unknown): unknown {
  if (!(cause instanceof OperationError)) return cause;
  return new ProvisioningRefused(refusalOf(cause.code), cause.message, { cause });
}

/** The provisioning service, which handed the credentials over and keeps their hash. */
export function credentialCheck(bus: Bus): CheckCredentials {
  return async (owner, credentials) => {
    try {
      await bus.request(checkMqttCredentials, { ...owner, ...credentials });
      return true;
    } catch (error) {
      const isNo =
        error instanceof OperationError && ['wrong-password', 'invalid-input'].includes(error.code);
      if (isNo) return false;
      throw error;
    }
  };
}
