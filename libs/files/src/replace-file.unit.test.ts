import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readIfThere, replaceFile, writeWith } from './index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signet-files-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a file that is replaced', () => {
  it('has the new content, its mode, and nothing beside it', async () => {
    const path = join(folder, 'new', 'a.json');
    await replaceFile(path, 'one');
    await replaceFile(path, Buffer.from('two'));
    expect(await readIfThere(path)).toBe('two');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'new'))).mode & 0o777).toBe(0o700);
    await replaceFile(path, 'for all', { mode: 0o644 });
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    expect(await readdir(join(folder, 'new'))).toEqual(['a.json']);
  });

  it('keeps its content where the new one cannot be written', async () => {
    const path = join(folder, 'kept');
    await writeFile(path, 'old');
    const failing = writeWith(path, async (file) => {
      await file.writeFile('half of the new');
      throw new Error('the disk is full');
    });
    await expect(failing).rejects.toThrow('the disk is full');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect((await readdir(folder)).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('is whole when several write it at the same time', async () => {
    const path = join(folder, 'shared');
    const texts = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(10_000));
    await Promise.all(texts.map((text) => replaceFile(path, text)));
    expect(texts).toContain(await readIfThere(path));
  });
});

it('a file that is not there has no text', async () => {
  expect(await readIfThere(join(folder, 'missing'))).toBeUndefined();
  await expect(readIfThere(folder)).rejects.toMatchObject({ code: 'EISDIR' });
});
