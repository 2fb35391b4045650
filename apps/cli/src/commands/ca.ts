import { writeFile } from 'node:fs/promises';
import type {
  AuthorityDetails,
  AuthorityRequest,
  OperationOutput,
  SignedStatement,
  StatementAction,
  setAuthorityState,
} from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import type { Command } from 'commander';
import { describeAuthority, type OwnAuthorities, treeOf } from '../authority-view.ts';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { certificatePath, exists, openLocalRoot, signAuthority } from '../local-root.ts';
import { facts, table } from '../output.ts';
import { type PossessionOptions, possessionOf, withPossession } from '../possession.ts';
import { readText } from '../read-input.ts';
import { newStatement, type ProofOptions, passphraseOf, proofOf, withRootKey } from '../root-key.ts';
import { caCrlCommands } from './ca-crl.ts';
import { caReplaceCommands } from './ca-replace.ts';

type Changed = OperationOutput<typeof setAuthorityState>;

const BASE = '/v1/accounts/{account}/authorities';
const KINDS = ['factory', 'issuing', 'server'] as const;

export function caCommands(program: Command, environment: Environment): void {
  const ca = program.command('ca').description('CAs of an account: made by Signet, or below your own root');

  withRootKey(
    ca
      .command('create')
      .description(
        'create a root, factory, issuing and server CA; with --root-key the root stays in that file on this machine',
      )
      .option('--kind <kinds...>', 'only these: factory, issuing, server')
      .option('--custody <place>', 'where the keys of online CAs are kept: file or pkcs11')
      .option('--key-type <type>', 'P-256 (default), P-384, RSA-3072 or RSA-4096'),
  ).action(action(program, environment, create));

  ca.command('csr')
    .description('make the key of an online CA in Signet, and print its CSR for your root to sign')
    .option('--kind <kind>', 'factory, issuing or server')
    .option('--request <id>', 'print the CSR of a pending request, such as that of a successor')
    .option('--custody <place>', 'where the key is kept: file or pkcs11')
    .option('--key-type <type>', 'P-256 (default), P-384, RSA-3072 or RSA-4096')
    .option('--name <text>', 'common name of the CA')
    .option('--out <file>', 'output file for the CSR')
    .action(action(program, environment, csr));

  withRootKey(
    ca
      .command('upload <certificate>')
      .description('upload the certificate (PEM file) that your root signed for a CSR'),
  ).action(
    action(program, environment, async (context, file: string, options: ProofOptions) => {
      const certificate = await readText(file);
      const subject = parseCertificatePem(certificate).fingerprint;
      const done = await prove(context, options, 'upload', subject, (statement) =>
        context.api.post<Changed>(`${BASE}/actions/upload`, { certificate, statement }),
      );
      say(context, done);
    }),
  );

  withRootKey(
    ca
      .command('register-root <certificate>')
      .description('register the certificate (PEM file) of a root whose key you keep'),
  ).action(
    action(program, environment, async (context, file: string, options: ProofOptions) => {
      const certificate = await readText(file);
      const subject = parseCertificatePem(certificate).fingerprint;
      const done = await prove(context, options, 'register-root', subject, (statement) =>
        context.api.post<Changed>(`${BASE}/actions/register-root`, { certificate, statement }),
      );
      say(context, done);
    }),
  );

  withRootKey(
    withPossession(
      ca
        .command('add <certificate>')
        .description('add a CA whose key you keep: certificates that it issues offline are accepted')
        .requiredOption('--kind <kind>', 'factory or issuing'),
    ),
  ).action(
    action(
      program,
      environment,
      async (context, file: string, options: ProofOptions & PossessionOptions & { kind: string }) => {
        const certificate = await readText(file);
        const { kind } = options;
        const { account } = context.api.settings;
        const subject = parseCertificatePem(certificate).fingerprint;
        const shown = await possessionOf(options, { action: 'add', account, subject });
        const done = await prove(context, options, 'add', subject, (statement) =>
          context.api.post<Changed>(`${BASE}/actions/add`, { kind, certificate, statement, ...shown }),
        );
        say(context, done);
      },
    ),
  );

  for (const [verb, state, change, description] of [
    ['disable', 'disabled', 'disable', 'disable a CA; sessions of its devices end within seconds'],
    ['enable', 'active', 'activate', 'enable a disabled CA'],
    ['revoke', 'revoked', 'revoke', 'revoke a CA for good'],
  ] as const) {
    withRootKey(
      ca
        .command(`${verb} <ca>`)
        .description(description)
        .option('--reason <text>', 'reason, stored and sent in the event')
        .option(
          '--crl-reason <reason>',
          'with revoke: reason for the CRL of its root: cACompromise, superseded, …',
        ),
    ).action(
      action(
        program,
        environment,
        async (context, id: string, options: ProofOptions & { reason?: string; crlReason?: string }) => {
          const path = `${BASE}/${encodeURIComponent(id)}/state`;
          const done = await prove(context, options, change, id, (statement) =>
            context.api.post<Changed>(path, {
              ...{ state, reason: options.reason, revocationReason: options.crlReason, statement },
            }),
          );
          say(context, done);
        },
      ),
    );
  }

  withRootKey(
    ca
      .command('fall-back')
      .description('let the platform’s CA issue while the account has no usable CA of that kind')
      .requiredOption('--kind <kind>', 'factory, issuing or server')
      .option('--off', 'end the fallback')
      .option('--reason <text>', 'reason, stored and sent in the event'),
  ).action(
    action(
      program,
      environment,
      async (context, options: ProofOptions & { kind: string; off?: true; reason?: string }) => {
        const { kind, off, reason } = options;
        const done = await prove(context, options, 'fall-back', kind, (statement) =>
          context.api.post<{ authorities: AuthorityDetails[] }>(`${BASE}/actions/fall-back`, {
            ...{ kind, allowed: off !== true, reason, statement },
          }),
        );
        await context.list(done.authorities, () =>
          off === true
            ? `the platform’s ${kind} CA no longer issues in place of the account’s own`
            : `the platform’s ${kind} CA issues until the account has one of its own in force`,
        );
      },
    ),
  );

  ca.command('statement')
    .description(
      'write the statement that a change needs; sign it where the root is: openssl dgst -sha256 -sign',
    )
    .requiredOption('--action <action>', 'register-root, upload, add, activate, disable, revoke, …')
    .requiredOption('--subject <subject>', 'fingerprint or file of the certificate, or id of the CA')
    .requiredOption('--out <file>', 'output file; pass it to the change with --statement and --signature')
    .action(
      action(
        program,
        environment,
        async ({ api, say: print }, options: { action: StatementAction; subject: string; out: string }) => {
          const { account } = api.settings;
          const subject = (await fingerprintOf(options.subject)) ?? options.subject;
          await writeFile(options.out, newStatement({ action: options.action, account, subject }));
          print({ written: options.out }, () => `${options.out} is good for 24 hours, and for one change`);
        },
      ),
    );

  caReplaceCommands(ca, program, environment);
  caCrlCommands(ca, program, environment);

  ca.command('rotate-tls')
    .description('issue new TLS certificates for all services')
    .action(
      action(program, environment, async ({ api, say: print }) => {
        const done = await api.post<{ before: string }>('/v1/authorities/actions/rotate-tls', {});
        print(done, () => 'every service replaces its TLS certificate within seconds');
      }),
    );

  ca.command('show [ca]')
    .description('show the CAs of the account')
    .option('--pretty', 'print a tree with the contents of each certificate')
    .action(
      action(program, environment, async (context, id?: string, options?: { pretty?: true }) => {
        const { api, say: sayOne, list } = context;
        const own = await api.get<OwnAuthorities>(BASE);
        const isWanted = ({ authorityId }: AuthorityDetails) => id === undefined || authorityId === id;
        const authorities = own.authorities.filter(isWanted);
        const shared = own.shared.filter(isWanted);
        const found = id === undefined ? authorities : [...authorities, ...shared];
        if (id !== undefined && found.length === 0) throw new CliError(`the account has no CA "${id}"`);
        const text = () =>
          options?.pretty === true
            ? [treeOf({ ...own, authorities, shared }), ...found.map(describeAuthority)].join('\n\n')
            : table(
                ['ca', 'kind', 'state', 'key', 'below', 'valid until'],
                found.map((a) => [a.authorityId, a.kind, a.state, a.custody, a.parent, a.notAfter]),
              );
        if (id === undefined) sayOne(own, text);
        else await list(found, text);
      }),
    );
}

async function prove<T>(
  { api }: Context,
  options: ProofOptions,
  change: StatementAction,
  subject: string,
  run: (statement: SignedStatement | undefined) => Promise<T>,
): Promise<T> {
  return run(await proofOf(options, { action: change, account: api.settings.account, subject }));
}

function say(context: Context, { authority }: Changed): void {
  context.say(authority, () => describeAuthority(authority));
}

type CreateOptions = ProofOptions & { kind?: string[]; custody?: string; keyType?: string };

/** With a root of one's own this is the whole ceremony: root, CSRs, signatures, uploads, each with its proof. */
async function create(context: Context, options: CreateOptions): Promise<void> {
  const { rootKey, kind: kinds = [...KINDS], custody, keyType } = options;
  const { api } = context;
  const made: AuthorityDetails[] = [];
  if (rootKey === undefined) {
    const done = await api.post<{ authorities: AuthorityDetails[] }>(BASE, { kinds, custody, keyType });
    made.push(...done.authorities);
  } else {
    const { account } = api.settings;
    const path = certificatePath(rootKey);
    const certificate = (await exists(path)) ? await readText(path) : undefined;
    const passphrase = await passphraseOf(options);
    const root = await openLocalRoot(rootKey, {
      account,
      passphrase,
      ...(certificate === undefined ? {} : { certificate }),
    });
    const pem = root.certificate.pem();
    const registered = await prove(
      context,
      options,
      'register-root',
      root.certificate.fingerprint,
      (statement) => api.post<Changed>(`${BASE}/actions/register-root`, { certificate: pem, statement }),
    );
    made.push(registered.authority);
    for (const kind of kinds) {
      const asked = await api.post<AuthorityRequest>(`${BASE}/actions/request`, { kind, custody, keyType });
      const signed = await signAuthority(root, asked.csr, kind, registered.authority);
      const subject = parseCertificatePem(signed).fingerprint;
      const done = await prove(context, options, 'upload', subject, (statement) =>
        api.post<Changed>(`${BASE}/actions/upload`, { certificate: signed, statement }),
      );
      made.push(done.authority);
    }
  }
  await context.list(made, () => treeOf({ authorities: made, requests: [], shared: [] }));
}

async function csr(
  { api, say, print, json }: Context,
  options: {
    kind?: string;
    request?: string;
    custody?: string;
    keyType?: string;
    name?: string;
    out?: string;
  },
): Promise<void> {
  const { kind, request, custody, keyType, name: commonName, out } = options;
  if ((kind === undefined) === (request === undefined))
    throw new CliError('give --kind for a new key, or --request for a pending request');
  const body = { kind, custody, keyType, commonName };
  const asked =
    request === undefined
      ? await api.post<AuthorityRequest>(`${BASE}/actions/request`, body)
      : (await api.get<OwnAuthorities>(BASE)).requests.find(({ requestId }) => requestId === request);
  if (asked === undefined) throw new CliError(`--request: no request "${request}" is pending`);
  if (out !== undefined) await writeFile(out, asked.csr);
  say(asked, () =>
    facts({
      request: asked.requestId,
      key: asked.custody,
      written: out,
      next: 'sign it, then: signet ca upload',
    }),
  );
  if (out === undefined && !json) print(asked.csr);
}
