import { Account, GroupName, OperationError } from '@signet/contracts';
import { decodePem, PkiError, parseCsr } from '@signet/pki';
import { Problem, type RefusalFacts } from '@signet/service';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  authenticateRegistrar,
  type Registrar,
  registerLmpDevice,
} from '../domain/lmp/register-lmp-device.ts';
import { withRefusals } from './problems.ts';

const name = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'letters, digits, "_" and "-", at most 64');

const Overrides = z
  .record(name, z.record(name, z.string().max(1024)))
  .refine((tables) => Object.keys(tables).length <= 32, 'at most 32 tables');

/** The client's JSON has nothing but strings and tables; an empty table is an empty string there. */
const Request = z.object({
  csr: z.string().min(1).max(32_768),
  'hardware-id': z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, 'not the id of a hardware'),
  name: z.string().max(256).optional(),
  uuid: z.string().min(1).max(64).optional(),
  'use-ostree-server': z.enum(['true', 'false']).default('true'),
  'sota-config-dir': z
    .string()
    .regex(/^(\/[A-Za-z0-9_.-]+)+$/, 'an absolute path')
    .max(256)
    .default('/var/sota'),
  group: z.union([z.literal('').transform(() => undefined), GroupName]).optional(),
  overrides: z.union([Overrides, z.literal('').transform(() => ({}))]).default({}),
});

type SignContext = Parameters<typeof registerLmpDevice>[0];

/**
 * `POST /sign`: the registration server of FoundriesFactory's `lmp-device-register`. Who registers is an API token's to
 * say; the account is the CSR's OU, where the token must be good. `HEAD` is the client's ping. A refusal is a 4xx with a
 * reason: the client repeats nothing else than 5xx.
 */
export function signRoutes(
  app: FastifyInstance,
  ctx: SignContext,
  refuse: (facts: RefusalFacts) => void,
): void {
  const config = { admits: ['anonymous'] } as const;
  app.head('/sign', { config }, async (_request, reply) => reply.status(200).send());
  // without a token nothing of the body is read
  const onRequest = async (request: FastifyRequest) => void tokenOf(request);
  app.post('/sign', { config, onRequest }, async (request, reply) => {
    const token = tokenOf(request);
    const address = request.ip;
    const asked = await withRefusals(refuse, { address }, async () => Request.parse(request.body ?? {}));
    const account = accountOf(asked.csr);
    const registrar = await authenticate(ctx, refuse, { token, account, address });
    const files = await withRefusals(refuse, { account, deviceId: asked.uuid, address }, () =>
      registerLmpDevice(ctx, {
        account,
        registrar,
        csr: asked.csr,
        uuid: asked.uuid,
        hardwareId: asked['hardware-id'],
        name: asked.name,
        group: asked.group,
        folder: asked['sota-config-dir'],
        usesOstreeServer: asked['use-ostree-server'] === 'true',
        overrides: asked.overrides,
      }),
    );
    return await reply.status(201).header('cache-control', 'no-store').send(files);
  });
}

/** `OSF-TOKEN: <token>`, or a bearer token, which the client sends in base64. */
function tokenOf({ headers }: FastifyRequest): string {
  const osf = headers['osf-token'];
  if (typeof osf === 'string' && osf !== '') return osf.trim();
  const [, bearer] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  if (bearer === undefined)
    throw new Problem(401, 'unauthenticated', 'OSF-TOKEN: an API token is needed, in it or as bearer token');
  const decoded = Buffer.from(bearer, 'base64').toString('latin1');
  return /^[\x21-\x7e]+$/.test(decoded) && decoded.startsWith('sgn_') ? decoded : bearer;
}

/** The account that a CSR names: its OU. Nothing is proven by it. */
function accountOf(csr: string): string {
  const ou = ouOf(csr);
  if (Account.safeParse(ou).success) return ou as string;
  throw new Problem(400, 'malformed-request', 'csr: subject OU is not an account', { field: 'csr' });
}

function ouOf(csr: string): string | undefined {
  try {
    return parseCsr(decodePem(csr, 'CERTIFICATE REQUEST')).subject.organizationalUnit;
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new Problem(400, 'malformed-request', `csr: ${cause.message}`, { field: 'csr', cause });
  }
}

async function authenticate(
  ctx: SignContext,
  refuse: (facts: RefusalFacts) => void,
  { address, ...shown }: { readonly token: string; readonly account: string; readonly address: string },
): Promise<Registrar> {
  try {
    return await authenticateRegistrar(ctx, shown);
  } catch (cause) {
    const problem = cause instanceof OperationError ? tokenProblems[cause.code] : undefined;
    if (problem === undefined || !(cause instanceof OperationError)) throw cause;
    refuse({ listener: 'bootstrap', code: 'no-credentials', message: cause.message, address });
    throw problem();
  }
}

const notValid = () => new Problem(401, 'unauthenticated', 'OSF-TOKEN: not a valid API token');
const tokenProblems: Readonly<Record<string, (() => Problem) | undefined>> = {
  unauthenticated: notValid,
  'invalid-input': notValid,
  forbidden: () =>
    new Problem(403, 'forbidden', 'OSF-TOKEN: this token registers no devices of this account'),
};
