import { setTimeout as sleep } from 'node:timers/promises';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { storedUp } from './stored-up.ts';
import { hasServers, type NodeName, openTwoNodes, type TwoNodes } from './two-nodes.ts';

let nodes: TwoNodes;
beforeEach(async () => {
  if (hasServers) nodes = await openTwoNodes();
}, 120_000);
afterEach(() => nodes?.[Symbol.asyncDispose]());

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 60_000, interval: 50 });
const identityOf = (deviceId: string) => nodes.fixture.pki.operational('acme', deviceId);

/** A device that is told numbers: those that came for the first time, in the order in which they came. */
function numbersOf(client: MqttClient): number[] {
  const first: number[] = [];
  client.on('message', (_topic, payload) => {
    const n = Number(payload.toString());
    if (!first.includes(n)) first.push(n);
  });
  return first;
}

/** Slower and slower, so that no more than 1000 wait for a device in any time: nothing has to be dropped. */
const pauseAfter = (n: number) => 5 * 2 ** (n / 100);

/** Goes on until it is ended; resolves to the numbers that were acknowledged. */
function load(send: (n: number) => Promise<unknown>) {
  const acknowledged: number[] = [];
  let isEnded = false;
  const run = async () => {
    for (let n = 0; !isEnded; n++) {
      await send(n);
      acknowledged.push(n);
      await sleep(pauseAfter(n));
    }
  };
  const running = run();
  return {
    acknowledged,
    async end(): Promise<readonly number[]> {
      isEnded = true;
      await running;
      return acknowledged;
    },
  };
}

describe.skipIf(!hasServers)('a broker node that is killed with -9 under QoS 1 load', () => {
  it('loses no acknowledged message, neither on the bus nor for a device with a persistent session, connected or not', async () => {
    const { bus } = nodes.fixture.deps;
    const store = (device: string) => (n: number) =>
      bus.send(`signet.mqtt.acme.${device}.down.n`, Buffer.from(String(n)), {
        ...{ stored: true, deadlineMs: 60_000 },
      });
    const away = nodes.device(identityOf('away'), 'one');
    await away.subscribeAsync('d/acme/away/down/#', { qos: 1 });
    await away.endAsync();

    const devices = await Promise.all(
      (['one', 'two', 'one'] as NodeName[]).map(async (first, i) => {
        const id = `dev-${i}`;
        const client = nodes.device(identityOf(id), first);
        const received = numbersOf(client);
        await client.subscribeAsync(`d/acme/${id}/down/#`, { qos: 1 });
        const up = load((n) => client.publishAsync(`d/acme/${id}/up/n`, String(n), { qos: 1 }));
        return { id, received, up, down: load(store(id)) };
      }),
    );
    const forAway = load(store('away'));
    const loads = [...devices.flatMap(({ up, down }) => [up, down]), forAway];
    const resume = async () => {
      const from = loads.map(({ acknowledged }) => acknowledged.length);
      await until(() => {
        for (const [i, { acknowledged }] of loads.entries())
          expect(acknowledged.length).toBeGreaterThan((from[i] ?? 0) + 10);
      });
    };
    await resume();
    await nodes.kill('one');
    await resume();
    await nodes.start('one');
    await nodes.kill('two');
    await resume();
    await Promise.all(loads.map((one) => one.end()));

    const stored = await storedUp(nodes.natsUrl);
    const back = nodes.device(identityOf('away'), 'one');
    const received = numbersOf(back);
    for (const { id, up } of devices)
      expect(up.acknowledged.filter((n) => !stored.get(id)?.includes(String(n)))).toEqual([]);
    await until(() => {
      for (const device of devices) expect(device.received).toEqual(device.down.acknowledged);
      expect(received).toEqual(forAway.acknowledged);
    });
  }, 240_000);
});
