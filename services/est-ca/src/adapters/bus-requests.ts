import type { Bus } from '@signet/bus';
import { announceKey, findAccount, getDevice, OperationError } from '@signet/contracts';
import { encodePem, parseCertificatePem } from '@signet/pki';
import type { AccountStates } from '@signet/service';
import type { AnnounceNextKey } from '../domain/enrollment/enroll.ts';
import type { FindDevice } from '../domain/enrollment/proof.ts';
import { EnrollmentError } from '../domain/est/enrollment-error.ts';
import type { RequireAccount } from '../domain/profile/profile.ts';

/** Announces next keys to `provisioning`, by request: a renewal that cannot be announced is not answered. */
export function announceOverBus(
  bus: Pick<Bus, 'request'>,
  options: { readonly deadlineMs: number },
): AnnounceNextKey {
  return async (current, next) => {
    const { spkiDer } = parseCertificatePem(next.certificate);
    try {
      await bus.request(
        announceKey,
        {
          account: next.account,
          deviceId: next.deviceId,
          currentPublicKeyHash: current.publicKeyHash,
          next: {
            publicKey: encodePem('PUBLIC KEY', spkiDer),
            publicKeyHash: next.publicKeyHash,
            serialNumber: next.serialNumber,
            since: next.issuedAt,
          },
        },
        options,
      );
    } catch (cause) {
      if (!(cause instanceof OperationError)) throw cause;
      throw cause.code === 'third-key'
        ? new EnrollmentError('third-key', `certificate: ${cause.message}`, { cause })
        : new EnrollmentError(
            'unavailable',
            'provisioning: the new key cannot be announced now; try again later',
            {
              cause,
            },
          );
    }
  };
}

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

/**
 * Asks `admin-api` whether the account that a label names exists, once for each account: no name is ever taken back.
 * While `admin-api` is unavailable, a label is taken for one of an account: nobody enrols under it without a grant or a
 * profile, and devices go on renewing.
 */
export function requireAccountOverBus(
  bus: Pick<Bus, 'request'>,
  states: Pick<AccountStates, 'get'>,
  options: { readonly deadlineMs: number },
): RequireAccount {
  const known = new Set<string>();
  return async (account) => {
    if ((await states.get(account))?.state === 'deleted') throw unknownAccount(account);
    if (known.has(account)) return;
    try {
      const { state } = await bus.request(findAccount, { account }, options);
      if (state === 'unknown' || state === 'deleted') throw unknownAccount(account);
      known.add(account);
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
    }
  };
}

function unknownAccount(account: string): EnrollmentError {
  return new EnrollmentError('unknown-profile', `label: there is no account "${account}"`);
}
