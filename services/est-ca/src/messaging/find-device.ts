import type { Bus } from '@signet/bus';
import { getDevice, OperationError } from '@signet/contracts';
import type { FindDevice } from '../domain/enrollment/proof.ts';
import { EnrollmentError } from '../domain/enrollment-error.ts';

/** Asks `bootstrap` for devices; what it does not answer is not taken for "unknown". */
export function findDeviceOverBus(
  bus: Pick<Bus, 'request'>,
  options: { readonly deadlineMs: number },
): FindDevice {
  return async (query) => {
    try {
      const { deviceId, account, state } = await bus.request(getDevice, query, options);
      return { deviceId, state, claimed: account === query.account };
    } catch (cause) {
      if (!(cause instanceof OperationError)) throw cause;
      if (cause.code === 'unknown-device') return undefined;
      throw new EnrollmentError(
        'unavailable',
        'bootstrap: the device cannot be looked up now; try again later',
        {
          cause,
        },
      );
    }
  };
}
