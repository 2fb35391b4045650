import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { startFerretdb, startMongoJavaServer, startNats, startRedis } from '@signet/tests/servers/start';
import { describe, expect, test } from 'vitest';
import { mongoAnswers, natsAnswers, redisAnswers } from './start.ts';

const servers = [
  { name: 'nats-server', start: startNats, answers: natsAnswers },
  { name: 'ferretdb', start: startFerretdb, answers: mongoAnswers },
  { name: 'mongo-java-server', start: startMongoJavaServer, answers: mongoAnswers },
  { name: 'redis-server', start: startRedis, answers: redisAnswers },
] as const;

describe.each(servers)('a test starts its own $name', ({ name, start, answers }) => {
  const binary = requireServer(name);

  test.skipIf(binary === '')('which answers while it runs and is gone after it is stopped', async () => {
    const server = await start(binary);
    expect(await answers(server.port)).toBe(true);
    expect(alive(server.pid)).toBe(true);
    await server.stop();
    expect(await answers(server.port)).toBe(false);
    expect(alive(server.pid)).toBe(false);
  });

  test.skipIf(binary === '')('which comes back on the same port and directory', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'signet-servers-'));
    try {
      const first = await start(binary, { directory });
      await first.stop();
      expect(existsSync(directory)).toBe(true);
      await using second = await start(binary, { directory, port: first.port });
      expect(await answers(second.port)).toBe(true);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

test('a server that cannot start is named, with what it said', async () => {
  const start = startNats('/bin/false');
  await expect(start).rejects.toThrow(/^nats: exited with 1/);
});

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
