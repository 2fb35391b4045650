import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { mqttSubject } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { onboard } from '../src/index.ts';
import { openReports } from '../src/messages/device-messages.ts';
import { reportsTo } from '../src/messages/report-sender.ts';
import { type Made, TestFactory } from './devices.ts';
import { Running } from './running.ts';

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

const until = <T>(look: () => T) => vi.waitFor(look, 20_000);

describe('the session of the agent', () => {
  /** The agent as a process, and what it said of being alive. */
  async function agentOf({ folder, id }: Made) {
    const alive: boolean[] = [];
    const listening = await env.deps.bus.listen(mqttSubject('acme', id, 'up', ['status']), ({ payload }) => {
      alive.push(JSON.parse(Buffer.from(payload).toString()).alive);
    });
    const main = join(import.meta.dirname, '..', 'src', 'main.ts');
    const child = spawn(process.execPath, [main, '--folder', folder.path, 'run'], { stdio: 'ignore' });
    const closed = once(child, 'close');
    await until(() => expect(alive).toContain(true));
    return { alive, child, closed, [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose]() };
  }

  it('where it breaks, its last will says so', async () => {
    const made = await factory.claimed('breaks');
    await using agent = await agentOf(made);
    agent.child.kill('SIGKILL');
    await agent.closed;
    await until(() => expect(agent.alive.at(-1)).toBe(false));
  });

  it('where it takes leave, there is no will', async () => {
    const made = await factory.claimed('leaves');
    await using agent = await agentOf(made);
    agent.child.kill('SIGTERM');
    await agent.closed;
    await env.events.find('DEVICE_DISCONNECTED', ({ subject }) => subject === made.id);
    expect(agent.alive).not.toContain(false);
  });

  it('comes back after the broker was unavailable, waiting longer each time, and hears what it is told: also where the broker forgot it', async () => {
    const made = await factory.claimed('resubscribes');
    await using agent = new Running(made, { maxWaitMs: 1000 });
    await agent.until('connected');
    await env.stop('mqtt-broker');
    await agent.until('retrying', 6);
    const waits = agent.events.flatMap((event) => (event.step === 'retrying' ? [event.seconds] : []));
    // the end of the session was the first failure
    for (const [i, seconds] of waits.entries())
      expect(seconds).toBeLessThanOrEqual(Math.min(0.5 * 2 ** i, 1));
    await env.start('mqtt-broker');
    await agent.until('connected', 2);
    const subject = mqttSubject('acme', made.id, 'down', ['relay']);
    await env.deps.bus.send(subject, Buffer.from('on'), { stored: true });
    await agent.until('message');
  });
});

describe('what the agent reports', () => {
  it('waits on the disk while the platform is unavailable, and is told in order when it is back', async () => {
    const made = await factory.claimed('reports');
    await onboard(made.folder);
    const ids = Array.from({ length: 3 }, () => crypto.randomUUID());
    {
      await using queue = await openReports(made.folder);
      const reports = reportsTo(queue);
      for (const [i, id] of ids.entries())
        await reports.report([
          {
            ...{ id, deviceTime: new Date().toISOString() },
            event: { correlationId: 'pump-2', targetName: 'pump', version: '2' },
            eventType: { id: `Step${i}`, version: 0 },
          },
        ]);
    }
    await env.stop('provisioning');
    await using agent = new Running(made);
    await agent.until('connected');
    await env.start('provisioning');
    const url = `/v1/accounts/acme/devices/${made.id}/updates/pump-2`;
    await until(async () => {
      const { items } = await env.operator.get<{ items: { event: string }[] }>(url);
      expect(items.map(({ event }) => event)).toEqual(['Step0', 'Step1', 'Step2']);
    });
  });
});
