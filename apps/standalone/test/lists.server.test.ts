import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { StandaloneProcess } from './child.ts';

type Described = { readonly parameters?: readonly { readonly name: string }[] };

it('a list that is asked to go on after a cursor which it never gave takes that for wrong input', async () => {
  const root = await mkdtemp(join(tmpdir(), 'signet-lists-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await using signet = new StandaloneProcess(root);
  await signet.ready();
  const { origin } = new URL(signet.url('operators'));
  const token = (await readFile(join(root, 'admin-token'), 'utf8')).trim();
  const get = (path: string) => fetch(`${origin}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const { paths } = (await (await get('/openapi.json')).json()) as {
    paths: Record<string, { get?: Described }>;
  };
  const lists = Object.entries(paths)
    .filter(([, { get: described }]) => described?.parameters?.some(({ name }) => name === 'cursor'))
    .map(([path]) => path.replace('{account}', 'acme'))
    .filter((path) => !path.includes('{'));
  const saidSo = [];
  for (const list of lists) {
    const answer = await get(`${list}?cursor=%21`);
    const body: unknown = await answer.json();
    // a list that is empty in any case may say that instead
    if (answer.status === 200) expect(body).toMatchObject({ items: [] });
    else {
      expect({ list, status: answer.status, body }).toMatchObject({
        status: 400,
        body: { code: 'invalid-input', field: 'cursor' },
      });
      saidSo.push(list);
    }
  }
  expect(saidSo.length).toBeGreaterThan(5);
});
