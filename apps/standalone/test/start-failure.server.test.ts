import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { StandaloneProcess } from './child.ts';

vi.setConfig({ testTimeout: 120_000 });

async function folder(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'signet-start-failure-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return join(root, 'data');
}

it.each([
  ['are gone', (file: string) => rm(file)],
  ['are no keys any more', (file: string) => writeFile(file, 'not a key\n')],
])('a data folder whose CA keys %s is told of in one line that names it', async (_what, spoil) => {
  const data = await folder();
  {
    await using signet = new StandaloneProcess(data);
    await signet.ready();
    await signet.stop('SIGTERM');
  }
  const keys = join(data, 'est-ca', 'keys');
  for (const name of await readdir(keys)) if (name.endsWith('.key.pem')) await spoil(join(keys, name));
  await using signet = new StandaloneProcess(data);
  expect(await signet.ended()).toBe(1);
  expect(signet.err.trimEnd().split('\n'), signet.err).toHaveLength(1);
  expect(signet.err).toMatch(/^signet: SIGNET_DATA_DIR: /);
  expect(signet.err).toContain(data);
  expect(signet.err).not.toMatch(/\n +at |[{}]/);
});
