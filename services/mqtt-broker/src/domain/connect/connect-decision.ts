import type { RefusalCode } from '@signet/contracts';
import { type Owner, publishRefusal } from '../topic/topic-rules.ts';

/** CONNACK return codes of MQTT 3.1.1 §3.2.2.3. */
export const RETURN_CODE = {
  unacceptableProtocol: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badCredentials: 4,
  notAuthorized: 5,
} as const;

export type ConnectRefusal = {
  readonly code: RefusalCode;
  readonly message: string;
  readonly returnCode: number;
};

/** What a CONNECT packet asks for, as it came over the wire. */
export type ConnectRequest = {
  readonly clientId: string;
  /** Seconds; 0 for none. */
  readonly keepAlive: number;
  readonly willTopic: string | undefined;
  /** Of the will's payload. */
  readonly willBytes: number;
};

/**
 * Whether the network has to find out that the device is gone (TCP keep-alive): it asks for no keep-alive, or for one
 * that is too long to wait for.
 */
export function isLeftToTcp({ keepAlive }: ConnectRequest, maxKeepAliveSeconds: number): boolean {
  return keepAlive === 0 || keepAlive > maxKeepAliveSeconds;
}

/**
 * Whether an admitted device gets what its CONNECT asks for. The client id on the wire must be the device id: a session
 * cannot be taken over under another's name.
 */
export function decideConnect(
  owner: Owner,
  request: ConnectRequest,
  maxWillBytes: number,
): ConnectRefusal | undefined {
  const { clientId, willTopic, willBytes } = request;
  if (clientId !== owner.deviceId) {
    return {
      code: 'wrong-client-id',
      message: `clientId: "${clientId.slice(0, 64)}" is not the device id "${owner.deviceId}"`,
      returnCode: RETURN_CODE.identifierRejected,
    };
  }
  const willRefusal = willTopic === undefined ? undefined : publishRefusal(owner, willTopic);
  if (willRefusal !== undefined) {
    return {
      code: 'topic-not-allowed',
      message: `will: "${willTopic?.slice(0, 100)}" ${willRefusal}`,
      returnCode: RETURN_CODE.notAuthorized,
    };
  }
  if (willBytes > maxWillBytes) {
    return {
      code: 'packet-too-large',
      message: `will: ${willBytes} bytes, at most ${maxWillBytes} are kept`,
      returnCode: RETURN_CODE.notAuthorized,
    };
  }
  return undefined;
}

/** What a peer that is refused is told in CONNACK. */
export function returnCodeOf(code: RefusalCode): number {
  switch (code) {
    case 'denylist-not-loaded':
    case 'denylist-stale':
    case 'not-yet-valid':
    case 'unavailable':
    case 'rate-limited':
      return RETURN_CODE.serverUnavailable;
    case 'no-credentials':
    case 'wrong-password':
    case 'unknown-device':
      return RETURN_CODE.badCredentials;
    default:
      return RETURN_CODE.notAuthorized;
  }
}

/** Bounds how often something may be tried within a window of time. */
export type AttemptLimit = {
  /** Counts one attempt under this key. False: one too many. */
  allows(key: string): Promise<boolean>;
};

/** What a CONNECT packet shows beside the certificate. */
export type Credentials = { readonly username: string; readonly password: string };

/** Whether these are the credentials that this device was given (F21); rejects while they cannot be checked. */
export type CheckCredentials = (owner: Owner, credentials: Credentials) => Promise<boolean>;
