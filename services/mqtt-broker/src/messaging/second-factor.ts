import type { Bus } from '@signet/bus';
import { checkMqttCredentials, OperationError } from '@signet/contracts';
import type { CheckCredentials } from '../domain/second-factor.ts';

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
