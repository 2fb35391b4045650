import type { Bus } from '@signet/bus';
import { commandCertificate, OperationError, signStatement } from '@signet/contracts';
import { parseCertificatePem, signStatement as sign } from '@signet/pki';
import type { Authorities } from '../domain/authority/authority.ts';
import { AuthorityError } from '../domain/authority/authority-error.ts';
import { chainOf, readAuthorities } from '../domain/authority/read-authorities.ts';
import type { CommandSigner } from '../domain/commands/command-signers.ts';

/** The command certificates of accounts, and what is signed by them. */
export async function serveCommands(
  bus: Pick<Bus, 'serve'>,
  deps: {
    readonly authorities: Pick<Authorities, 'find'>;
    readonly signerOf: (account: string) => Promise<CommandSigner>;
  },
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const signerOf = (account: string) => deps.signerOf(account).catch(noIssuer);
  const issuersOf = async ({ authorityId }: CommandSigner) =>
    chainOf(authorityId, await readAuthorities(deps.authorities));
  stack.use(
    await bus.serve(commandCertificate, async ({ account }) => {
      const held = await signerOf(account);
      return { certificate: held.certificate.pem(), chain: [...(await issuersOf(held))] };
    }),
  );
  stack.use(
    await bus.serve(signStatement, async ({ account, type, payload }) => {
      const held = await signerOf(account);
      const issuers = (await issuersOf(held)).slice(0, -1).map(parseCertificatePem);
      const chain = [held.certificate, ...issuers];
      return { jws: await sign(held.signer, { type, payload: Buffer.from(payload, 'base64url'), chain }) };
    }),
  );
  return stack.move();
}

function noIssuer(cause: unknown): never {
  if (!(cause instanceof AuthorityError)) throw cause;
  if (cause.code !== 'no-authority' && cause.code !== 'own-ca-out-of-force') throw cause;
  throw new OperationError('no-issuing-ca', cause.message, { field: 'account', cause });
}
