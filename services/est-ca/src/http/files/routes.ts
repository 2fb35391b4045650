import { parseCertificatePem } from '@signet/pki';
import { Problem } from '@signet/service';
import type { Collection } from '@signet/store';
import type { FastifyInstance } from 'fastify';
import type { AuthorityDocument } from '../../domain/authority/authority.ts';
import type { AuthorityRing, HeldAuthority } from '../../domain/authority/ring.ts';

export type FileDeps = {
  readonly authorities: Pick<Collection<AuthorityDocument, 'kind'>, 'get'>;
  readonly ring: Pick<AuthorityRing, 'byId'>;
  /** DER of a CA's CRL. */
  readonly crlOf: (authority: HeldAuthority) => Promise<Uint8Array>;
};

/** What the addresses in certificates lead to: CA certificates (RFC 5280 §4.2.2.1) and CRLs (§4.2.1.13). */
export function fileRoutes(app: FastifyInstance, deps: FileDeps): void {
  app.get<{ Params: { file: string } }>('/ca/:file', async (request, reply) => {
    const authority = await deps.authorities.get(idOf(request.params.file, '.cer'));
    if (authority === undefined) throw new Problem(404, 'not-found', 'no such CA');
    const { der } = parseCertificatePem(authority.certificate);
    return reply.type('application/pkix-cert').header('Cache-Control', 'max-age=3600').send(Buffer.from(der));
  });
  app.get<{ Params: { file: string } }>('/crl/:file', async (request, reply) => {
    const authority = deps.ring.byId(idOf(request.params.file, '.crl'));
    if (authority === undefined) throw new Problem(404, 'not-found', 'no CRL of such a CA');
    const crl = await deps.crlOf(authority);
    return reply.type('application/pkix-crl').header('Cache-Control', 'no-cache').send(Buffer.from(crl));
  });
}

function idOf(file: string, ending: string): string {
  if (!file.endsWith(ending)) throw new Problem(404, 'not-found', `a name that ends in "${ending}" expected`);
  return file.slice(0, -ending.length);
}
