import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { CrlSource } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Environment } from '../context.ts';
import { facts, table } from '../output.ts';
import { wholeNumber } from '../parse-number.ts';
import { readText } from '../read-input.ts';

const PATH = '/v1/accounts/{account}/crl-sources';
/** Bytes of a piece of an upload. */
const PIECE = 512 * 1024;

const pathOf = (name: string) => `${PATH}/${encodeURIComponent(name)}`;

export function crlSourceCommands(program: Command, environment: Environment): void {
  const sources = program
    .command('crl-sources')
    .description('CRLs of other PKIs: listed certificates are denied, and their devices are blocked');

  sources
    .command('add <name>')
    .description('follow a PKI: its CRL by URL, each of its partitions, or by upload')
    .requiredOption('--issuer <file>', 'PEM of the CA that signs the CRLs')
    .option(
      '--crl-url <url...>',
      'URL of the CRL, or of each of its partitions; deltas are found automatically',
    )
    .option('--every <seconds>', 'how often to fetch, in seconds', wholeNumber(0, 999_999))
    .option('--when-stale <policy>', 'alarm, refuse-new or go-on')
    .action(
      action(
        program,
        environment,
        async (
          { api, say },
          name: string,
          options: { issuer: string; crlUrl?: string[]; every?: number; whenStale?: string },
        ) => {
          const source = await api.post<CrlSource>(PATH, {
            name,
            issuer: await readText(options.issuer),
            urls: options.crlUrl,
            everySeconds: options.every,
            whenStale: options.whenStale,
          });
          say(source, () => `${source.name} follows "${source.issuerName}"`);
        },
      ),
    );

  sources
    .command('list')
    .description('list the sources of the account and their status')
    .action(
      action(program, environment, async ({ api, list }) => {
        await list(api.all<CrlSource>(PATH, { limit: 1000 }), {
          source: ({ name }) => name,
          issuer: ({ issuerName }) => issuerName,
          CRLs: ({ parts }) => parts.length,
          listed: ({ parts }) => parts.reduce((sum, part) => sum + part.entries, 0),
          failing: ({ parts }) => parts.filter(({ error }) => error !== undefined).length,
          'stale since': ({ staleSince }) => staleSince,
        });
      }),
    );

  sources
    .command('show <name>')
    .description('show a source and each of its CRLs: number, dates, and why the last one was rejected')
    .action(
      action(program, environment, async ({ api, say }, name: string) => {
        const source = await api.get<CrlSource>(pathOf(name));
        say(source, () => describe(source));
      }),
    );

  sources
    .command('change <name>')
    .description('change its URLs, its interval, or what happens when it is stale')
    .option('--crl-url <url...>', 'replace the URLs; entries from removed URLs are lifted')
    .option('--every <seconds>', 'how often to fetch, in seconds', wholeNumber(0, 999_999))
    .option('--when-stale <policy>', 'alarm, refuse-new or go-on')
    .action(
      action(
        program,
        environment,
        async (
          { api, say },
          name: string,
          options: { crlUrl?: string[]; every?: number; whenStale?: string },
        ) => {
          const { crlUrl: urls, every: everySeconds, whenStale } = options;
          const source = await api.put<CrlSource>(pathOf(name), { urls, everySeconds, whenStale });
          say(source, () => describe(source));
        },
      ),
    );

  sources
    .command('fetch <name>')
    .description('fetch its CRLs now')
    .action(
      action(program, environment, async ({ api, say }, name: string) => {
        const source = await api.post<CrlSource>(`${pathOf(name)}/fetch`, {});
        say(source, () => describe(source));
        const failed = source.parts.filter(({ error }) => error !== undefined);
        if (failed.length > 0) throw new CliError(`${failed.length} of its CRLs were rejected`);
      }),
    );

  sources
    .command('upload <name> <file>')
    .description('upload a CRL (DER or PEM): complete, delta or a partition')
    .action(
      action(program, environment, async ({ api, say }, name: string, file: string) => {
        const uploadId = randomUUID();
        const path = `${pathOf(name)}/uploads`;
        let source: CrlSource | undefined;
        for await (const piece of pieces(file)) {
          const answer = await api.post<{ source?: CrlSource }>(path, { uploadId, ...piece });
          source = answer.source;
        }
        if (source === undefined) throw new CliError(`${file}: is empty`);
        const taken = source;
        say(taken, () => describe(taken));
      }),
    );

  sources
    .command('remove <name>')
    .description('remove a source: its denials are lifted, and devices that it blocked are unblocked')
    .action(
      action(program, environment, async ({ api, say }, name: string) => {
        await api.delete(pathOf(name));
        say({ removed: name }, () => `${name} is removed`);
      }),
    );
}

async function* pieces(file: string): AsyncGenerator<{ index: number; content: string; isLast: boolean }> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  const count = Math.ceil(size / PIECE);
  for (let index = 0; index < count; index++) {
    const bytes = Buffer.alloc(Math.min(PIECE, size - index * PIECE));
    await handle.read(bytes, 0, bytes.length, index * PIECE);
    yield { index, content: bytes.toString('base64'), isLast: index + 1 === count };
  }
}

function describe(source: CrlSource): string {
  const head = facts({
    source: `${source.account}/${source.name}`,
    issuer: `${source.issuerName} (${source.issuerKeyId})`,
    'when stale': source.whenStale,
    'stale since': source.staleSince,
    'next fetch': source.nextFetchAt,
  });
  const rows = source.parts.map(({ name, number, entries, thisUpdate, nextUpdate, error }) => [
    name,
    number ?? (thisUpdate === undefined ? '' : 'none'),
    entries,
    thisUpdate,
    nextUpdate,
    error === undefined ? '' : `${error.code}: ${error.message} (${error.count} times)`,
  ]);
  return rows.length === 0
    ? head
    : `${head}\n\n${table(['CRL', 'number', 'listed', 'of', 'until', 'refused'], rows)}`;
}
