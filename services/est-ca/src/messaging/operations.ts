import type { Bus } from '@signet/bus';
import {
  createGrant,
  issueServerCertificate,
  listAuthorities,
  listCertificates,
  revokeCertificates,
  signBootstrap,
} from '@signet/contracts';
import type { z } from 'zod';

type Serves<O extends { readonly input: z.ZodType; readonly output: z.ZodType }> = (
  input: z.output<O['input']>,
) => Promise<z.input<O['output']>>;

/** One function for each operation that this service answers. */
export type EstCaOperations = {
  readonly listAuthorities: Serves<typeof listAuthorities>;
  readonly signBootstrap: Serves<typeof signBootstrap>;
  readonly issueServerCertificate: Serves<typeof issueServerCertificate>;
  readonly createGrant: Serves<typeof createGrant>;
  readonly listCertificates: Serves<typeof listCertificates>;
  readonly revokeCertificates: Serves<typeof revokeCertificates>;
};

/** Answers the operations of `contracts` until disposed. */
export async function serveOperations(
  bus: Pick<Bus, 'serve'>,
  does: EstCaOperations,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(await bus.serve(listAuthorities, does.listAuthorities));
  stack.use(await bus.serve(issueServerCertificate, does.issueServerCertificate));
  stack.use(await bus.serve(signBootstrap, does.signBootstrap));
  stack.use(await bus.serve(createGrant, does.createGrant));
  stack.use(await bus.serve(listCertificates, does.listCertificates));
  stack.use(await bus.serve(revokeCertificates, does.revokeCertificates));
  return stack.move();
}
