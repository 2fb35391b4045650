import type { DenyTarget, listDenied, OperationOutput } from '@signet/contracts';
import { type Command, InvalidArgumentError } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { csvCells } from '../factory/csv.ts';
import { named, table } from '../output.ts';
import { parseTime } from '../parse-time.ts';
import { readText } from '../read-input.ts';

type Denied = OperationOutput<typeof listDenied>['items'][number];
type Names = {
  device?: string[];
  fingerprint?: string[];
  key?: string[];
  certificate?: string[];
  issuer?: string[];
};
type Group = { group?: string; state?: string; model?: string; devices?: string };

type Added = { number: number; devices?: number; unknown?: string[] };

const PATH = '/v1/accounts/{account}/denylist';
const COLUMNS = ['kind', 'denied', 'reason', 'by', 'since', 'until'] as const;

export function denylistCommands(program: Command, environment: Environment): void {
  const denylist = program.command('denylist').description('the deny list: list, search, add, lift, export');

  denylist
    .command('list')
    .description('list the denials with reason and source')
    .option('--kind <kind>', 'certificate, key, device, fingerprint or ca')
    .action(
      action(program, environment, async (context, { kind }: { kind?: string }) => {
        await show(context, context.api.all<Denied>(PATH, { kind, limit: 1000 }));
      }),
    );

  denylist
    .command('search [text]')
    .description('search the denials by name, reason or source')
    .option('--device <device>', 'only entries for this device')
    .option('--fingerprint <hex>', 'only entries for this bootstrap certificate')
    .option('--key <hex>', 'only entries for this public key (SHA-256)')
    .option('--certificate <issuer:serial>', 'only entries for this certificate', parseCertificate)
    .option('--issuer <key id>', 'only entries for this CA')
    .action(
      action(
        program,
        environment,
        async (
          context,
          text: string | undefined,
          { certificate, issuer: ca, ...others }: Record<string, string> & { certificate?: string },
        ) => {
          const names = { ...others, ...(ca === undefined ? {} : { ca }) };
          if (text === undefined && certificate === undefined && Object.keys(names).length === 0)
            throw new CliError('give a text or an exact target');
          const [issuer, serial] = certificate?.split(':') ?? [];
          const found = { text, issuer, serial, limit: 1000, ...names };
          await show(context, context.api.all<Denied>(PATH, found));
        },
      ),
    );

  naming(denylist.command('add').description('deny; live sessions end at once'))
    .option('--reason <text>', 'reason, stored with the entry')
    .option('--until <time>', 'when the denial ends (RFC 3339)', parseTime)
    .action(
      action(
        program,
        environment,
        async (
          { api, say, stderr },
          { reason, until, ...what }: Names & Group & { reason?: string; until?: string },
        ) => {
          const asked = await request(what, api.settings.account);
          const done = await api.post<Added>(`${PATH}${asked.path}`, {
            ...asked.body,
            reason,
            expiresAt: until === undefined ? undefined : Math.floor(Date.parse(until) / 1000),
          });
          say(done, () => `denied as of change ${done.number}${countOf(done.devices)}`);
          if (done.unknown !== undefined)
            stderr.write(`signet: the account has no device ${named(done.unknown)}; denied anyway\n`);
        },
      ),
    );

  naming(denylist.command('lift').description('take back what operators denied')).action(
    action(program, environment, async ({ api, say }, what: Names & Group) => {
      const asked = await request(what, api.settings.account);
      const done = await api.post<{
        number: number;
        devices?: number;
        stillDenied?: { target: DenyTarget; reason: string; source: string }[];
      }>(`${PATH}${asked.path}/lift`, asked.body);
      say(done, () =>
        [
          `lifted as of change ${done.number}${countOf(done.devices)}`,
          ...(done.stillDenied ?? []).map(
            ({ target, reason, source }) => `${nameOf(target)} stays denied: ${reason} (${source})`,
          ),
        ].join('\n'),
      );
    }),
  );

  denylist
    .command('export')
    .description('export the whole list for other systems')
    .option('--format <format>', 'jsonl or csv', 'jsonl')
    .action(
      action(program, environment, async ({ api, json, say, print }, { format }: { format: string }) => {
        if (format !== 'jsonl' && format !== 'csv')
          throw new CliError(`--format: "${format}" is not jsonl or csv`);
        if (json && format === 'csv') throw new CliError('give either --json or --format csv');
        if (format === 'csv') print(csvCells([...COLUMNS, 'key']));
        for await (const denied of api.all<Denied>(PATH, { limit: 1000 })) {
          if (format === 'jsonl') say(denied);
          else print(csvCells([...row(denied), denied.key]));
        }
      }),
    );
}

function naming(command: Command): Command {
  return command
    .option('--device <device...>', 'devices of the account')
    .option('--fingerprint <hex...>', 'bootstrap certificates, and the devices that onboarded with them')
    .option('--key <hex...>', 'public keys, by their SHA-256')
    .option(
      '--certificate <issuer:serial...>',
      'certificates, by key id of the issuer and serial number',
      certificates,
    )
    .option('--issuer <key id...>', 'all certificates of a CA')
    .option('--group <group>', 'all devices of a group, in one call')
    .option('--state <state>', 'all devices in a state')
    .option('--model <model>', 'all devices of a model')
    .option('--devices <file>', 'device ids, one a line; up to 10,000');
}

/** Devices and what they have in common go in one call of their own; all else is named target by target. */
async function request(
  { group, state, model, devices, device, ...names }: Names & Group,
  account: string,
): Promise<{ path: string; body: object }> {
  const isGroup = [group, state, model, devices].some((value) => value !== undefined);
  const targets = targetsOf(names);
  if (isGroup || (device !== undefined && targets.length === 0)) {
    if (targets.length > 0) throw new CliError('give devices or other targets, not both in one call');
    const deviceIds = [...(device ?? []), ...(await idsIn(devices))];
    const query = { group, state, model, ...(deviceIds.length > 0 ? { deviceIds } : {}) };
    return { path: '/devices', body: { devices: query } };
  }
  for (const deviceId of device ?? []) targets.push({ kind: 'device', account, deviceId });
  if (targets.length === 0) throw new CliError('give at least one target; see --help');
  return { path: '', body: { targets } };
}

async function idsIn(file: string | undefined): Promise<string[]> {
  if (file === undefined) return [];
  return (await readText(file)).split(/\s+/).filter((id) => id !== '');
}

function targetsOf({ fingerprint = [], key = [], certificate = [], issuer = [] }: Names): DenyTarget[] {
  return [
    ...fingerprint.map((hex): DenyTarget => ({ kind: 'fingerprint', fingerprint: hex })),
    ...key.map((hex): DenyTarget => ({ kind: 'key', publicKeyHash: hex })),
    ...certificate.map((name): DenyTarget => {
      const [issuerKeyId = '', serialNumber = ''] = name.split(':');
      return { kind: 'certificate', issuerKeyId, serialNumber };
    }),
    ...issuer.map((subjectKeyId): DenyTarget => ({ kind: 'ca', subjectKeyId })),
  ];
}

function show({ list }: Context, entries: AsyncIterable<Denied>): Promise<void> {
  return list(entries, (denied) => table(COLUMNS, denied.map(row)));
}

function row({ kind, target, reason, source, since, expiresAt }: Denied): string[] {
  const until = expiresAt === 0 ? '' : new Date(expiresAt * 1000).toISOString();
  return [kind, nameOf(target), reason, source, since, until];
}

function nameOf(target: DenyTarget): string {
  switch (target.kind) {
    case 'certificate':
      return `${target.issuerKeyId}:${target.serialNumber}`;
    case 'key':
      return target.publicKeyHash;
    case 'device':
      return `${target.account}/${target.deviceId}`;
    case 'fingerprint':
      return target.fingerprint;
    case 'ca':
      return target.only === 'new' ? `${target.subjectKeyId} (new sessions)` : target.subjectKeyId;
    case 'account':
      return target.account;
  }
}

function countOf(devices: number | undefined): string {
  return devices === undefined ? '' : `: ${devices} devices`;
}

function parseCertificate(value: string): string {
  if (!/^[0-9a-f]+:[0-9a-f]+$/.test(value))
    throw new InvalidArgumentError('expected <key id of the issuer>:<serial number>, lower-case hex');
  return value;
}

function certificates(value: string, before: string[] = []): string[] {
  return [...before, parseCertificate(value)];
}
