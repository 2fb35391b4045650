import {
  type certifyDevice,
  type EnrollmentRequest,
  OperationError,
  type OperationOutput,
} from '@signet/contracts';
import { decodeBase64, decodePem, PkiError } from '@signet/pki';
import type { z } from 'zod';
import { ApprovalPending } from '../domain/approval/approval.ts';
import {
  DecisionError,
  decide,
  type RequestDocument,
  type Requests,
} from '../domain/approval/enrollment-request.ts';
import { type Authorities, AuthorityError } from '../domain/authority/authority.ts';
import { chainOf, readAuthorities, trustAnchors } from '../domain/authority/chains.ts';
import { signRegistrationCertificate } from '../domain/authority/factory-certificates.ts';
import type { IssuerRegistry } from '../domain/authority/issuer-registry.ts';
import {
  type EnrollCtx,
  type Enrolled,
  enrollHandedOff,
  enrollRegistered,
  renewRegistered,
} from '../domain/enrollment/enroll.ts';
import { EnrollmentError } from '../domain/est/enrollment-error.ts';
import type { EstCaOperations } from './operations.ts';

type Deps = EnrollCtx & {
  readonly authorities: Pick<Authorities, 'find'>;
  readonly registry: IssuerRegistry;
};

/** What the bootstrap service asks for devices: their certificates, and those that they register with. */
export function enrollmentOperations(deps: Deps) {
  return {
    async signRegistration(wanted) {
      try {
        const authority = deps.registry.forAccount(wanted.account, 'factory');
        const certificate = await signRegistrationCertificate(authority, { ...wanted, now: deps.now() });
        const chain = chainOf(authority.document.id, await readAuthorities(deps.authorities));
        return { certificate, chain: [...chain] };
      } catch (cause) {
        throw refusedSigning(cause);
      }
    },

    certifyDevice: ({ csr, profile = 'default', ...device }) =>
      answerEnrolment(deps, () => enrollRegistered(deps, { ...device, profile, csr: requestOf(csr) })),

    renewDevice: ({ csr, ...device }) =>
      answerEnrolment(deps, () => renewRegistered(deps, { ...device, csr: requestOf(csr) })),

    /** Devices that sent their CSR with the bootstrap request (F64): what is refused is an answer, not a failure. */
    async enrollHandedOver({ csr, ...request }) {
      try {
        const { certificate } = await enrollHandedOff(deps, { ...request, csr: derOf(csr) });
        return { certificate };
      } catch (error) {
        if (error instanceof AuthorityError && error.code === 'no-authority')
          return { refusal: { code: 'no-issuing-ca' as const, message: error.message } };
        if (error instanceof AuthorityError && error.code === 'own-ca-out-of-force')
          return { refusal: { code: error.code, message: error.message } };
        if (error instanceof ApprovalPending) return { pending: true as const };
        if (!(error instanceof EnrollmentError) || error.code === 'unavailable') throw error;
        return { refusal: { code: error.code, message: error.message } };
      }
    },
  } satisfies Partial<EstCaOperations>;
}

function requestOf(pem: string): Uint8Array {
  try {
    return decodePem(pem, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new OperationError('bad-csr', `csr: ${cause.message}`, { field: 'csr', cause });
  }
}

async function answerEnrolment(
  { authorities }: Pick<Deps, 'authorities'>,
  enrol: () => Promise<Enrolled>,
): Promise<OperationOutput<typeof certifyDevice>> {
  try {
    const { record } = await enrol();
    const { account, authorityId, certificate, notAfter } = record;
    const documents = await readAuthorities(authorities);
    return {
      certificate,
      chain: [...chainOf(authorityId, documents)],
      trustAnchors: [...trustAnchors(documents, account)],
      notAfter,
    };
  } catch (cause) {
    throw refusedEnrolment(cause);
  }
}

const passedOn = new Set(['unavailable', 'unknown-profile', 'revoked']);
const csrFaults = new Set([
  'malformed-request',
  'bad-csr-signature',
  'weak-key',
  'not-certifiable',
  'wrong-subject',
  'wrong-san',
]);

function refusedEnrolment(cause: unknown): unknown {
  if (cause instanceof ApprovalPending)
    return new OperationError('refused', 'approval: an operator has to approve it', { cause });
  // a CA that cannot sign is no fault of the device
  if (cause instanceof AuthorityError) return new OperationError('unavailable', cause.message, { cause });
  if (!(cause instanceof EnrollmentError)) return cause;
  const { code, message } = cause;
  if (passedOn.has(code)) return new OperationError(code, message, { cause });
  if (csrFaults.has(code) || code === 'missing-attribute')
    return new OperationError('bad-csr', `${code}: ${message}`, { field: 'csr', cause });
  return new OperationError('refused', `${code}: ${message}`, { cause });
}

function refusedSigning(cause: unknown): unknown {
  if (cause instanceof AuthorityError) return new OperationError('no-factory-ca', cause.message, { cause });
  if (!(cause instanceof PkiError)) return cause;
  if (cause.code === 'signer-failed') return new OperationError('unavailable', cause.message, { cause });
  return new OperationError('bad-csr', `csr: ${cause.message}`, { field: 'csr', cause });
}

function derOf(csr: string): Uint8Array {
  try {
    return csr.includes('-----BEGIN') ? decodePem(csr, 'CERTIFICATE REQUEST') : decodeBase64(csr.trim());
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new EnrollmentError('malformed-request', `csr: ${cause.message}`, { cause });
  }
}

/** Enrolments that wait for an operator: listed, approved, declined. */
export function requestOperations(deps: { readonly requests: Requests; readonly now: () => number }) {
  return {
    async listEnrollmentRequests({ account, state, cursor, limit }) {
      const page = await deps.requests.find({
        ...(state === undefined
          ? { index: 'account' as const, equals: { account } }
          : { index: 'state' as const, equals: { account, state } }),
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      return {
        items: page.items.map(enrollmentRequestOf),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    },
    approveEnrollment: ({ account, requestId, by }) =>
      decideRequest(deps, { account, requestId }, { approved: true, by, at: deps.now() }),
    declineEnrollment: ({ account, requestId, by, reason }) =>
      decideRequest(deps, { account, requestId }, { approved: false, reason, by, at: deps.now() }),
  } satisfies Partial<EstCaOperations>;
}

async function decideRequest(
  { requests }: { readonly requests: Requests },
  which: Parameters<typeof decide>[1],
  decision: Parameters<typeof decide>[2],
) {
  try {
    return enrollmentRequestOf(await decide(requests, which, decision));
  } catch (cause) {
    if (!(cause instanceof DecisionError)) throw cause;
    throw new OperationError(cause.code, cause.message, { field: 'requestId', cause });
  }
}

function enrollmentRequestOf(request: RequestDocument): z.input<typeof EnrollmentRequest> {
  const { id: requestId, proof: _proof, provenAt: _provenAt, serialNumber: _serial, ...rest } = request;
  return { requestId, ...rest };
}
