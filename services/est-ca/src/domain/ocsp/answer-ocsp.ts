import { hash } from 'node:crypto';
import {
  type CertId,
  createOcspFailure,
  createOcspResponse,
  issuerFinder,
  type OcspFailure,
  type OcspRequest,
  type OcspStatus,
  PkiError,
  parseOcspRequest,
} from '@signet/pki';
import { StoreError } from '@signet/store';
import type { AuthorityDocument } from '../authority/authority.ts';
import type { CertifiedAuthority } from '../authority/chains.ts';
import type { IssuerRegistry, SigningCa } from '../authority/issuer-registry.ts';
import type { ServerCertificates } from '../authority/server-certificate.ts';
import type { Certificates } from '../certificate/certificate.ts';
import type { Responders } from './responders.ts';

/** For so long after a revocation a replica may still answer that the certificate is good. */
const HEARD_MS = 10_000;

/** An OCSPResponse; `fresh` where it may be kept and given again. */
export type OcspReply = {
  readonly der: Uint8Array;
  readonly failure?: OcspFailure;
  readonly fresh?: {
    /** The certificate that it speaks of. */
    readonly serialNumber: string;
    readonly tag: string;
    /** Unix milliseconds; until then it is given again. */
    readonly until: number;
    readonly maxAgeSeconds: number;
    readonly thisUpdate: number;
    readonly nextUpdate: number;
    /** Nobody has an answer of this time or later that says anything else. */
    readonly modifiedAt: number;
  };
};

export type OcspDeps = {
  readonly certificates: Pick<Certificates, 'get'>;
  /** TLS certificates of the services. */
  readonly serverCertificates: Pick<ServerCertificates, 'get'>;
  /** What a root certified other CAs by. */
  readonly certifiedBy: (rootId: string) => Promise<readonly CertifiedAuthority[]>;
  /** Finds among the CAs whose certificates are on record here. */
  readonly issuers: () => Promise<FindIssuer>;
  readonly responderOf: Responders;
  /** From thisUpdate to nextUpdate. */
  readonly lifetimeMs: number;
  /** How long an answer is given again before the record is read anew. */
  readonly freshMs: number;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
};

/**
 * Answers an OCSP request in DER, whatever it holds; never throws. An issuer that is not ours is `unauthorized` (RFC 6960
 * §2.3), a serial number that it never gave `unknown` (§2.2); `tryLater` while the store or a key is unavailable.
 */
export async function answerOcsp(deps: OcspDeps, requestDer: Uint8Array): Promise<OcspReply> {
  let request: OcspRequest;
  try {
    request = parseOcspRequest(requestDer);
  } catch (error) {
    if (!(error instanceof PkiError)) deps.onError(error);
    return failed(error instanceof PkiError ? 'malformedRequest' : 'internalError');
  }
  try {
    const authority = await issuerOf(deps, request.certIds);
    return authority === undefined ? failed('unauthorized') : await answered(deps, authority, request);
  } catch (error) {
    deps.onError(error);
    const isUnavailable = error instanceof StoreError || error instanceof PkiError;
    return failed(isUnavailable ? 'tryLater' : 'internalError');
  }
}

async function issuerOf(deps: OcspDeps, certIds: readonly CertId[]): Promise<SigningCa | undefined> {
  const [first, ...others] = certIds.map(await deps.issuers());
  return others.every((other) => other === first) ? first : undefined;
}

async function answered(
  deps: OcspDeps,
  authority: SigningCa,
  { certIds, nonce }: OcspRequest,
): Promise<OcspReply> {
  const answers: { certId: CertId; status: OcspStatus }[] = [];
  for (const certId of certIds)
    answers.push({ certId, status: await statusOf(deps, authority, certId.serialNumber) });
  const now = deps.now();
  const [thisUpdate, nextUpdate] = [now, now + deps.lifetimeMs];
  const der = await createOcspResponse(await deps.responderOf(authority), {
    answers,
    nonce,
    producedAt: now,
    thisUpdate,
    nextUpdate,
  });
  const [only, ...more] = answers;
  if (nonce !== undefined || only === undefined || more.length > 0 || only.status.status === 'unknown')
    return { der };
  return {
    der,
    fresh: {
      serialNumber: only.certId.serialNumber,
      tag: hash('sha256', der, 'hex').slice(0, 32),
      until: now + deps.freshMs,
      maxAgeSeconds: Math.floor(deps.freshMs / 1000),
      thisUpdate,
      nextUpdate,
      modifiedAt: Math.max(
        thisUpdate,
        only.status.status === 'revoked' ? only.status.revokedAt + HEARD_MS : 0,
      ),
    },
  };
}

async function statusOf(deps: OcspDeps, { document }: SigningCa, serialNumber: string): Promise<OcspStatus> {
  if (document.kind === 'root') return statusOfAuthority(await deps.certifiedBy(document.id), serialNumber);
  if (document.kind === 'server') {
    const given = await deps.serverCertificates.get(serialNumber);
    return { status: given?.authorityId === document.id ? 'good' : 'unknown' };
  }
  const record = await deps.certificates.get(serialNumber);
  if (record?.authorityId !== document.id) return { status: 'unknown' };
  if (record.revokedAt === undefined) return { status: 'good' };
  const { revocationReason: reason } = record;
  const revokedAt = Date.parse(record.revokedAt);
  return { status: 'revoked', revokedAt, ...(reason === undefined ? {} : { reason }) };
}

function statusOfAuthority(certified: readonly CertifiedAuthority[], serialNumber: string): OcspStatus {
  const found = certified.find((authority) => authority.serialNumber === serialNumber);
  if (found === undefined) return { status: 'unknown' };
  const { status, since: revokedAt, reason } = found;
  if (status === 'held') return { status: 'revoked', revokedAt, reason: 'certificateHold' };
  if (status !== 'revoked') return { status: 'good' };
  return { status: 'revoked', revokedAt, ...(reason === undefined ? {} : { reason }) };
}

function failed(failure: OcspFailure): OcspReply {
  return { der: createOcspFailure(failure), failure };
}

/** The CA that a CertID names, if its certificates are on record and its key is at hand. */
export type FindIssuer = (certId: CertId) => SigningCa | undefined;

/** A new CA is answered for after this at the latest. */
const KNOWN_MS = 5000;

/** Issuing and server CAs and roots: theirs are the certificates that are on record. */
export function issuersOnRecord(deps: {
  readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
  readonly registry: Promise<Pick<IssuerRegistry, 'byId'>>;
  readonly now: () => number;
}): () => Promise<FindIssuer> {
  let known: { readonly at: number; readonly find: Promise<FindIssuer> } | undefined;
  const read = async (): Promise<FindIssuer> => {
    const registry = await deps.registry;
    const documents = await deps.readAuthorities();
    const onRecord = documents.filter(({ kind }) => kind !== 'factory');
    return issuerFinder(
      onRecord.map(({ id }) => registry.byId(id)).filter((authority) => authority !== undefined),
    );
  };
  return () => {
    const at = deps.now();
    if (known !== undefined && at >= known.at && at - known.at < KNOWN_MS) return known.find;
    const fresh = { at, find: read() };
    known = fresh;
    fresh.find.catch(() => {
      if (known === fresh) known = undefined;
    });
    return fresh.find;
  };
}
