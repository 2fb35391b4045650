import { provisioningTopic } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import { admissionOf, type Logger, peerOf, type RefusalReporter } from '@signet/service';
import type { Client, PublishPacket } from 'aedes';
import { type AttemptLimit, RETURN_CODE, returnCodeOf } from '../domain/connect/connect-decision.ts';
import {
  isProgress,
  isReply,
  isRequest,
  ProvisioningRefused,
  type ProvisioningService,
  parseProgress,
  parseRequest,
  type Requester,
} from '../domain/provisioning/provisioning-exchange.ts';
import { ClientRefusals, connectRequestOf, Refused } from './refusals.ts';

export type ProvisioningParts = {
  readonly refusals: RefusalReporter;
  readonly log: Logger;
  readonly service: ProvisioningService;
  /** By bootstrap certificate, and by network address. */
  readonly attempts: { readonly device: AttemptLimit; readonly address: AttemptLimit };
};

type Exchange = { requester: Requester; isSubscribed: boolean; isRequested: boolean };

/** The provisioning exchange of each client: who it is, its one request, the reply, and word of how it goes. */
export class ProvisioningExchanges {
  readonly #parts: ProvisioningParts;
  /** What is refused on this listener. */
  readonly refusals: ClientRefusals;
  readonly #exchanges = new WeakMap<Client, Exchange>();

  constructor(parts: ProvisioningParts) {
    this.#parts = parts;
    this.refusals = new ClientRefusals({
      listener: 'mqtt-provisioning',
      reporter: parts.refusals,
      log: parts.log,
      knownOf: (client) => knownOf(client, this.#exchanges.get(client)?.requester),
    });
  }

  /** Only its own reply leaves for a client. */
  mayLeave(client: Client, topic: string): boolean {
    const exchange = this.#exchanges.get(client);
    return exchange !== undefined && isReply(exchange.requester, topic);
  }

  /** @throws Refused: it has been reported, and its return code is for CONNACK */
  async authenticate(client: Client, username: string | undefined, password: Buffer | undefined) {
    const peer = peerOf(client.conn);
    if (peer === undefined) throw this.#refusedByGate(client);
    await this.#boundAttempts(client, peer);
    const request = connectRequestOf(client);
    if (request === undefined) throw new Refused('malformed-request');
    if (request.willTopic !== undefined)
      throw this.refusals.refuse(client, 'topic-not-allowed', 'will: there is none on this listener');
    if (!username || password === undefined || password.length === 0)
      throw this.refusals.refuse(client, 'no-credentials', 'username and password: both are needed');
    try {
      const { fingerprint } = peer.facts;
      const { clientId } = request;
      const requester = await this.#parts.service.authenticate({
        ...{ fingerprint, clientId, username, certificate: peer.certificate.pem() },
        password: password.toString('utf8'),
      });
      this.#exchanges.set(client, { requester, isSubscribed: false, isRequested: false });
    } catch (error) {
      throw this.#refuseFailed(client, error);
    }
  }

  async #boundAttempts(client: Client, peer: VerifiedPeer): Promise<void> {
    const { device, address } = this.#parts.attempts;
    const allowed = await Promise.all([
      device.allows(peer.facts.fingerprint),
      address.allows(knownOf(client).address),
    ]);
    if (!allowed.every(Boolean))
      throw this.refusals.refuse(client, 'rate-limited', 'connect: too many attempts within a minute');
  }

  /** The admission gate has reported why; only CONNACK is left. */
  #refusedByGate(client: Client): Refused {
    const admission = admissionOf(client.conn);
    const code = admission?.kind === 'refused' ? admission.refusal.code : 'unavailable';
    return new Refused(code, returnCodeOf(code));
  }

  /** Only to its own reply. */
  maySubscribe(client: Client, topic: string): boolean {
    const exchange = this.#exchanges.get(client);
    if (exchange === undefined || !isReply(exchange.requester, topic)) {
      this.refusals.note(client, 'topic-not-allowed', `subscribe: "${topic.slice(0, 128)}" is not its reply`);
      return false;
    }
    exchange.isSubscribed = true;
    return true;
  }

  /** Starts the exchange, which answers in its own time; an error ends the session. */
  request(client: Client | null, packet: PublishPacket): Error | null {
    const exchange = client === null ? undefined : this.#exchanges.get(client);
    // Only the broker itself publishes without a client: its own $SYS messages, which nobody here may read.
    if (client === null || exchange === undefined) return new Refused('topic-not-allowed');
    packet.retain = false;
    const payload = packet.payload.toString();
    if (isProgress(exchange.requester, packet.topic)) {
      this.#inItsTime(client, exchange, this.#report(client, exchange, payload));
      return null;
    }
    if (!isRequest(exchange.requester, packet.topic)) {
      const message = `publish: "${packet.topic.slice(0, 128)}" is neither its request nor its progress`;
      return this.refusals.refuse(client, 'topic-not-allowed', message);
    }
    if (!exchange.isSubscribed)
      return this.refusals.refuse(client, 'malformed-request', 'request: subscribe to the reply first');
    if (exchange.isRequested) return null;
    exchange.isRequested = true;
    this.#inItsTime(client, exchange, this.#answer(client, exchange, payload));
    return null;
  }

  #inItsTime(client: Client, { requester }: Exchange, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#parts.log.error(
        { err: error, ...knownOf(client, requester) },
        'provisioning: an exchange failed',
      );
      client.close();
    });
  }

  async #report(client: Client, exchange: Exchange, progress: string): Promise<void> {
    try {
      await this.#parts.service.report(exchange.requester, parseProgress(progress));
    } catch (error) {
      if (!(error instanceof ProvisioningRefused)) throw error;
      this.refusals.note(client, error.code, error.message);
    }
  }

  async #answer(client: Client, exchange: Exchange, request: string): Promise<void> {
    let payload: string;
    try {
      payload = await this.#parts.service.complete(exchange.requester, parseRequest(request));
    } catch (error) {
      if (!(error instanceof ProvisioningRefused)) throw error;
      this.refusals.note(client, error.code, error.message);
      payload = JSON.stringify({ code: error.code });
      exchange.isRequested = false;
    }
    if (client.closed) return;
    const topic = provisioningTopic(exchange.requester.clientId, 'reply');
    client.publish({ cmd: 'publish', qos: 1, dup: false, retain: false, topic, payload }, (error) => {
      if (error) this.#parts.log.warn({ err: error }, 'provisioning: failed to send a reply');
    });
  }

  #refuseFailed(client: Client, error: unknown): Error {
    if (error instanceof ProvisioningRefused) {
      // a stranger is not told whether a request exists
      const told = error.code === 'unavailable' ? RETURN_CODE.serverUnavailable : RETURN_CODE.badCredentials;
      return this.refusals.refuse(client, error.code, error.message, told);
    }
    this.#parts.log.error({ err: error, ...knownOf(client) }, 'provisioning: authentication failed');
    return this.refusals.refuse(
      client,
      'unavailable',
      'credentials: could not be checked',
      RETURN_CODE.serverUnavailable,
    );
  }
}

function knownOf(client: Client, requester?: Requester) {
  const admission = admissionOf(client.conn);
  const peer = peerOf(client.conn);
  return {
    address: admission?.address ?? 'unknown',
    ...(peer === undefined ? {} : { fingerprint: peer.facts.fingerprint, deviceId: peer.deviceId }),
    ...(requester === undefined ? {} : { account: requester.account, deviceId: requester.deviceId }),
  };
}
