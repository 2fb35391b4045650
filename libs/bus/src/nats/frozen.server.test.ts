import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { describe, expect, it, vi } from 'vitest';
import { addOne, whoAnswers } from '../../test/frozen-operations.ts';
import { openNatsBus } from '../index.ts';

const natsServer = requireServer('nats-server');
/** What an operator's call may take longer for a replica that is frozen, and the call itself. */
const deadlineMs = 2000;
const CALLS = 24;

type Replica = { readonly process: ChildProcess; readonly did: number[] };

describe.skipIf(natsServer === '')('one of two replicas of a service, frozen (SIGSTOP)', () => {
  it('holds no request up for long, and does nothing twice when it wakes up', {
    timeout: 120_000,
  }, async () => {
    await using nats = await startNats(natsServer);
    const replicas = [await startReplica(nats.url), await startReplica(nats.url)];
    try {
      await using bus = await openNatsBus({ url: nats.url, name: 'caller' });
      const [frozen, awake] = replicas as [Replica, Replica];
      frozen.process.kill('SIGSTOP');

      for (let i = 0; i < CALLS; i++)
        expect(await bus.request(whoAnswers, null, { deadlineMs })).toBe(awake.process.pid);
      for (let i = 0; i < CALLS; i++)
        expect(await bus.request(addOne, i, { deadlineMs })).toBe(awake.process.pid);

      frozen.process.kill('SIGCONT');
      // it has dealt with all that it was given meanwhile once it answers again
      await vi.waitFor(async () => expect(await bus.request(whoAnswers, null)).toBe(frozen.process.pid), {
        timeout: 30_000,
        interval: 5,
      });
      const all = Array.from({ length: CALLS }, (_, i) => i);
      await vi.waitFor(() => expect(awake.did).toEqual(all));
      expect(frozen.did).toEqual([]);
    } finally {
      for (const { process } of replicas) process.kill('SIGKILL');
    }
  });
});

async function startReplica(url: string): Promise<Replica> {
  const script = fileURLToPath(new URL('../../test/operation-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  const did: number[] = [];
  const ready = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'ready') ready.resolve();
    else did.push(Number(line.split(' ')[1]));
  });
  child.once('exit', () => ready.reject(new Error('the replica did not start')));
  await ready.promise;
  return { process: child, did };
}
