import type { finishRootReplacement, OperationOutput, replaceRoot, rootReplacement } from '@signet/contracts';
import { issueCross, parseCertificatePem, recertify } from '@signet/pki';
import type { Command } from 'commander';
import type { OwnAuthorities } from '../authority-view.ts';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { certificatePath, exists, type LocalRoot, openLocalRoot, revocationUrls } from '../local-root.ts';
import { facts, table } from '../output.ts';
import { readText } from '../read-input.ts';
import { type ProofOptions, passphraseOf, proofOf, withRootKey } from '../root-key.ts';

type Status = OperationOutput<typeof rootReplacement>;
type Unverified = NonNullable<Status['unverified']>;
type Begun = OperationOutput<typeof replaceRoot>;
type Finished = OperationOutput<typeof finishRootReplacement>;

const BASE = '/v1/accounts/{account}/authorities';

/** The three steps by which a root is replaced. */
export function caReplaceCommands(ca: Command, program: Command, environment: Environment): void {
  withRootKey(
    ca
      .command('replace-root')
      .description('start to replace the root: devices get both roots from now on')
      .option(
        '--new-root-key <file>',
        'with --root-key: the key file of the new root; made if it does not exist',
      ),
  ).action(action(program, environment, begin));

  ca.command('replacement')
    .description('show how many devices have the new root')
    .action(
      action(program, environment, async ({ api, say }) => {
        const status = await api.get<Status>(`${BASE}/replacement`);
        say(status, () =>
          [
            table(
              ['account', 'devices', 'with the new root'],
              status.adoption.map(({ account, devices, adopted }) => [account, devices, adopted]),
            ),
            facts({
              'new root': status.authority.authorityId,
              'without it': status.without.join(', ') || undefined,
              'cut over since': status.authority.replacement?.cutOverAt,
              'CAs it has not certified':
                textOf(status.unverified) ?? (status.waiting.join(', ') || undefined),
            }),
          ].join('\n\n'),
        );
      }),
    );

  withRootKey(
    ca
      .command('finish-replacement')
      .description('retire the old root; refused while devices lack the new one')
      .option('--force', 'proceed although devices lack the new root, and list them'),
  ).action(
    action(program, environment, async ({ api, say }, options: ProofOptions & { force?: true }) => {
      const { authority } = await api.get<Status>(`${BASE}/replacement`);
      const statement = await proofOf(options, {
        action: 'finish-replacement',
        account: api.settings.account,
        subject: authority.authorityId,
      });
      const done = await api.post<Finished>(`${BASE}/actions/finish-replacement`, {
        force: options.force === true,
        statement,
      });
      say(done, () =>
        facts({
          root: done.authority.authorityId,
          'stranded devices': `${done.strandedCount} ${done.strandedDevices.join(', ')}`.trim(),
          'stranded CAs': textOf(done.unverified) ?? (done.strandedAuthorities.join(', ') || undefined),
        }),
      );
    }),
  );
}

function textOf(unverified: Unverified = []): string | undefined {
  const named = unverified.map(
    ({ authorityId, state, certificates }) => `${authorityId} (${state}, ${certificates} certificates)`,
  );
  return named.length === 0 ? undefined : named.join(', ');
}

type BeginOptions = ProofOptions & { newRootKey?: string };

async function begin(context: Context, options: BeginOptions): Promise<void> {
  const { api } = context;
  const own = options.newRootKey === undefined ? undefined : await ownReplacement(context, options);
  const statement =
    own === undefined
      ? undefined
      : await proofOf(options, {
          action: 'replace-root',
          account: api.settings.account,
          subject: own.next.certificate.fingerprint,
        });
  const begun = await api.post<Begun>(`${BASE}/actions/replace-root`, { own: own?.material, statement });
  context.say(begun, () =>
    facts({
      'new root': begun.authority.authorityId,
      'CAs it has not certified': begun.waiting.join(', ') || undefined,
      next: 'signet ca replacement, until the fleet has it; then signet ca finish-replacement',
    }),
  );
}

/** All that the owner of a root signs for its replacement, made here. */
async function ownReplacement({ api }: Context, options: BeginOptions) {
  const { rootKey, newRootKey } = options;
  if (rootKey === undefined || newRootKey === undefined)
    throw new CliError('--new-root-key: give --root-key too, the key of the current root');
  const old = await localRoot(rootKey, options, api.settings.account);
  const next = await localRoot(newRootKey, options, api.settings.account, old);
  const { authorities, nextRoot = {} } = await api.get<OwnAuthorities>(BASE);
  const registered = authorities.find(({ fingerprint }) => fingerprint === old.certificate.fingerprint);
  if (registered === undefined)
    throw new CliError(`--root-key ${rootKey}: is not the key of a registered root`);
  const below = authorities.filter(
    ({ parent, kind, state }) => parent === registered.authorityId && kind !== 'root' && state !== 'revoked',
  );
  const now = Date.now();
  // of a replacement that is completed the new root has its addresses already
  const addresses =
    authorities.find(({ fingerprint }) => fingerprint === next.certificate.fingerprint) ?? nextRoot;
  const material = {
    certificate: next.certificate.pem(),
    oldWithNew: (await issueCross(next, old.certificate, now, revocationUrls(addresses))).pem(),
    newWithOld: (await issueCross(old, next.certificate, now, revocationUrls(registered))).pem(),
    recertified: await Promise.all(
      below.map(async ({ authorityId, certificate }) => ({
        authorityId,
        certificate: (
          await recertify(next, parseCertificatePem(certificate), now, revocationUrls(addresses))
        ).pem(),
      })),
    ),
  };
  return { next, material };
}

async function localRoot(
  keyPath: string,
  options: ProofOptions,
  account: string,
  replaces?: LocalRoot,
): Promise<LocalRoot> {
  const path = certificatePath(keyPath);
  const certificate = (await exists(path)) ? await readText(path) : undefined;
  if (replaces === undefined && certificate === undefined)
    throw new CliError(`${path}: does not exist; keep the certificate of the root next to its key`);
  return openLocalRoot(keyPath, {
    account,
    passphrase: await passphraseOf(options),
    ...(certificate === undefined ? {} : { certificate }),
    ...(replaces === undefined ? {} : { replaces: replaces.certificate }),
  });
}
