import type { AuthorityDetails, OperationOutput, setAuthorityState } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import type { Command } from 'commander';
import { action, type Context, type Environment } from '../context.ts';
import { facts } from '../output.ts';
import { type PossessionOptions, possessionOf, withPossession } from '../possession.ts';
import { readText } from '../read-input.ts';
import { type ProofOptions, proofOf, withRootKey } from '../root-key.ts';

type Changed = OperationOutput<typeof setAuthorityState>;

const BASE = '/v1/accounts/{account}/factory/authorities';
const FIRST_CONTACT = 'refused, waits (for its claim) or claimed (at once)';

/** CAs of manufacturers: their keys stay there, their devices are accepted. */
export function factoryCaCommands(factory: Command, program: Command, environment: Environment): void {
  const ca = factory.command('ca').description('CAs of manufacturers, whose keys stay with them');

  withRootKey(
    withPossession(
      ca
        .command('add <certificate>')
        .description('register the CA of a manufacturer: devices with its certificates are accepted')
        .option(
          '--first-contact <what>',
          `a device that connects before it is announced: ${FIRST_CONTACT}`,
          'waits',
        ),
    ),
  ).action(action(program, environment, add));

  ca.command('list')
    .description('list the CAs of manufacturers')
    .action(
      action(program, environment, async ({ api, list }) => {
        const { authorities } = await api.get<{ authorities: AuthorityDetails[] }>(
          '/v1/accounts/{account}/authorities',
        );
        const own = authorities.filter(({ firstContact }) => firstContact !== undefined);
        await list(own, {
          ca: (one) => one.authorityId,
          name: (one) => one.name,
          state: (one) => one.state,
          'first contact': (one) => one.firstContact,
          proof: (one) => one.possession,
          shared: (one) => (one.isShared === true ? 'another account has it too' : ''),
          'valid until': (one) => one.notAfter,
        });
      }),
    );

  ca.command('first-contact <ca> <what>')
    .description(`set what happens to a device that connects before it is announced: ${FIRST_CONTACT}`)
    .action(
      action(program, environment, async (context, id: string, firstContact: string) => {
        const path = `${BASE}/${encodeURIComponent(id)}`;
        report(context, await context.api.put<Changed>(path, { firstContact }));
      }),
    );

  for (const [verb, state, change, description] of [
    ['disable', 'disabled', 'disable', 'disable a CA: its devices are refused within seconds'],
    ['enable', 'active', 'activate', 'enable a CA: its devices are accepted again'],
    ['remove', 'revoked', 'revoke', 'remove a CA: its devices are refused for good'],
  ] as const) {
    withRootKey(
      ca
        .command(`${verb} <ca>`)
        .description(description)
        .option('--reason <text>', 'reason, stored with the CA'),
    ).action(
      action(
        program,
        environment,
        async (context, id: string, options: ProofOptions & { reason?: string }) => {
          const { account } = context.api.settings;
          const statement = await proofOf(options, { action: change, account, subject: id });
          const path = `/v1/accounts/{account}/authorities/${encodeURIComponent(id)}/state`;
          const { reason } = options;
          report(context, await context.api.post<Changed>(path, { state, reason, statement }));
        },
      ),
    );
  }
}

type AddOptions = ProofOptions & PossessionOptions & { firstContact: string };

async function add(context: Context, file: string, options: AddOptions): Promise<void> {
  const certificate = await readText(file);
  const { account } = context.api.settings;
  const subject = parseCertificatePem(certificate).fingerprint;
  const change = { action: 'register-factory', account, subject } as const;
  const { firstContact } = options;
  const { possession: statement, waiver } = await possessionOf(options, change);
  const rootStatement = await proofOf(options, change);
  report(
    context,
    await context.api.post<Changed>(BASE, { certificate, firstContact, statement, waiver, rootStatement }),
  );
}

function report({ say }: Context, { authority }: Changed): void {
  say(authority, () =>
    facts({
      ca: authority.authorityId,
      name: authority.name,
      state: authority.state,
      'first contact': authority.firstContact,
      ...(authority.isShared === true
        ? { note: 'another account has this CA pinned too: only a claim decides whose a device is' }
        : {}),
    }),
  );
}
