import { createHash } from 'node:crypto';
import { ConfigFiles } from '@signet/contracts';
import { decodePem, PkiError } from '@signet/pki';
import { Problem } from '@signet/service';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ConfigError } from '../domain/config/config-error.ts';
import {
  configBody,
  effectiveFiles,
  isTimeOf,
  isUnmodified,
  modifiedAt,
} from '../domain/config/effective.ts';
import { readWith } from '../domain/config/rekeyed.ts';
import { standingOf } from '../domain/rotation/key-ring.ts';
import type { Gateway } from './gateway.ts';
import { type Asking, whoAsks } from './who.ts';

/** All files of a layer may come at once. */
const CONFIG_BODY_BYTES = 8 * 1024 * 1024;

const PatchConfig = z.object({
  reason: z.string().max(256).default(''),
  files: ConfigFiles.min(1),
  'public-key': z.string().max(4096).default(''),
});

/** `/config` and `/config-device` of device-gateway.md. */
export function configRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/config', async (request, reply) => {
    const { device, ring, publicKeyHash } = await whoAsks(request, gateway);
    const unread = ring?.unread === true;
    const since = request.headers['if-modified-since'];
    const own = since === undefined ? undefined : await gateway.ownConfig(device);
    if (since !== undefined && own !== undefined) {
      const modified = modifiedAt({ own, account: undefined, groups: [] }, ring?.promotedAt);
      // a client takes the time of a version when it has applied that version
      if (isTimeOf(since, modified) && own.version > (own.applied?.version ?? 0))
        await gateway.appliedConfig(device, own.version);
      // most polls end here: what the device reads has no newer version than its own document
      if (!unread && isUnmodified(since, modified, gateway.now()))
        return reply.header('date', httpDate(modified)).header('etag', etag(own.version)).status(304).send();
    }
    const layers = await gateway.layersOf(device);
    const modified = modifiedAt(layers, ring?.promotedAt);
    if (modified === 0) return reply.status(204).send();
    reply.header('date', httpDate(modified)).header('etag', etag(layers.own?.version ?? 0));
    if (!unread && isUnmodified(since, modified, gateway.now())) return reply.status(304).send();
    if (unread) await gateway.reread(device);
    const read = layers.own === undefined ? layers : { ...layers, own: readWith(layers.own, publicKeyHash) };
    return reply.send(configBody(effectiveFiles(read)));
  });

  app.get('/config-device', async (request, reply) => {
    const { device, publicKeyHash } = await whoAsks(request, gateway);
    const held = await gateway.ownConfig(device);
    const own = held === undefined ? undefined : readWith(held, publicKeyHash);
    if (own === undefined || own.files.length === 0) return reply.status(204).send();
    return reply.header('etag', etag(own.version)).send(configBody(own.files));
  });

  const askers = new WeakMap<FastifyRequest, Asking>();
  // before so long a body is read
  const onRequest = async (request: FastifyRequest) => {
    askers.set(request, await whoAsks(request, gateway));
  };
  app.patch('/config', { bodyLimit: CONFIG_BODY_BYTES, onRequest }, async (request, reply) => {
    const asking = askers.get(request) ?? (await whoAsks(request, gateway));
    const { files, reason, 'public-key': publicKey } = PatchConfig.parse(request.body);
    const nextKeyHash = nextKeyIn(asking, publicKey);
    const change = { files, reason, ...(nextKeyHash === undefined ? {} : { nextKeyHash }) };
    try {
      await gateway.writeConfig(asking.device, change);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new Problem(400, 'invalid-input', error.message, { field: 'files', cause: error });
    }
    return reply.status(201).send();
  });
}

/**
 * The hash of the announced key, if the values are for that one. Values that only another key could read would lock the
 * device out of its config.
 */
function nextKeyIn({ ring }: Asking, publicKey: string): string | undefined {
  if (publicKey === '' || ring === undefined) return undefined;
  const hash = hashOfPem('public-key', publicKey);
  const standing = standingOf(ring, hash);
  if (standing === 'next') return hash;
  if (standing === 'current') return undefined;
  const detail = 'public-key: it is neither the current key of the device nor its announced one';
  throw new Problem(409, 'not-announced', detail, { field: 'public-key' });
}

/** SHA-256 of the SPKI of a public key in PEM. @throws Problem 400 */
export function hashOfPem(field: string, pem: string): string {
  try {
    return createHash('sha256').update(decodePem(pem, 'PUBLIC KEY')).digest('hex');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new Problem(400, 'invalid-input', `${field}: ${cause.message}`, { field, cause });
  }
}

function httpDate(modified: number): string {
  return new Date(modified).toUTCString();
}

/** The version, for `ConfigApplied`; clients go by time. */
function etag(version: number): string {
  return `"${version}"`;
}
