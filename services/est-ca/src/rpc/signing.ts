import { OperationError } from '@signet/contracts';
import { PkiError, parseCertificatePem, signStatement as sign } from '@signet/pki';
import type { Collection } from '@signet/store';
import { type Authorities, type AuthorityDocument, AuthorityError } from '../domain/authority/authority.ts';
import {
  chainOf,
  describeAuthority,
  readAuthorities,
  serverChain,
  trustAnchors,
} from '../domain/authority/chains.ts';
import { signBootstrapCertificates } from '../domain/authority/factory-certificates.ts';
import type { IssuerRegistry } from '../domain/authority/issuer-registry.ts';
import type { PublicUrls } from '../domain/authority/revocation-urls.ts';
import { type ServerCertificates, signServerCertificate } from '../domain/authority/server-certificate.ts';
import type { CommandSigner } from '../domain/commands/command-signers.ts';
import type { EstCaOperations } from './operations.ts';

/** The operations that a CA itself answers. */
export function authorityOperations(deps: {
  readonly authorities: Pick<Collection<AuthorityDocument, 'kind'>, 'find'>;
  readonly registry: IssuerRegistry;
  readonly serverValidityDays: number;
  /** Whose server CA signs for the services, where it has one of its own. */
  readonly serverAccount: string;
  readonly urls: PublicUrls;
  readonly serverCertificates: Pick<ServerCertificates, 'insert'>;
  readonly now: () => number;
}) {
  return {
    async listAuthorities() {
      return { authorities: (await readAuthorities(deps.authorities)).map(describeAuthority) };
    },

    async signBootstrap({ account, items }) {
      const authority = factoryOf(deps.registry, account);
      const results = await signBootstrapCertificates(authority, items, deps.now()).catch(throwUnavailable);
      const { id } = authority.document;
      const documents = await readAuthorities(deps.authorities);
      return {
        authorityId: id,
        chain: [...chainOf(id, documents)],
        trustAnchors: [...trustAnchors(documents, account)],
        results: [...results],
      };
    },

    async issueServerCertificate({ service, csr, names }) {
      const authority = serverOf(deps.registry, deps.serverAccount);
      const { id, notAfter: end } = authority.document;
      if (Date.parse(end) <= deps.now())
        throw new OperationError('authority-ended', `authority: server CA "${id}" ended at ${end}`);
      try {
        const { serverValidityDays: validityDays } = deps;
        const certificate = await signServerCertificate(deps, authority, {
          service,
          csr,
          names,
          validityDays,
          now: deps.now(),
        });
        return {
          certificate: certificate.pem(),
          chain: [...serverChain(authority.document, await readAuthorities(deps.authorities), deps.now())],
          notAfter: new Date(certificate.notAfter).toISOString(),
        };
      } catch (cause) {
        if (!(cause instanceof PkiError)) throw cause;
        if (cause.code === 'signer-failed') throwUnavailable(cause);
        throw new OperationError('bad-csr', `csr: ${cause.message}`, { field: 'csr', cause });
      }
    },
  } satisfies Partial<EstCaOperations>;
}

/** A key that cannot be used now is no fault of whoever asks. */
function throwUnavailable(cause: unknown): never {
  if (!(cause instanceof PkiError)) throw cause;
  throw new OperationError('unavailable', cause.message, { cause });
}

function serverOf(registry: IssuerRegistry, account: string) {
  try {
    return registry.forAccount(account, 'server');
  } catch (cause) {
    if (!(cause instanceof AuthorityError)) throw cause;
    throw new OperationError('unavailable', cause.message, { cause });
  }
}

function factoryOf(registry: IssuerRegistry, account: string) {
  try {
    return registry.forAccount(account, 'factory');
  } catch (cause) {
    if (!(cause instanceof AuthorityError)) throw cause;
    throw new OperationError('no-factory-ca', cause.message, { cause });
  }
}

/** The command certificates of accounts, and what is signed by them. */
export function commandOperations(deps: {
  readonly authorities: Pick<Authorities, 'find'>;
  readonly signerOf: (account: string) => Promise<CommandSigner>;
}) {
  const signerOf = (account: string) => deps.signerOf(account).catch(throwNoIssuer);
  const issuersOf = async ({ authorityId }: CommandSigner) =>
    chainOf(authorityId, await readAuthorities(deps.authorities));
  return {
    async commandCertificate({ account }) {
      const signer = await signerOf(account);
      return { certificate: signer.certificate.pem(), chain: [...(await issuersOf(signer))] };
    },

    async signStatement({ account, type, payload }) {
      const { certificate, signer, authorityId } = await signerOf(account);
      const issuers = (await issuersOf({ certificate, signer, authorityId })).slice(0, -1);
      const chain = [certificate, ...issuers.map(parseCertificatePem)];
      return { jws: await sign(signer, { type, payload: Buffer.from(payload, 'base64url'), chain }) };
    },
  } satisfies Partial<EstCaOperations>;
}

function throwNoIssuer(cause: unknown): never {
  if (!(cause instanceof AuthorityError)) throw cause;
  if (cause.code !== 'no-authority' && cause.code !== 'own-ca-out-of-force') throw cause;
  throw new OperationError('no-issuing-ca', cause.message, { field: 'account', cause });
}
