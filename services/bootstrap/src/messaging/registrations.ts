import type { Bus } from '@signet/bus';
import {
  approveRegistration,
  createRegistrationCertificate,
  declineRegistration,
  listRegistrationCertificates,
  listRegistrations,
  OperationError,
  revokeRegistrationCertificate,
} from '@signet/contracts';
import type { RegistrationCertificates, Registrations } from '../collections.ts';
import { RegistrationError } from '../domain/errors.ts';
import { type Decision, decideRegistration } from '../domain/registration/decide-registration.ts';
import {
  certificateView,
  createCertificate,
  revokeCertificate,
  type SignRegistration,
} from '../domain/registration/registration-certificate.ts';
import { requestView } from '../domain/registration/registration-request.ts';

type Deps = Omit<Parameters<typeof decideRegistration>[0], 'certificates'> & {
  readonly certificates: RegistrationCertificates;
  readonly registrations: Registrations;
  readonly sign: SignRegistration;
  readonly trustAnchors: (account: string) => readonly string[];
};

/** Registration certificates, and what operators decide about registrations. */
export async function serveRegistrations(bus: Bus, deps: Deps): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { certificates, registrations, now } = deps;
  stack.use(
    await bus.serve(createRegistrationCertificate, (wanted) =>
      operation(async () => {
        const made = await createCertificate(deps, wanted);
        const { document, certificate, chain } = made;
        const trustAnchors = [...deps.trustAnchors(wanted.account)];
        return { registration: certificateView(document), certificate, chain: [...chain], trustAnchors };
      }),
    ),
  );
  stack.use(
    await bus.serve(listRegistrationCertificates, async ({ account, cursor, limit }) => {
      const page = await certificates.find({
        index: 'byName',
        equals: { account },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = page.items.map(certificateView);
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
  );
  stack.use(
    await bus.serve(revokeRegistrationCertificate, (which) =>
      operation(async () => certificateView(await revokeCertificate(deps, which))),
    ),
  );
  stack.use(
    await bus.serve(listRegistrations, async ({ account, state, cursor, limit }) => {
      const stored = state === 'expired' ? 'waiting' : state;
      const page = await registrations.find({
        ...(stored === undefined
          ? { index: 'byAccount' as const, equals: { account } }
          : { index: 'byState' as const, equals: { account, state: stored } }),
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = page.items
        .map((document) => requestView(document, now()))
        .filter((request) => state === undefined || request.state === state);
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
  );
  const decided = (which: { account: string; requestId: string }, decision: Decision) =>
    operation(async () => requestView(await decideRegistration(deps, which, decision), now()));
  stack.use(
    await bus.serve(approveRegistration, ({ by, ...which }) => decided(which, { approved: true, by })),
  );
  stack.use(
    await bus.serve(declineRegistration, ({ by, reason, ...which }) =>
      decided(which, { approved: false, by, reason }),
    ),
  );
  return stack.move();
}

async function operation<T>(steps: () => Promise<T>): Promise<T> {
  try {
    return await steps();
  } catch (cause) {
    if (!(cause instanceof RegistrationError)) throw cause;
    const field = cause.field === undefined ? {} : { field: cause.field };
    throw new OperationError(cause.code, cause.message, { ...field, cause });
  }
}
