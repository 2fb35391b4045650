import { type DenyTarget, departureOf, type SignetEvent } from '@signet/contracts';
import type { Intent } from './deny-state.ts';

/** Types of events that change the deny list. */
export const revocationTypes = ['CERT_REVOKED', 'CERT_RELEASED'] as const;
/** These undo each other, so their order counts. */
export const stateTypes = ['DEVICE_BLOCKED', 'DEVICE_UNBLOCKED', 'DEVICE_RETIRED', 'CA_CHANGED'] as const;
/** So do these, of an account. */
export const accountTypes = ['ACCOUNT_SUSPENDED', 'ACCOUNT_RESUMED', 'ACCOUNT_DELETED'] as const;

const SUSPENDED = 'account suspended';
const LAST_EXPIRY = 0xfffffffe;

/**
 * What an event means for the deny list. `keepSeconds`: how long a denial outlasts the notAfter of what it denies.
 * A certificate that was revoked as superseded is denied too: the key that took its place is known to work by then.
 */
export function intentsOfEvent(event: SignetEvent, keepSeconds: number): readonly Intent[] {
  const deny = (target: DenyTarget, cause: string, reason: string, expiresAt = 0): Intent => ({
    do: 'deny',
    target,
    hold: {
      cause,
      reason,
      expiresAt,
      source: event.type,
      account: event.account,
      since: event.time,
      ...(event.sequence === undefined ? {} : { sequence: event.sequence }),
    },
  });
  const lift = (target: DenyTarget, cause: string): Intent => {
    return { do: 'lift', target, cause, sequence: event.sequence };
  };
  switch (event.type) {
    case 'CERT_REVOKED': {
      const { issuerKeyId, serialNumber, reason, notAfter } = event.data;
      const target = { kind: 'certificate', issuerKeyId, serialNumber } as const;
      return [deny(target, 'revoked', reason, expiryOf(notAfter, keepSeconds))];
    }
    case 'CERT_RELEASED': {
      const { issuerKeyId, serialNumber } = event.data;
      return [lift({ kind: 'certificate', issuerKeyId, serialNumber }, 'revoked')];
    }
    case 'DEVICE_BLOCKED':
      return targetsOf(event.data).map((target) =>
        deny(target, `blocked ${event.data.fingerprint}`, event.data.reason),
      );
    case 'DEVICE_UNBLOCKED':
      // a revoked one comes in again where its registrar registers it anew
      return targetsOf(event.data).flatMap((target) =>
        ['blocked', 'retired'].map((cause) => lift(target, `${cause} ${event.data.fingerprint}`)),
      );
    case 'DEVICE_RETIRED':
      return targetsOf(event.data).map((target) =>
        deny(target, `retired ${event.data.fingerprint}`, event.data.reason),
      );
    case 'CA_CHANGED': {
      const { kind, subjectKeyId, state, notAfter, keyElsewhere, reason } = event.data;
      const target = { kind: 'ca', subjectKeyId } as const;
      const cause = `authority ${event.data.authorityId}`;
      // another account may have it pinned, and goes on: whoever pins it knows its state, by account
      const isShareable = kind === 'factory' && keyElsewhere === true;
      if (state === 'active' || isShareable) return [lift(target, cause)];
      return [deny(target, cause, reason ?? `CA is ${state}`, expiryOf(notAfter, keepSeconds))];
    }
    case 'ACCOUNT_SUSPENDED': {
      if (event.data.devices !== true) return [];
      const target = { kind: 'account', account: event.account } as const;
      return [deny(target, SUSPENDED, `account suspended: ${event.data.reason}`)];
    }
    case 'ACCOUNT_RESUMED':
      return [lift({ kind: 'account', account: event.account }, SUSPENDED)];
    case 'ACCOUNT_DELETED':
      return [deny({ kind: 'account', account: event.account }, 'account deleted', 'account deleted')];
    default:
      return [];
  }
}

/** The bootstrap certificate, and the device that it became where an account owns it. */
function targetsOf(data: {
  readonly fingerprint: string;
  readonly deviceId: string;
  readonly account?: string | undefined;
}): readonly DenyTarget[] {
  const { fingerprint, deviceId, account } = data;
  const byFingerprint: DenyTarget = { kind: 'fingerprint', fingerprint };
  return account === undefined ? [byFingerprint] : [byFingerprint, { kind: 'device', account, deviceId }];
}

/** Unix seconds; 0 where it lies beyond what a record of the list holds (RFC 5280's 99991231235959Z among them). */
function expiryOf(notAfter: string, keepSeconds: number): number {
  const expiresAt = Math.ceil(Date.parse(notAfter) / 1000) + keepSeconds;
  return expiresAt > LAST_EXPIRY ? 0 : expiresAt;
}

/** Types of events by which a device changes hands. */
export const handoverTypes = ['DEVICE_RESET', 'DEVICE_CLAIMED'] as const;

/**
 * What operators of an account deny of a device counts while the account has it: given up or claimed by another, it is
 * over. Blocks, revocations and what the platform denies stay.
 */
export function intentsOfHandover(event: SignetEvent): Intent[] {
  const until = event.time;
  if (event.type === 'DEVICE_CLAIMED') {
    const { fingerprint } = event.data;
    const target: DenyTarget = { kind: 'fingerprint', fingerprint };
    return [{ do: 'end', target, whose: { notOf: event.account }, until }];
  }
  const departure = departureOf(event);
  if (departure === undefined) return [];
  const { account, deviceId, fingerprint } = departure;
  const targets: DenyTarget[] = [
    { kind: 'fingerprint', fingerprint },
    { kind: 'device', account, deviceId },
  ];
  return targets.map((target) => ({ do: 'end', target, whose: { of: account }, until }));
}
