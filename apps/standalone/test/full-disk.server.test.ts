import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { mountSmallDisk } from '@signet/tests/servers/small-disk';
import { describe, expect, it, vi } from 'vitest';
import { StandaloneProcess } from './child.ts';

const mount = requireServer('mount');

describe.skipIf(mount === '')('the platform on a disk that is full', () => {
  it('stays up, answers who writes with 503, says so in readiness, and goes on by itself when there is room', async () => {
    using disk = mountSmallDisk(24);
    await using signet = new StandaloneProcess(join(disk.path, 'data'), { MALLOC_ARENA_MAX: '2' });
    await signet.ready();
    const token = (await readFile(join(disk.path, 'data', 'admin-token'), 'utf8')).trim();
    const call = (path: string, init: RequestInit = {}) =>
      fetch(`${signet.url('operators')}${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      });
    let n = 0;
    const write = async () => {
      const body = JSON.stringify({ name: `n-${n++}`, grants: [{ account: 'default', role: 'viewer' }] });
      const answer = await call('/tokens', { method: 'POST', body });
      return { status: answer.status, code: ((await answer.json()) as { code?: string }).code };
    };
    const ready = async () => {
      const answer = await fetch(signet.url('health'));
      const { checks } = (await answer.json()) as { checks: Record<string, { reason?: string }> };
      return { status: answer.status, store: checks.store?.reason, log: checks.log?.reason };
    };
    expect((await write()).status).toBe(201);

    for (let round = 0; round < 2; round++) {
      disk.fill();
      await vi.waitFor(async () => expect(await write()).toEqual({ status: 503, code: 'unavailable' }), {
        timeout: 60_000,
        interval: 50,
      });
      await vi.waitFor(
        async () => {
          disk.fill();
          expect(await ready()).toMatchObject({ status: 503, store: expect.stringMatching(/full/) });
        },
        { timeout: 30_000, interval: 50 },
      );
      // what only reads goes on
      expect((await call('/accounts/default/devices')).status).toBe(200);
      await vi.waitFor(
        async () => {
          await write();
          expect((await ready()).log).toMatch(/lines of log are lost/);
        },
        { timeout: 30_000, interval: 50 },
      );

      disk.free();
      await vi.waitFor(async () => expect(await ready()).toMatchObject({ status: 200 }), {
        timeout: 30_000,
        interval: 100,
      });
      expect((await write()).status).toBe(201);
    }
    const health = signet.url('health').replace('/ready', '/metrics');
    expect(await (await fetch(health)).text()).toMatch(/^signet_log_lines_dropped [1-9]/m);
    await vi.waitFor(
      async () =>
        expect(await readFile(join(disk.path, 'data', 'signet.log'), 'utf8')).toMatch(
          /"dropped":[1-9]\d*,"reason":"ENOSPC.*lines could not be written and are lost/,
        ),
      { timeout: 30_000 },
    );
    const { code } = await signet.stop('SIGTERM');
    expect(code).toBe(0);
  }, 180_000);

  it('says in one line that it cannot start there, and starts once there is room', async () => {
    using disk = mountSmallDisk(24);
    disk.fill();
    const dataDir = join(disk.path, 'data');
    await using full = new StandaloneProcess(dataDir);
    expect(await full.ended()).toBe(1);
    expect(full.err).toMatch(/^signet: SIGNET_[A-Z_]+: [^\n]*(full|ENOSPC|no space)[^\n]*\n$/i);
    disk.free();
    await using roomy = new StandaloneProcess(dataDir);
    await roomy.ready();
  }, 120_000);
});
