import { writeFile } from 'node:fs/promises';
import type { describeRootCrl, OperationOutput } from '@signet/contracts';
import { type AuthorityDetails, type RootCrl, RootCrlRequest } from '@signet/contracts';
import { encodePem, parseCertificatePem } from '@signet/pki';
import type { Command } from 'commander';
import type { OwnAuthorities } from '../authority-view.ts';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { openLocalRoot, signRootCrl } from '../local-root.ts';
import { facts } from '../output.ts';
import { wholeNumber } from '../parse-number.ts';
import { readJson, readText } from '../read-input.ts';
import { type ProofOptions, passphraseOf, withRootKey } from '../root-key.ts';

type Described = OperationOutput<typeof describeRootCrl>;
type SignOptions = ProofOptions & { root?: string; request?: string; days: number; out?: string };

const BASE = '/v1/accounts/{account}/authorities';

/** The CRL of a root that is kept here or offline: what it has to list, its signature, its upload. */
export function caCrlCommands(ca: Command, program: Command, environment: Environment): void {
  ca.command('crl-request')
    .description('write what the next CRL of your root must list; sign it where the root is')
    .option('--root <ca>', 'the root, if the account has several')
    .requiredOption('--out <file>', 'output file; pass it to "ca sign-crl --request"')
    .action(
      action(program, environment, async (context, { root, out }: { root?: string; out: string }) => {
        const { request, current } = await described(context, root);
        await writeFile(out, `${JSON.stringify(request, undefined, 2)}\n`);
        context.say({ written: out, request, current }, () => viewOf(out, request, current));
      }),
    );

  withRootKey(
    ca
      .command('sign-crl')
      .description('sign the next CRL of your root with its key, here, and upload it')
      .option('--root <ca>', 'the root, if the account has several')
      .option(
        '--request <file>',
        'output of "ca crl-request"; with it, the command works offline and uploads nothing',
      )
      .option('--days <days>', 'validity in days', wholeNumber(1, 99_999), 365)
      .option('--out <file>', 'output file, PEM'),
  ).action(async (options: SignOptions) => {
    const { request } = options;
    const run =
      request === undefined ? signAndUpload : (context: Context) => signOffline(context, options, request);
    await action(program, environment, run, { offline: request !== undefined })(options);
  });

  ca.command('upload-crl <crl>')
    .description('upload the CRL (PEM file) that your root signed')
    .option('--root <ca>', 'the root, if the account has several')
    .action(
      action(program, environment, async (context, file: string, { root }: { root?: string }) => {
        const { request } = await described(context, root);
        await upload(context, request.authorityId, await readText(file));
      }),
    );
}

async function signOffline({ say }: Context, options: SignOptions, file: string): Promise<void> {
  if (options.out === undefined) throw new CliError('--out: give the output file for the CRL');
  const request = await readJson(file, RootCrlRequest);
  const { out } = options;
  await writeFile(out, await signed(options, request));
  say(
    { written: out, number: String(request.number) },
    () => `${out}: number ${request.number}; upload it with "signet ca upload-crl"`,
  );
}

async function signAndUpload(context: Context, options: SignOptions): Promise<void> {
  const { request } = await described(context, options.root);
  const pem = await signed(options, request);
  if (options.out !== undefined) await writeFile(options.out, pem);
  await upload(context, request.authorityId, pem);
}

async function signed(options: SignOptions, request: RootCrlRequest): Promise<string> {
  const { rootKey, days } = options;
  if (rootKey === undefined) throw new CliError('--root-key: give the key of your root; it signs the CRL');
  const account = parseCertificatePem(request.certificate).subject.organization ?? '';
  const root = await openLocalRoot(rootKey, {
    account,
    passphrase: await passphraseOf(options),
    certificate: request.certificate,
  });
  return encodePem('X509 CRL', await signRootCrl(root, request, days));
}

async function upload({ api, say }: Context, authorityId: string, crl: string): Promise<void> {
  const path = `${BASE}/${encodeURIComponent(authorityId)}/crl`;
  const { current } = await api.post<{ current: RootCrl }>(path, { crl });
  say(current, () => facts({ root: authorityId, ...viewOfCurrent(current) }));
}

async function described({ api }: Context, wanted: string | undefined): Promise<Described> {
  const { authorities } = await api.get<OwnAuthorities>(BASE);
  const roots = authorities.filter(isKeptRoot);
  const [only, ...others] =
    wanted === undefined ? roots : roots.filter(({ authorityId }) => authorityId === wanted);
  if (only === undefined)
    throw new CliError(
      'the account has no root of its own with this id; Signet signs the CRLs of its own roots',
    );
  if (others.length > 0)
    throw new CliError(`--root: one of ${roots.map(({ authorityId }) => authorityId).join(', ')}`);
  return api.get<Described>(`${BASE}/${encodeURIComponent(only.authorityId)}/crl`);
}

function isKeptRoot({ kind, custody, state }: AuthorityDetails): boolean {
  return kind === 'root' && custody === 'elsewhere' && state !== 'revoked';
}

function viewOf(out: string, request: RootCrlRequest, current: RootCrl | undefined): string {
  return facts({
    written: out,
    root: request.authorityId,
    number: String(request.number),
    lists:
      request.entries.map(({ authorityId, serialNumber }) => authorityId ?? serialNumber).join(', ') ||
      'nothing',
    'in force': current === undefined ? 'none' : `number ${current.number}, until ${current.nextUpdate}`,
  });
}

function viewOfCurrent({ number, entries, nextUpdate }: RootCrl) {
  return { number: String(number), lists: String(entries), until: nextUpdate };
}
