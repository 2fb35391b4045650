import { fromSeed } from '@nats-io/nkeys';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { peerDenyKeys } from '@signet/denylist';
import type { Admission, Logger } from '@signet/service';
import {
  admitNatsSession,
  NatsQuestion,
  natsClientId,
  natsPermissions,
} from '../../domain/brokers/nats-admission.ts';
import { readNatsJwt, signNatsJwt } from './nats-jwt.ts';
import { NatsSessions } from './nats-sessions.ts';

const QUESTIONS = '$SYS.REQ.USER.AUTH';

export type CalloutOptions = {
  readonly admission: Admission;
  /** NATS server, as the user of its `auth_callout`. */
  readonly url: string;
  /** The same server as a user of its system account; without it live sessions end when their time is over. */
  readonly systemUrl?: string | undefined;
  /** Seed of the account nkey that the server trusts as `auth_callout.issuer`. */
  readonly seed: string;
  /** Account of the server that devices are put into. */
  readonly account: string;
  /** How long a session may last, ms. */
  readonly maxSessionMs: number;
  readonly now: () => number;
  readonly log: Logger;
};

/**
 * Decides for a NATS server which devices its own MQTT listener admits, and what they may do there: by the same function,
 * CAs and deny list as ours. A session that is denied later is kicked; one that ends is forgotten. Without a user of the
 * system account neither can be, and sessions are not kept at all.
 */
export async function serveNatsCallout(options: CalloutOptions): Promise<AsyncDisposable> {
  const { log } = options;
  await using stack = new AsyncDisposableStack();
  const server = await connected(options.url, stack);
  const system = options.systemUrl === undefined ? undefined : await connected(options.systemUrl, stack);
  const sessions = new NatsSessions();
  if (system !== undefined) sessions.follow(system, options.account, log);
  await system?.flush();
  const issuer = fromSeed(new TextEncoder().encode(options.seed));
  server.subscribe(QUESTIONS, {
    callback: (error, message) => {
      if (error !== null) return log.error({ err: error }, 'NATS callout: failed to receive a question');
      const asked = NatsQuestion.safeParse(readNatsJwt(message.string()));
      if (!asked.success) return log.warn('NATS callout: a question is malformed');
      message.respond(answer(asked.data, options, issuer, { system, sessions }));
    },
  });
  await server.flush();
  const rest = stack.move();
  return { [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

async function connected(url: string, stack: AsyncDisposableStack): Promise<NatsConnection> {
  const { username, password, host } = new URL(url);
  const connection = await connect({
    servers: host,
    user: decodeURIComponent(username),
    pass: decodeURIComponent(password),
    maxReconnectAttempts: -1,
  });
  stack.defer(() => connection.close());
  return connection;
}

function answer(
  asked: NatsQuestion,
  options: CalloutOptions,
  issuer: ReturnType<typeof fromSeed>,
  { system, sessions }: { readonly system: NatsConnection | undefined; readonly sessions: NatsSessions },
): string {
  const { admission, now, account, maxSessionMs } = options;
  const { nats } = asked;
  const verdict = admitNatsSession({ denyList: admission.denyList, trust: admission.trust, now }, asked);
  const claims = { aud: nats.server_id.id, sub: nats.user_nkey, iat: Math.floor(now() / 1000) };
  if (!verdict.ok) {
    const { ok: _, ...facts } = verdict;
    admission.refusals.report({ ...facts, listener: 'mqtt', address: nats.client_info.host });
    const said = { type: 'authorization_response', version: 2, error: verdict.code };
    return signNatsJwt({ ...claims, nats: said }, issuer);
  }
  const { account: owner = '', deviceId = '' } = verdict.facts;
  const endsAt = Math.min(verdict.certificate.notAfter, now() + maxSessionMs);
  if (system !== undefined) {
    const place = { server: nats.server_id.id, client: nats.client_info.id };
    const kicked = () => kick(system, nats, options.log);
    const handle = admission.sessions.enter({
      keys: peerDenyKeys(verdict.facts),
      notAfter: endsAt,
      end: () => {
        sessions.ended(place);
        kicked();
      },
    });
    sessions.enter({ ...place, clientId: natsClientId(owner, deviceId), handle, kick: kicked });
  }
  const user = {
    ...{ aud: account, sub: nats.user_nkey, name: natsClientId(owner, deviceId), iat: claims.iat },
    exp: Math.floor(endsAt / 1000),
    nats: { type: 'user', version: 2, ...natsPermissions(owner, deviceId) },
  };
  const jwt = signNatsJwt(user, issuer);
  return signNatsJwt({ ...claims, nats: { type: 'authorization_response', version: 2, jwt } }, issuer);
}

function kick(system: NatsConnection, { server_id, client_info }: NatsQuestion['nats'], log: Logger) {
  const subject = `$SYS.REQ.SERVER.${server_id.id}.KICK`;
  system
    .request(subject, JSON.stringify({ cid: client_info.id }))
    .catch((error: unknown) =>
      log.warn({ err: error, cid: client_info.id }, 'NATS callout: failed to end a session'),
    );
}
