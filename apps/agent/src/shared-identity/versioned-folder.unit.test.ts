import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FileCalls, fileCalls } from '../files/file-calls.ts';
import { VersionedFolder } from './versioned-folder.ts';

let path: string;
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'signet-shared-')), 'identity');
});
afterEach(() => rm(join(path, '..'), { recursive: true, force: true }));

const set = (name: string) => ({ 'certificate.pem': `certificate ${name}`, 'key.pem': `key ${name}` });
const read = (name: string) => readFile(join(path, 'current', name), 'utf8');

/** Does the first `n` changes of files, then nothing any more: the power is gone. */
function dying(n: number): FileCalls {
  let left = n;
  const change = async <T>(call: () => Promise<T>): Promise<T> => {
    if (left-- <= 0) throw new Error('no power');
    return await call();
  };
  return {
    ...fileCalls,
    makeFolder: (folder) => change(() => fileCalls.makeFolder(folder)),
    rename: (from, to) => change(() => fileCalls.rename(from, to)),
    link: (target, at) => change(() => fileCalls.link(target, at)),
    grant: (file, mode, group) => change(() => fileCalls.grant(file, mode, group)),
    remove: (file) => change(() => fileCalls.remove(file)),
    removeFolder: (folder) => change(() => fileCalls.removeFolder(folder)),
    async create(file, mode) {
      const open = await change(() => fileCalls.create(file, mode));
      return { ...open, write: (bytes) => change(() => open.write(bytes)) };
    },
  };
}

describe('the folder that workloads read', () => {
  it('F37: has one pair or the next at every moment that the power is cut, and no old key after', async () => {
    for (let n = 0; ; n++) {
      await new VersionedFolder(path).replace(set('old'));
      const wasCut = await new VersionedFolder(path, {}, dying(n)).replace(set('new')).then(
        () => false,
        () => true,
      );
      const pair = [await read('certificate.pem'), await read('key.pem')].join();
      expect(['certificate old,key old', 'certificate new,key new']).toContain(pair);
      const again = new VersionedFolder(path);
      await again.replace(set('newest'));
      expect(await again.current()).toEqual(set('newest'));
      const names = await readdir(path);
      expect(names.filter((name) => name !== 'current')).toHaveLength(1);
      if (wasCut) continue;
      expect(n).toBeGreaterThan(8);
      return;
    }
  });

  it('is for its owner alone, or for a group to read', async () => {
    const modes = async () => {
      const { mode } = await stat(join(path, 'current', 'key.pem'));
      const folders = await Promise.all([stat(path), stat(join(path, 'current'))]);
      return [mode, ...folders.map((folder) => folder.mode)].map((bits) => (bits & 0o777).toString(8));
    };
    await new VersionedFolder(path).replace(set('own'));
    expect(await modes()).toEqual(['600', '700', '700']);
    const group = process.getegid?.() ?? 0;
    await new VersionedFolder(path, { group }).replace(set('group'));
    expect(await modes()).toEqual(['640', '750', '750']);
    expect((await stat(join(path, 'current', 'key.pem'))).gid).toBe(group);
  });

  it('that cannot be written says which it is', async () => {
    await writeFile(path, 'in its place');
    await expect(new VersionedFolder(path).replace(set('x'))).rejects.toMatchObject({
      code: 'disk',
      message: expect.stringMatching(new RegExp(`^${path}: EEXIST`)),
    });
  });
});
