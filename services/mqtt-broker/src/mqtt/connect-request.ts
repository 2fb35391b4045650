import type { AuthenticateError, Client, ConnectPacket } from 'aedes';
import type { ConnectRequest } from '../domain/connect-decision.ts';

const requests = new WeakMap<Client, ConnectRequest>();

/** Notes what the wire said, and gives the client the broker's own id: the only key inside aedes and its persistence. */
export function renameClient(client: Client, packet: ConnectPacket, id: string): void {
  const { clientId, keepalive = 0, will } = packet;
  const willBytes = Buffer.byteLength(will?.payload ?? '');
  const request = { clientId, keepAlive: keepalive, willTopic: will?.topic, willBytes };
  requests.set(client, request);
  packet.clientId = id;
}

export function connectRequestOf(client: Client): ConnectRequest | undefined {
  return requests.get(client);
}

/** Ends a session, or its CONNECT with a return code; it has been reported. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly returnCode: number;

  constructor(code: string, returnCode = 5) {
    super(code);
    this.returnCode = returnCode;
  }
}

/** What nobody foresaw: never the fault of the device. */
export class InternalError extends Error {
  override readonly name = 'InternalError';
}

/** What `authenticate` hands to aedes where something failed. */
export function asAuthenticateError(error: unknown): AuthenticateError {
  if (error instanceof Refused) return Object.assign(error, { returnCode: error.returnCode });
  return Object.assign(new InternalError('connect: it failed', { cause: error }), { returnCode: 3 });
}
