import type { AttestationCa, AttestationRule, listAttestationCas, OperationOutput } from '@signet/contracts';
import { type Command, InvalidArgumentError } from 'commander';
import { action, type Environment } from '../context.ts';
import { readText } from '../read-input.ts';

const BASE = '/v1/accounts/{account}/attestation-cas';

export function attestationCommands(program: Command, environment: Environment): void {
  const cas = program
    .command('attestation')
    .description('proof that keys are held by TPMs')
    .command('ca')
    .description('TPM manufacturers that the account trusts');

  cas
    .command('list')
    .description('list trusted CAs, and the profiles for their TPMs')
    .action(
      action(program, environment, async ({ api, list }) => {
        const { items } = await api.get<OperationOutput<typeof listAttestationCas>>(BASE);
        await list(items, {
          id: ({ id }) => id,
          subject: ({ subject }) => subject,
          until: ({ notAfter }) => notAfter.slice(0, 10),
          rules: ({ rules }) => rules.map(shown).join(', ') || '-',
        });
      }),
    );

  cas
    .command('add <file>')
    .description('trust the CA in a PEM file; for a CA that is already trusted, replace its rules')
    .option(
      '--rule <rule>',
      '[<manufacturer>/]<model>=<profile>, or *=<profile>: the profile for such a TPM; the first rule that matches applies',
      collected,
      [],
    )
    .action(
      action(
        program,
        environment,
        async ({ api, say }, file: string, { rule }: { rule: AttestationRule[] }) => {
          const certificate = await readText(file);
          const added = await api.post<AttestationCa>(BASE, { certificate, rules: rule });
          say(added, () => `${added.id} ${added.subject} is trusted`);
        },
      ),
    );

  cas
    .command('remove <id>')
    .description('remove a CA: TPMs below it no longer enrol or renew')
    .action(
      action(program, environment, async ({ api, say }, id: string) => {
        await api.delete(`${BASE}/${encodeURIComponent(id)}`);
        say({ removed: id }, () => `${id} is no longer trusted`);
      }),
    );
}

function collected(text: string, before: AttestationRule[]): AttestationRule[] {
  const [, which = '', profile = ''] = /^(.+)=([a-z0-9-]+)$/.exec(text) ?? [];
  if (profile === '') throw new InvalidArgumentError('[<manufacturer>/]<model>=<profile> expected');
  const slash = which.indexOf('/');
  const manufacturer = slash < 0 ? '*' : which.slice(0, slash);
  const model = which.slice(slash + 1);
  return [
    ...before,
    { ...(manufacturer === '*' ? {} : { manufacturer }), ...(model === '*' ? {} : { model }), profile },
  ];
}

function shown({ manufacturer, model, profile }: AttestationRule): string {
  return `${manufacturer === undefined ? '' : `${manufacturer}/`}${model ?? '*'}=${profile}`;
}
