import { OperationError } from '@signet/contracts';
import { PkiError } from '@signet/pki';
import type { Collection } from '@signet/store';
import type { AuthorityDocument } from '../domain/authority/authority.ts';
import { AuthorityError } from '../domain/authority/authority-error.ts';
import { signBootstrapCertificates } from '../domain/authority/bootstrap-certificate.ts';
import {
  chainOf,
  describeAuthority,
  readAuthorities,
  serverChain,
  trustAnchors,
} from '../domain/authority/read-authorities.ts';
import type { AuthorityRing } from '../domain/authority/ring.ts';
import { signServerCertificate } from '../domain/authority/server-certificate.ts';
import type { ServerCertificates } from '../domain/authority/server-certificate-record.ts';
import type { PublicUrls } from '../domain/certificate/leaf-signer.ts';
import type { EstCaOperations } from './operations.ts';

/** The operations that a CA itself answers. */
export function authorityOperations(deps: {
  readonly authorities: Pick<Collection<AuthorityDocument, 'kind'>, 'find'>;
  readonly ring: AuthorityRing;
  readonly serverValidityDays: number;
  /** Whose server CA signs for the services, where it has one of its own. */
  readonly serverAccount: string;
  readonly urls: PublicUrls;
  readonly serverCertificates: Pick<ServerCertificates, 'insert'>;
  readonly now: () => number;
}): Pick<EstCaOperations, 'listAuthorities' | 'signBootstrap' | 'issueServerCertificate'> {
  return {
    async listAuthorities() {
      return { authorities: (await readAuthorities(deps.authorities)).map(describeAuthority) };
    },

    async signBootstrap({ account, items }) {
      const authority = factoryOf(deps.ring, account);
      const results = await signBootstrapCertificates(authority, items, deps.now()).catch(away);
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
      const authority = serverOf(deps.ring, deps.serverAccount);
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
        if (cause.code === 'signer-failed') away(cause);
        throw new OperationError('bad-csr', `csr: ${cause.message}`, { field: 'csr', cause });
      }
    },
  };
}

/** A key that cannot be used now is no fault of whoever asks. */
function away(cause: unknown): never {
  if (!(cause instanceof PkiError)) throw cause;
  throw new OperationError('unavailable', cause.message, { cause });
}

function serverOf(ring: AuthorityRing, account: string) {
  try {
    return ring.forAccount(account, 'server');
  } catch (cause) {
    if (!(cause instanceof AuthorityError)) throw cause;
    throw new OperationError('unavailable', cause.message, { cause });
  }
}

function factoryOf(ring: AuthorityRing, account: string) {
  try {
    return ring.forAccount(account, 'factory');
  } catch (cause) {
    if (!(cause instanceof AuthorityError)) throw cause;
    throw new OperationError('no-factory-ca', cause.message, { cause });
  }
}
