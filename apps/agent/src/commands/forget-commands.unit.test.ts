import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandStatement } from '@signet/contracts';
import { expect, it } from 'vitest';
import { DeviceFolder } from '../device-folder.ts';
import { forgetCommands, SeenCommands } from './seen-commands.ts';

it('a memory of commands that was lost refuses all that was issued before, and takes later ones once', async () => {
  const path = await mkdtemp(join(tmpdir(), 'signet-commands-'));
  await using _gone = { [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
  const folder = new DeviceFolder(path);
  await forgetCommands(folder, 1_000_000);
  const take = (id: string, iat: number) =>
    new SeenCommands(folder).take({ id, iat, exp: iat + 600 } as CommandStatement);
  await expect(take('early', 1000)).rejects.toMatchObject({
    ...{ code: 'expired', message: 'iat: what was taken by then is not known any more' },
  });
  await take('late', 1001);
  await expect(take('late', 1001)).rejects.toMatchObject({ code: 'replayed' });
  await expect(take('early', 900)).rejects.toMatchObject({ code: 'expired' });
});
