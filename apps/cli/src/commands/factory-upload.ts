import type { importFactoryLog, OperationOutput } from '@signet/contracts';
import { decodePemBlocks, encodePem } from '@signet/pki';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { MOST_AT_ONCE } from '../factory/sign-requests.ts';
import { readText } from '../read-input.ts';

type Item = { certificate: string; model?: string };
type Answer = OperationOutput<typeof importFactoryLog>['results'][number];

/** So many failures are told one by one. */
const TOLD = 20;

export function factoryUploadCommand(factory: Command, program: Command, environment: Environment): void {
  factory
    .command('upload <log>')
    .description(
      'upload devices that a registered CA made offline: the log of a factory server (one JSON object a line), or PEM certificates; safe to repeat',
    )
    .action(action(program, environment, upload));
}

async function upload({ api, say }: Context, file: string): Promise<void> {
  const items = readItems(file, await readText(file));
  const failed: string[] = [];
  let [made, before] = [0, 0];
  for (let first = 0; first < items.length; first += MOST_AT_ONCE) {
    const some = items.slice(first, first + MOST_AT_ONCE);
    const { results } = await api.post<{ results: Answer[] }>('/v1/accounts/{account}/factory/log', {
      items: some,
    });
    results.forEach((result, i) => {
      if ('error' in result) failed.push(`${first + i + 1}: ${result.error.code}: ${result.error.message}`);
      else if (result.isNew) made++;
      else before++;
    });
  }
  say({ made, before, failed }, () => {
    const more = failed.length > TOLD ? [`… and ${failed.length - TOLD} more`] : [];
    return [...failed.slice(0, TOLD), ...more, `${made} devices taken up, ${before} were known`].join('\n');
  });
  if (failed.length > 0) throw new CliError(`${failed.length} of ${items.length} were rejected`);
}

function readItems(file: string, text: string): Item[] {
  if (text.trimStart().startsWith('-----BEGIN'))
    return decodePemBlocks(text)
      .filter(({ label }) => label === 'CERTIFICATE')
      .map(({ der }) => ({ certificate: encodePem('CERTIFICATE', der) }));
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line, i) => readLine(`${file}:${i + 1}`, line));
}

function readLine(where: string, line: string): Item {
  try {
    const { certificate, model } = JSON.parse(line) as Partial<Record<string, unknown>>;
    if (typeof certificate !== 'string') throw new TypeError('"certificate" is missing');
    return { certificate, ...(typeof model === 'string' ? { model } : {}) };
  } catch (cause) {
    throw new CliError(`${where}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
