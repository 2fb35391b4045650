import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Migration, openStore } from '../src/index.ts';
import { temporaryDirectory } from './temporary.ts';
import { plainThings } from './things.ts';

const directory = temporaryDirectory();
const publish = async () => {};
const arm: Migration = {
  name: 'arm',
  document: (thing) => (thing.armed === true ? undefined : Object.assign({}, thing, { armed: true })),
};

it('a migration that is killed half-way (kill -9) goes on at the next start, and reaches every document', {
  timeout: 60_000,
}, async () => {
  const url = `sqlite:${join(directory, 'half.db')}`;
  const ids = Array.from({ length: 900 }, (_, i) => `thing-${String(i).padStart(4, '0')}`);
  {
    await using store = await openStore({ url, publish });
    const collection = await store.collection(plainThings);
    await Promise.all(ids.map((id) => collection.insert({ id })));
  }
  // each document is asked for twice: the first 500 are written, then it dies amid the rest
  const child = spawn(process.execPath, [join(import.meta.dirname, 'killed-migration.ts'), url, '1300'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
  {
    await using store = await openStore({ url, publish });
    const half = await store.collection(plainThings);
    const armed = (await half.find({ limit: 1000 })).items.filter((thing) => thing.armed === true).length;
    expect(armed).toBeGreaterThan(0);
    expect(armed).toBeLessThan(ids.length);
  }
  await using store = await openStore({ url, publish });
  const whole = await store.collection({ ...plainThings, migrations: [arm] });
  const { items } = await whole.find({ limit: 1000 });
  expect(items.map(({ id }) => id)).toEqual(ids);
  expect(items.every((thing) => thing.armed === true)).toBe(true);
});
