import { Account, PLATFORM_ACCOUNT } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { Problem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import type { AuthorityDocument } from '../../domain/authority/authority.ts';

/** A trust bundle as SPIFFE writes it: a JWK Set (SPIFFE Trust Domain and Bundle §4). */
export type TrustBundle = {
  readonly keys: readonly (Readonly<Record<string, unknown>> & {
    readonly use: 'x509-svid';
    readonly x5c: readonly [string];
  })[];
  /** Grows whenever the authorities change (§4.1.1), and is the same at all replicas. */
  readonly spiffe_sequence: number;
  /** Seconds. */
  readonly spiffe_refresh_hint: number;
};

const REFRESH_SECONDS = 300;

/**
 * The authorities of the X.509-SVIDs of an account's devices: the issuing CAs in force, of an account that ever had one
 * of its own those alone, else the shared ones. Not the roots: what a factory CA signs, maybe at a manufacturer's, must never pass for a device's SVID.
 * @param now Unix milliseconds
 */
export function trustBundle(
  documents: readonly AuthorityDocument[],
  account: string,
  now: number,
): TrustBundle {
  const issuing = documents.filter(({ kind }) => kind === 'issuing');
  const own = issuing.filter((document) => document.account === account);
  const concerned =
    own.length > 0 ? own : issuing.filter((document) => document.account === PLATFORM_ACCOUNT);
  const authorities = concerned.filter(
    ({ state, notAfter }) => state === 'active' && Date.parse(notAfter) > now,
  );
  return {
    keys: authorities.map(({ certificate }) => {
      const { der, publicKey } = parseCertificatePem(certificate);
      return {
        ...publicKey.export({ format: 'jwk' }),
        use: 'x509-svid',
        x5c: [Buffer.from(der).toString('base64')],
      };
    }),
    spiffe_sequence: sequenceOf(concerned, now),
    spiffe_refresh_hint: REFRESH_SECONDS,
  };
}

/** Unix ms of the last time that a CA came, changed its state, or ended. */
function sequenceOf(concerned: readonly AuthorityDocument[], now: number): number {
  const times = concerned.flatMap(({ createdAt, stateSince, notAfter }) =>
    [createdAt, stateSince, notAfter].flatMap((time) => (time === undefined ? [] : [Date.parse(time)])),
  );
  return Math.max(0, ...times.filter((time) => time <= now));
}

/**
 * `GET /spiffe/<account>/bundle.json`: the bundle endpoint of SPIFFE Federation §5 (profile https_web), on the EST
 * listener, for a bundle is worth no more than the connection that it came over.
 */
export function spiffeRoutes(
  app: FastifyInstance,
  deps: {
    readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
    readonly now: () => number;
  },
): void {
  app.get<{ Params: { account: string } }>('/spiffe/:account/bundle.json', async (request, reply) => {
    const { account } = request.params;
    if (!Account.safeParse(account).success) throw new Problem(404, 'not-found', 'no such account');
    const bundle = trustBundle(await deps.readAuthorities(), account, deps.now());
    return reply
      .header('Cache-Control', `max-age=${bundle.spiffe_refresh_hint}`)
      .type('application/json')
      .send(bundle);
  });
}
