import type { Bus } from '@signet/bus';
import {
  certifyDevice,
  OperationError,
  type OperationOutput,
  renewDevice,
  signRegistration,
} from '@signet/contracts';
import { decodePem, PkiError } from '@signet/pki';
import { ApprovalPending } from '../domain/approval/approval.ts';
import type { Authorities } from '../domain/authority/authority.ts';
import { AuthorityError } from '../domain/authority/authority-error.ts';
import { chainOf, readAuthorities, trustAnchors } from '../domain/authority/read-authorities.ts';
import { signRegistrationCertificate } from '../domain/authority/registration-certificate.ts';
import type { AuthorityRing } from '../domain/authority/ring.ts';
import {
  type EnrollCtx,
  type Enrolled,
  enrollRegistered,
  renewRegistered,
} from '../domain/enrollment/enroll.ts';
import { EnrollmentError } from '../domain/enrollment-error.ts';

type Deps = EnrollCtx & { readonly authorities: Pick<Authorities, 'find'>; readonly ring: AuthorityRing };

/** What the bootstrap service asks for devices that register: their certificates, and those that they register with. */
export async function serveRegistrations(bus: Pick<Bus, 'serve'>, deps: Deps): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(
    await bus.serve(signRegistration, async (wanted) => {
      try {
        const authority = deps.ring.forAccount(wanted.account, 'factory');
        const certificate = await signRegistrationCertificate(authority, { ...wanted, now: deps.now() });
        const chain = chainOf(authority.document.id, await readAuthorities(deps.authorities));
        return { certificate, chain: [...chain] };
      } catch (cause) {
        throw refusedSigning(cause);
      }
    }),
  );
  stack.use(
    await bus.serve(certifyDevice, async ({ csr, profile = 'default', ...device }) =>
      answer(deps, () => enrollRegistered(deps, { ...device, profile, csr: requestOf(csr) })),
    ),
  );
  stack.use(
    await bus.serve(renewDevice, async ({ csr, ...device }) =>
      answer(deps, () => renewRegistered(deps, { ...device, csr: requestOf(csr) })),
    ),
  );
  return stack.move();
}

function requestOf(pem: string): Uint8Array {
  try {
    return decodePem(pem, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new OperationError('bad-csr', `csr: ${cause.message}`, { field: 'csr', cause });
  }
}

async function answer(
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
