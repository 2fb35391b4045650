import { hash } from 'node:crypto';
import { parseCertificatePem } from '@signet/pki';
import { Problem } from '@signet/service';
import type { Collection } from '@signet/store';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AuthorityDocument } from '../../domain/authority/authority.ts';
import type { IssuerRegistry } from '../../domain/authority/issuer-registry.ts';
import { type CrlScope, parseScope } from '../../domain/authority/revocation-urls.ts';
import type { UploadedCrl } from '../../domain/crl/root-crl.ts';
import type { ServedCrl, ServedCrls } from '../../domain/crl/served-crl.ts';
import { hasAlready } from '../has-already.ts';

export type FileDeps = {
  readonly authorities: Pick<Collection<AuthorityDocument>, 'get'>;
  /** Resolves once the service has its CAs, as `crls` does. */
  readonly registry: Promise<Pick<IssuerRegistry, 'byId'>>;
  readonly crls: Promise<ServedCrls>;
  /** The CRL of a root that its account keeps. */
  readonly uploadOf: (authorityId: string) => Promise<UploadedCrl | undefined>;
  /** How long others may keep a CRL, seconds; then they ask whether it is still the one. */
  readonly crlMaxAge: number;
  readonly now: () => number;
};

/** What the addresses in certificates lead to: CA certificates (RFC 5280 §4.2.2.1) and CRLs (§4.2.1.13). */
export function fileRoutes(app: FastifyInstance, deps: FileDeps): void {
  app.get<{ Params: { file: string } }>('/ca/:file', async (request, reply) => {
    const authority = await deps.authorities.get(nameIn(request.params.file, '.cer'));
    if (authority === undefined) throw new Problem(404, 'not-found', 'no such CA');
    const { der, fingerprint } = parseCertificatePem(authority.certificate);
    return send(request, reply, {
      type: 'application/pkix-cert',
      body: der,
      tag: fingerprint.slice(0, 32),
      maxAge: 3600,
    });
  });

  app.get<{ Params: { file: string } }>('/crl/:file', async (request, reply) => {
    const name = nameIn(request.params.file, '.crl');
    const isDelta = name.endsWith('.delta');
    const scope = parseScope(isDelta ? name.slice(0, -'.delta'.length) : name);
    const crl = scope === undefined ? undefined : await crlOf(deps, scope, isDelta);
    if (crl === undefined) throw new Problem(404, 'not-found', 'no CRL of such a CA');
    // until then a replica may hand out the one before it, and two may be of one second
    const settledAt = crl.thisUpdate + (deps.crlMaxAge + 1) * 1000;
    const left = Math.floor((crl.nextUpdate - deps.now()) / 1000);
    reply.header('Expires', new Date(crl.nextUpdate).toUTCString());
    return send(request, reply, {
      type: 'application/pkix-crl',
      body: crl.der,
      tag: crl.tag,
      modified: { at: crl.thisUpdate, settledAt, now: deps.now() },
      maxAge: Math.max(0, Math.min(deps.crlMaxAge, left)),
    });
  });
}

async function crlOf(
  { registry, crls, uploadOf }: FileDeps,
  scope: CrlScope,
  isDelta: boolean,
): Promise<ServedCrl | undefined> {
  const authority = (await registry).byId(scope.authorityId);
  if (authority !== undefined) return (await crls)(authority, scope, isDelta ? 'delta' : 'complete');
  const upload = isDelta || scope.partition !== undefined ? undefined : await uploadOf(scope.authorityId);
  if (upload === undefined) return undefined;
  const der = Buffer.from(upload.der, 'base64');
  return {
    der,
    tag: hash('sha256', der, 'hex').slice(0, 32),
    thisUpdate: Date.parse(upload.thisUpdate),
    nextUpdate: Date.parse(upload.nextUpdate),
  };
}

function nameIn(file: string, ending: string): string {
  if (!file.endsWith(ending)) throw new Problem(404, 'not-found', `a name that ends in "${ending}" expected`);
  return file.slice(0, -ending.length);
}

/** Sends a file, or 304 to who has it already. */
function send(
  request: FastifyRequest,
  reply: FastifyReply,
  file: {
    readonly type: string;
    readonly body: Uint8Array;
    readonly tag: string;
    /** Unix ms; absent where only the tag tells. Nobody who was here from `settledAt` on has an earlier one. */
    readonly modified?: { readonly at: number; readonly settledAt: number; readonly now: number };
    readonly maxAge: number;
  },
): FastifyReply {
  const tag = `"${file.tag}"`;
  reply.header('ETag', tag).header('Cache-Control', `public, max-age=${file.maxAge}, must-revalidate`);
  const { modified } = file;
  if (modified !== undefined) {
    const { at, settledAt, now } = modified;
    reply.header('Last-Modified', new Date(now >= settledAt ? settledAt : at).toUTCString());
  }
  if (hasAlready(request.headers, { tag, modifiedAt: modified?.settledAt })) return reply.status(304).send();
  const { buffer, byteOffset, length } = file.body;
  return reply.type(file.type).send(Buffer.from(buffer, byteOffset, length));
}
