import { DeviceId, OperationError } from '@signet/contracts';
import { admissionOf, Problem, peerOf, type RefusalFacts, refusalProblem } from '@signet/service';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  enrolFlottaDevice,
  type FlottaContext,
  isRemoved,
  type Newcomer,
  type OwnDevice,
  recordFlottaContact,
  registerFlottaDevice,
  renewFlottaDevice,
} from '../domain/flotta/flotta-device.ts';
import { RegistrationError } from '../domain/refusals/errors.ts';
import {
  DataMessage,
  detailsOf,
  deviceConfiguration,
  EnrolmentContent,
  HeartbeatContent,
  message,
  RegistrationContent,
} from './flotta-messages.ts';
import { withRefusals } from './problems.ts';

type FlottaServices = {
  readonly ctx: FlottaContext;
  readonly refuse: (facts: RefusalFacts) => void;
  readonly heartbeatSeconds: number;
};

const BASE = '/api/flotta-management/v1';

const Params = z.object({ deviceId: DeviceId });

/**
 * The API of Flotta's edge devices (project-flotta, yggdrasil's messages over HTTP). Without a certificate of its own a
 * device may only enrol and register, by the registration certificate; everything else it does as the device that its
 * certificate names. An expired one renews (directive `registration`), and does nothing else.
 */
export function flottaRoutes(app: FastifyInstance, services: FlottaServices): void {
  const { ctx, refuse } = services;
  const own = { config: { admits: ['operational'], expiredIs401: true } } as const;

  app.post(
    `${BASE}/data/:deviceId/out`,
    { config: { admits: ['registration', 'operational'], admitsExpired: true } },
    async (request, reply) => {
      const { deviceId } = Params.parse(request.params);
      const caller = callerOf(request);
      return await withRefusals(refuse, { ...caller, deviceId, address: request.ip }, async () => {
        requireOwn(request, caller, deviceId, refuse);
        const sent = DataMessage.parse(request.body ?? {});
        return await handle(services, { request, reply, caller, deviceId, sent });
      });
    },
  );

  app.get(`${BASE}/data/:deviceId/in`, { ...own, onSend: withoutBody }, async (request) => {
    const deviceId = requireOwnId(request, refuse);
    await reportContact(services, request);
    const content = deviceConfiguration(deviceId, services.heartbeatSeconds);
    return message('data', { directive: 'device', content }, ctx.now());
  });

  // A removed device is on the deny list: the refused connection itself answers.
  app.get(
    `${BASE}/control/:deviceId/in`,
    { config: { ...own.config, answersRefused: true }, onSend: withoutBody },
    async (request, reply) => {
      const { deviceId } = Params.parse(request.params);
      const admission = admissionOf(request.raw.socket);
      const removed = admission?.kind === 'refused' ? admission.refusal : undefined;
      if (removed !== undefined) reply.header('connection', 'close');
      else {
        requireOwnId(request, refuse);
        await reportContact(services, request);
      }
      const account = removed === undefined ? peerOf(request.raw.socket)?.account : removed.account;
      const isNamed = removed === undefined || (removed.code === 'denied' && removed.deviceId === deviceId);
      if (isNamed && account !== undefined && (await isRemoved(ctx.devices, { account, deviceId })))
        return message('command', { content: { command: 'disconnect', arguments: {} } }, ctx.now());
      if (removed !== undefined) throw refusalProblem(removed.code);
      return await reply.status(200).send();
    },
  );

  app.post(`${BASE}/control/:deviceId/out`, own, async (request, reply) => {
    requireOwnId(request, refuse);
    await reportContact(services, request);
    return await reply.status(200).send();
  });
}

/** A client of yggdrasil takes whatever body comes on `…/in` as a message, of a refusal too: the status says it alone. */
async function withoutBody(_request: FastifyRequest, reply: FastifyReply, payload: unknown) {
  if (reply.statusCode < 400) return payload;
  reply.removeHeader('content-type').header('content-length', '0');
  return '';
}

type Caller = Newcomer | (OwnDevice & { readonly expired: boolean });

type Exchange = {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly caller: Caller;
  readonly deviceId: string;
  readonly sent: DataMessage;
};

async function handle(services: FlottaServices, exchange: Exchange): Promise<unknown> {
  const { reply, caller, deviceId, sent } = exchange;
  const { directive, content, message_id } = sent;
  switch (directive) {
    case 'enrolment': {
      const { features, target_namespace: namespace } = EnrolmentContent.parse(content ?? {});
      if (caller.kind === 'device') {
        if (!caller.expired) await reportContact(services, exchange.request);
        return await reply.status(208).send();
      }
      const details = detailsOf(features?.hardware);
      const outcome = await enrolFlottaDevice(services.ctx, caller, deviceId, { namespace, details });
      return await reply.status(outcome === 'known' ? 208 : 200).send();
    }
    case 'registration': {
      const { certificate_request: csr } = RegistrationContent.parse(content ?? {});
      const answer =
        caller.kind === 'device'
          ? await renewOwn(services, exchange, caller, csr)
          : await registerFlottaDevice(services.ctx, caller, deviceId, csr);
      if (answer === undefined)
        throw new Problem(404, 'not-approved', 'registration: no operator has approved it');
      const { certificate } = answer;
      reply.header('cache-control', 'no-store');
      return { directive, message_id, content: { certificate }, metadata: {} };
    }
    case 'heartbeat': {
      if (caller.kind !== 'device') throw rejection(services, exchange, 'wrong-purpose');
      if (caller.expired) throw rejection(services, exchange, 'expired');
      HeartbeatContent.parse(content ?? {});
      await recordFlottaContact(services.ctx, caller);
      return await reply.status(200).send();
    }
    default:
      throw new Problem(400, 'unknown-directive', 'directive: enrolment, registration or heartbeat', {
        field: 'directive',
      });
  }
}

async function renewOwn(services: FlottaServices, exchange: Exchange, caller: OwnDevice, csr: string) {
  try {
    return await renewFlottaDevice(services.ctx, caller, csr);
  } catch (cause) {
    if (!(cause instanceof OperationError)) throw cause;
    if (cause.code === 'bad-csr')
      throw new Problem(400, 'malformed-request', cause.message, { field: 'certificate_request', cause });
    if (cause.code !== 'refused' && cause.code !== 'revoked') throw cause;
    const code = cause.code === 'revoked' ? 'revoked' : 'expired';
    report(services.refuse, exchange.request, exchange.caller, code, cause.message);
    throw new Problem(403, code, 'this certificate is not renewed', { cause });
  }
}

/** Who calls; the guard let nobody else in. Only the leaf of the connection says it. */
function callerOf(request: FastifyRequest): Caller {
  const peer = peerOf(request.raw.socket);
  if (peer?.account === undefined) throw refusalProblem('no-certificate');
  const { account, deviceId, expired, facts } = peer;
  const { fingerprint, serialNumber, publicKeyHash } = facts;
  return peer.purpose === 'registration'
    ? { kind: 'newcomer', account, fingerprint, address: request.ip }
    : { kind: 'device', account, deviceId, fingerprint, serialNumber, publicKeyHash, expired };
}

/** @throws Problem 403 where a device speaks for another one */
function requireOwn(
  request: FastifyRequest,
  caller: Caller,
  deviceId: string,
  refuse: FlottaServices['refuse'],
): void {
  if (caller.kind !== 'device' || caller.deviceId === deviceId) return;
  report(refuse, request, caller, 'bad-identity', `path: "${deviceId}" is not the device of the certificate`);
  throw new Problem(403, 'bad-identity', 'path: not the device of the certificate');
}

/**
 * That the device came. One that is blocked, retired or not known here is answered as before: what it may do does not
 * rest on this.
 */
async function reportContact(services: FlottaServices, request: FastifyRequest): Promise<void> {
  const caller = callerOf(request);
  if (caller.kind !== 'device') return;
  await recordFlottaContact(services.ctx, caller).catch((error: unknown) => {
    if (!(error instanceof RegistrationError)) throw error;
  });
}

/** The device id of the path, which must be the certificate's. */
function requireOwnId(request: FastifyRequest, refuse: FlottaServices['refuse']): string {
  const { deviceId } = Params.parse(request.params);
  requireOwn(request, callerOf(request), deviceId, refuse);
  return deviceId;
}

/** 401 for an expired certificate: on it, and on nothing else, a device renews. */
function rejection(
  services: FlottaServices,
  { request, caller }: Exchange,
  code: 'expired' | 'wrong-purpose',
) {
  const message =
    code === 'expired'
      ? 'notAfter: an expired certificate renews, and does nothing else'
      : 'extKeyUsage: a registration certificate only registers';
  report(services.refuse, request, caller, code, message);
  return code === 'expired'
    ? new Problem(401, code, 'this certificate has expired')
    : new Problem(403, code, 'this certificate is not admitted here');
}

function report(
  refuse: FlottaServices['refuse'],
  request: FastifyRequest,
  caller: Caller,
  code: RefusalFacts['code'],
  message: string,
): void {
  const { account, fingerprint } = caller;
  const deviceId = caller.kind === 'device' ? caller.deviceId : undefined;
  refuse({ listener: 'bootstrap', code, message, account, deviceId, fingerprint, address: request.ip });
}
