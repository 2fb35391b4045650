import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { trackOwed } from '@signet/bus';
import { EVENT_STREAM, identifyDevices, newEvent, operation } from '@signet/contracts';
import { denyListSource, openDenyList, peerDenyKeys, SessionIndex } from '@signet/denylist';
import { createLogger, Health, openBackbone, startMetrics } from '@signet/service';
import type { CollectionSpec } from '@signet/store';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { startRevocationSync } from '../src/app.ts';
import { revocationSyncConfig } from '../src/config.ts';
import { peer } from './authority.ts';

const binary = requireServer('nats-server');
const log = createLogger({ service: 'test', level: 'silent' });
const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

const Thing = z.object({ id: z.string() });
const things: CollectionSpec<z.infer<typeof Thing>, never> = {
  name: 'test.things',
  schema: Thing,
  indexes: {},
};
/** What an operator asks of a service that owns devices. */
const retire = operation('testing.retire', { input: z.number(), output: z.object({}), errors: [] });

const FINGERPRINT = (n: number) => n.toString(16).padStart(64, '0');
const retired = (n: number) =>
  newEvent('DEVICE_RETIRED', {
    account: 'acme',
    subject: `dev-${n}`,
    time: Date.now(),
    data: {
      deviceId: `dev-${n}`,
      fingerprint: FINGERPRINT(n),
      deviceSerialNumber: `sn-${n}`,
      account: 'acme',
      reason: 'stolen',
      by: 'ada',
    },
  });

describe.skipIf(binary === '')('while the stream of events is full', () => {
  it('a revocation is in force at once; where its authority is unavailable too, the answer says that it is not', {
    timeout: 120_000,
  }, async () => {
    const nats = stack.use(await startNats(binary));
    const folder = await mkdtemp(join(tmpdir(), 'stream-full-'));
    stack.defer(() => rm(folder, { recursive: true }));
    const backbone = async (name: string, health: Health) => {
      const store = `sqlite:${join(folder, `${name}.db`)}`;
      return stack.use(await openBackbone({ store, bus: nats.url, dataDir: folder, name, log, health }));
    };
    const own = await backbone('authority', new Health());
    const { metrics } = startMetrics();
    const deps = { ...own, log, now: Date.now, health: new Health(), metrics };
    const authority = await startRevocationSync(revocationSyncConfig.parse({}), deps);
    stack.use(await own.bus.serve(identifyDevices, async () => ({ devices: [] })));

    const ownersHealth = new Health();
    const owner = await backbone('owner', ownersHealth);
    const records = await owner.store.collection(things);
    stack.use(
      await owner.bus.serve(retire, async (n) => {
        await records.insert({ id: `dev-${n}` }, [retired(n)]);
        return {};
      }),
    );
    const listener = await backbone('listener', new Health());
    const onError = (error: unknown) => expect.fail(String(error));
    const sessions = stack.use(new SessionIndex({ now: Date.now, onError }));
    const options = {
      source: denyListSource(listener.bus),
      sessions,
      staleAfterMs: 30_000,
      now: Date.now,
      log,
    };
    const list = stack.use(openDenyList(options));
    await list.whenLoaded();
    const denies = (n: number) => {
      const admitting = list.admitting();
      if (!admitting.ok) throw new Error(admitting.message);
      return admitting.list.check(peerDenyKeys(peer(n))) !== 'clear';
    };

    await fillStream(nats.url);
    const ask = (n: number) => trackOwed(() => listener.bus.request(retire, n));
    expect(await ask(1)).toEqual({ result: {}, owed: false });
    await vi.waitFor(() => expect(denies(1)).toBe(true), { timeout: 10_000 });
    expect(denies(2)).toBe(false);

    await authority[Symbol.asyncDispose]();
    expect(await ask(2)).toEqual({ result: {}, owed: true });
    await vi.waitFor(
      async () => {
        const { checks } = await ownersHealth.report();
        expect(checks.outbox?.reason).toMatch(/^events have been waiting for the bus for \d+ s$/);
      },
      { timeout: 30_000, interval: 200 },
    );
    const again = { ...deps, health: new Health() };
    stack.use(await startRevocationSync(revocationSyncConfig.parse({}), again));
    await vi.waitFor(() => expect(denies(2)).toBe(true), { timeout: 20_000 });
  });
});

/** Bounds the stream, and puts events into it until it takes none. */
async function fillStream(url: string): Promise<void> {
  const nc = await connect({ servers: url });
  const jsm = await jetstreamManager(nc);
  const { config } = await jsm.streams.info(EVENT_STREAM);
  await jsm.streams.update(EVENT_STREAM, { ...config, max_bytes: 20_000 });
  // the small ones take the room that is too little for a large one
  const full = async (bytes: number) => {
    for (let i = 0; i < 1000; i++)
      try {
        await jsm.jetstream().publish('signet.event.acme.p0.FILLER.x', randomBytes(bytes).toString('hex'));
      } catch (error) {
        return error;
      }
    return undefined;
  };
  expect(await full(900)).toBeDefined();
  expect(await full(1)).toBeDefined();
  await nc.close();
}
