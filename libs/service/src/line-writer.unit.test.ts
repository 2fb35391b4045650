import { mkdtemp, readFile, rename, rm, symlink, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { LineWriter } from './line-writer.ts';
import { createLogger } from './logger.ts';

it('a log on a full disk loses lines and counts them, throws nothing, and says how many once there is room', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'signet-log-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'signet.log');
  const lines = new LineWriter(file);
  const log = createLogger({ service: 'test', level: 'info', destination: lines });
  log.info('before');
  // the kernel's own full device stands in the file's place
  await rename(file, `${file}.1`);
  const full = new LineWriter('/dev/full');
  full.write('lost\n');
  expect(full.dropped).toBe(1);
  expect(full.failure()).toMatch(/ENOSPC/);

  await symlink('/dev/full', file);
  const second = new LineWriter(file);
  for (let n = 0; n < 3; n++) second.write(`line ${n}\n`);
  expect(second.dropped).toBe(3);
  await unlink(file);
  // by itself, though nothing more is logged
  await vi.waitFor(
    async () => expect(await readFile(file, 'utf8')).toMatch(/"dropped":3,"reason":"ENOSPC/),
    10_000,
  );
  expect(second.failure()).toBeUndefined();
  second.write('after\n');
  expect((await readFile(file, 'utf8')).trim().split('\n').at(-1)).toBe('after');
  expect(second.dropped).toBe(3);
  expect(await readFile(`${file}.1`, 'utf8')).toMatch(/"msg":"before"/);
});
