import type { RefusalCode } from '@signet/contracts';
import type { Owner } from './topic-rules.ts';

/** CONNACK return codes of MQTT 3.1.1 §3.2.2.3. */
export const RETURN_CODE = {
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

/** The client id on the wire must be the device id: a session cannot be taken over under another's name. */
export function decideConnect(owner: Owner, clientId: string): ConnectRefusal | undefined {
  if (clientId === owner.deviceId) return undefined;
  return {
    code: 'wrong-client-id',
    message: `clientId: "${clientId.slice(0, 64)}" is not the device id "${owner.deviceId}"`,
    returnCode: RETURN_CODE.identifierRejected,
  };
}

/** What a peer that the gate refused is told in CONNACK. */
export function returnCodeOf(code: RefusalCode): number {
  const isPassing = code === 'denylist-not-loaded' || code === 'denylist-stale' || code === 'unavailable';
  return isPassing ? RETURN_CODE.serverUnavailable : RETURN_CODE.notAuthorized;
}
