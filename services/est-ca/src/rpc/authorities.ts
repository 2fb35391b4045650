import { OperationError, PLATFORM_ACCOUNT } from '@signet/contracts';
import { PkiError } from '@signet/pki';
import { StoreError } from '@signet/store';
import {
  type Authorities,
  type AuthorityDocument,
  AuthorityError,
  type AuthorityKeys,
} from '../domain/authority/authority.ts';
import type { NeededValidity } from '../domain/authority/authority-ends.ts';
import {
  rotateServerCertificates,
  setAuthorityState,
  setFallBack,
} from '../domain/authority/authority-state.ts';
import { authoritiesOf, describeDetails } from '../domain/authority/chains.ts';
import { createAuthorities, numberedRoot } from '../domain/authority/create-authorities.ts';
import { registerFactoryAuthority, setFirstContact } from '../domain/authority/external-factory-ca.ts';
import { addAuthority, registerRoot, uploadAuthority } from '../domain/authority/external-root.ts';
import { ownOfKind, platformServes } from '../domain/authority/issuer-registry.ts';
import { isShareable, type PinDeps, pinsOf } from '../domain/authority/pin-authority.ts';
import {
  type AuthorityRequests,
  describeRequest,
  requestAuthority,
} from '../domain/authority/request-authority.ts';
import type { PublicUrls } from '../domain/authority/revocation-urls.ts';
import type { StatementDeps } from '../domain/authority/statement.ts';
import { describeRootCrl, describeUpload, type RootCrlDeps, uploadRootCrl } from '../domain/crl/root-crl.ts';
import {
  type FinishDeps,
  finishReplacement,
  replacementOf,
} from '../domain/root-rollover/finish-replacement.ts';
import { replaceRoot } from '../domain/root-rollover/replace-root.ts';
import type { EstCaOperations } from './operations.ts';

export type AuthoritiesDeps = StatementDeps &
  PinDeps & {
    readonly requests: AuthorityRequests;
    readonly keys: AuthorityKeys;
    readonly urls: PublicUrls;
    readonly maxPerAccount: number;
    readonly neededValidity: (account: string) => Promise<NeededValidity>;
    readonly adoptionOf: FinishDeps['adoptionOf'];
    /** Takes up a change here at once; other replicas hear of it by event. */
    readonly refresh: () => Promise<void>;
  };

/** What the owner of CAs does with them. */
export function ownershipOperations(deps: AuthoritiesDeps) {
  const changing = async <T>(change: () => Promise<T>): Promise<T> => {
    const result = await withOperationErrors(change);
    // what cannot be read now is brought by the event of the change
    await deps.refresh().catch(unlessUnavailable);
    return result;
  };
  const details = (document: AuthorityDocument) => describeDetails(document, deps.urls);
  /** Of a factory CA its owner wants to know whether another account has it pinned too: only a claim decides then. */
  const withPins = async (document: AuthorityDocument) => {
    if (!isShareable(document)) return details(document);
    const pins = await pinsOf(deps.authorities, document.subjectKeyId);
    const isShared = pins.some(({ account, state }) => account !== document.account && state === 'active');
    return { ...details(document), isShared };
  };
  const one = async (change: () => Promise<AuthorityDocument>) => ({
    authority: await withPins(await changing(change)),
  });
  return {
    async describeAuthorities({ account }) {
      const own = await authoritiesOf(deps.authorities, account);
      const { items } = await deps.requests.find({ index: 'account', equals: { account }, limit: 1000 });
      return {
        authorities: await Promise.all(own.map(withPins)),
        requests: items.map(describeRequest),
        nextRoot: nextRootOf(deps.urls, account, own),
        shared: (await sharedWith(deps.authorities, account, own)).map(details),
      };
    },
    async createAuthorities(input) {
      const made = await changing(() => createAuthorities(deps, input));
      return { authorities: made.map(details) };
    },
    requestAuthority: async (input) =>
      describeRequest(await withOperationErrors(() => requestAuthority(deps, input))),
    registerRoot: (input) => one(() => registerRoot(deps, input)),
    registerFactoryAuthority: (input) => one(() => registerFactoryAuthority(deps, input)),
    setFirstContact: (input) => one(() => setFirstContact(deps, input)),
    uploadAuthority: (input) => one(() => uploadAuthority(deps, input)),
    addAuthority: (input) => one(() => addAuthority(deps, input)),
    setAuthorityState: (input) => one(() => setAuthorityState(deps, input)),
    setFallBack: async (input) => {
      const changed = await changing(() => setFallBack(deps, input));
      return { authorities: changed.map(details) };
    },
    rotateServerCertificates: async ({ by }) => {
      const { before, authorityIds } = await changing(() => rotateServerCertificates(deps, by));
      return { before, authorityIds: [...authorityIds] };
    },
    replaceRoot: async (input) => {
      const { root, waiting } = await changing(() => replaceRoot(deps, input));
      return { authority: details(root), waiting: [...waiting] };
    },
    rootReplacement: async ({ account }) => {
      const {
        root,
        unverified,
        adoption: counted,
      } = await withOperationErrors(() => replacementOf(deps, account));
      const { adoption, without } = counted;
      const waiting = unverified.map(({ authorityId }) => authorityId);
      return { authority: details(root), waiting, adoption, without, unverified: [...unverified] };
    },
    finishRootReplacement: async (input) => {
      const { root, stranded, unverified } = await changing(() => finishReplacement(deps, input));
      return {
        authority: details(root),
        strandedDevices: stranded.without,
        strandedCount: stranded.withoutCount,
        strandedAuthorities: unverified.map(({ authorityId }) => authorityId),
        unverified: [...unverified],
      };
    },
  } satisfies Partial<EstCaOperations>;
}

function nextRootOf(urls: PublicUrls, account: string, own: readonly AuthorityDocument[]) {
  const authorityId = numberedRoot(account, own);
  return {
    authorityId,
    crlUrl: urls.crlOf(authorityId),
    certificateUrl: urls.certificateOf(authorityId),
  };
}

function unlessUnavailable(error: unknown): void {
  if (!(error instanceof StoreError && error.code === 'unavailable')) throw error;
}

async function sharedWith(
  authorities: Authorities,
  account: string,
  own: readonly AuthorityDocument[],
): Promise<readonly AuthorityDocument[]> {
  if (account === PLATFORM_ACCOUNT) return [];
  const platform = await authoritiesOf(authorities, PLATFORM_ACCOUNT);
  return platform.filter(
    ({ kind, state }) => state === 'active' && (kind === 'server' || platformServes(ownOfKind(own, kind))),
  );
}

const faults: ReadonlySet<string> = new Set(['missing-key', 'no-authority', 'own-ca-out-of-force']);

/** Errors of the domain as operations answer them; a key that is not at hand is an unavailable dependency. */
async function withOperationErrors<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (cause instanceof PkiError && cause.code === 'signer-failed')
      throw new OperationError('unavailable', cause.message, { cause });
    // what cannot be certified, such as a CA with a key that is too weak by now
    if (cause instanceof PkiError) throw new OperationError('bad-certificate', cause.message, { cause });
    if (!(cause instanceof AuthorityError)) throw cause;
    throw new OperationError(faults.has(cause.code) ? 'unavailable' : cause.code, cause.message, { cause });
  }
}

/** CRLs of roots that their accounts keep. */
export function rootCrlOperations(deps: RootCrlDeps) {
  return {
    async describeRootCrl(input) {
      const { request, current } = await describeRootCrl(deps, input);
      return current === undefined ? { request } : { request, current };
    },
    async uploadRootCrl(input) {
      return { current: describeUpload(await uploadRootCrl(deps, input)) };
    },
  } satisfies Partial<EstCaOperations>;
}
