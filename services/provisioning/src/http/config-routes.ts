import { OperationError, setDeviceConfig } from '@signet/contracts';
import { Problem } from '@signet/service';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Context } from '../context.ts';
import {
  type DeviceContact,
  readConfig,
  readOwnLayer,
  writeOwnLayer,
} from '../domain/config/device-access.ts';
import { configBody } from '../domain/config/effective.ts';
import { authenticate } from './authenticate.ts';
import { publicKeyHashOf } from './public-key.ts';

/** All files of a layer may come at once. */
const CONFIG_BODY_BYTES = 8 * 1024 * 1024;

const PatchConfig = setDeviceConfig.input
  .pick({ reason: true, files: true })
  .extend({ 'public-key': z.string().max(4096).default('') });

/** What a device is told of a write that was rejected, by the code of the use case. */
const problems: Readonly<Record<string, { status: number; code: string; field: string }>> = {
  'not-announced': { status: 409, code: 'not-announced', field: 'public-key' },
  'not-encrypted': { status: 400, code: 'invalid-input', field: 'files' },
  'too-many-files': { status: 400, code: 'invalid-input', field: 'files' },
};

/** `/config` and `/config-device` of device-gateway.md. */
export function configRoutes(app: FastifyInstance, ctx: Context): void {
  app.get('/config', async (request, reply) => {
    const device = await authenticate(request, ctx);
    const found = await readConfig(ctx, device, request.headers['if-modified-since']);
    if (found.is === 'none') return reply.status(204).send();
    reply.header('date', new Date(found.modified).toUTCString()).header('etag', etag(found.version));
    return found.is === 'unmodified' ? reply.status(304).send() : reply.send(configBody(found.files));
  });

  app.get('/config-device', async (request, reply) => {
    const own = await readOwnLayer(ctx, await authenticate(request, ctx));
    if (own === undefined) return reply.status(204).send();
    return reply.header('etag', etag(own.version)).send(configBody(own.files));
  });

  const contacts = new WeakMap<FastifyRequest, DeviceContact>();
  // before so long a body is read
  const onRequest = async (request: FastifyRequest) => {
    contacts.set(request, await authenticate(request, ctx));
  };
  app.patch('/config', { bodyLimit: CONFIG_BODY_BYTES, onRequest }, async (request, reply) => {
    const device = contacts.get(request) ?? (await authenticate(request, ctx));
    const { files, reason, 'public-key': publicKey } = PatchConfig.parse(request.body);
    const encryptedTo = publicKey === '' ? undefined : publicKeyHashOf('public-key', publicKey);
    await writeOwnLayer(ctx, device, { files, reason, encryptedTo }).catch((error: unknown) => {
      const problem = error instanceof OperationError ? problems[error.code] : undefined;
      if (!(error instanceof OperationError) || problem === undefined) throw error;
      const { status, code, field } = problem;
      throw new Problem(status, code, error.message, { field, cause: error });
    });
    return reply.status(201).send();
  });
}

/** The version, for `ConfigApplied`; clients go by time. */
function etag(version: number): string {
  return `"${version}"`;
}
