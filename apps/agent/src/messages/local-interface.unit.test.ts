import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Inbox } from './inbox.ts';
import { submit } from './local-client.ts';
import { LocalInterface } from './local-interface.ts';

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'signet-local-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const open = (path: string, number: number) =>
  LocalInterface.open({
    path,
    payloadBytes: 1024,
    inbox: new Inbox(() => {}),
    publish: async () => number,
  });

it('leaves the socket of the agent that replaced it when it ends', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'messages.sock');
    const waiting = await open(path, 1);
    await using _winner = await open(path, 2);
    await waiting[Symbol.asyncDispose]();
    expect(await submit(path, 'state', Buffer.from('hot'))).toBe(2);
  }));

it('makes the socket for its own user alone, and removes it at the end', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'messages.sock');
    {
      await using _local = await open(path, 1);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect(await readdir(folder)).toEqual(['messages.sock']);
    }
    expect(await readdir(folder)).toEqual([]);
  }));

it('rejects a path where no socket can be made, and leaves nothing behind', () =>
  withFolder(async (folder) => {
    await expect(open(join(folder, 'missing', 'messages.sock'), 1)).rejects.toThrow(/ENOENT|EACCES/);
    expect(await readdir(folder)).toEqual([]);
  }));
