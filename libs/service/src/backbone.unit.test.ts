import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newEvent, operation } from '@signet/contracts';
import { StoreError } from '@signet/store';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { openBackbone } from './backbone.ts';
import { Health } from './health.ts';
import { createLogger } from './logger.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const spec = { name: 'test.devices', schema: z.object({ id: z.string() }), indexes: {} };
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'signet-backbone-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const event = () =>
  newEvent('DEVICE_RETIRED', {
    account: 'acme',
    subject: 'dev-1',
    time: Date.now(),
    data: {
      deviceId: 'dev-1',
      fingerprint: 'ab'.repeat(32),
      deviceSerialNumber: '1',
      reason: 'old',
      by: 'me',
    },
  });

test('embedded: what is stored with an event is on the bus, and both survive a restart', async () => {
  const options = { store: `sqlite:${join(dataDir, 'signet.db')}`, bus: 'local', dataDir, name: 'test', log };
  const first = await openBackbone(options);
  await (await first.store.collection(spec)).insert({ id: 'dev-1' }, [event()]);
  await first[Symbol.asyncDispose]();

  await using again = await openBackbone(options);
  expect(await (await again.store.collection(spec)).get('dev-1')).toEqual({ id: 'dev-1' });
  const seen: string[] = [];
  await again.bus.tail(
    { types: ['DEVICE_RETIRED'], from: 'start' },
    ({ subject }) => void seen.push(subject),
  );
  await vi.waitFor(() => expect(seen).toEqual(['dev-1']));
});

test('readiness names store and bus, and fails when the local engine is closed under a process', async () => {
  const health = new Health();
  await using backbone = await openBackbone({
    store: `sqlite:${join(dataDir, 'signet.db')}`,
    bus: 'local',
    dataDir,
    name: 'test',
    log,
    health,
  });
  expect(await health.report()).toEqual({ ready: true, checks: { store: { ok: true }, bus: { ok: true } } });
  await backbone.bus[Symbol.asyncDispose]();
  const { ready, checks } = await health.report();
  expect(ready).toBe(false);
  expect(checks.bus?.reason).toMatch(/closed/);
});

test('with NATS away at the start a process comes up, unready, with the reason', async () => {
  const health = new Health();
  await using _backbone = await openBackbone({
    store: `sqlite:${join(dataDir, 'signet.db')}`,
    bus: 'nats://127.0.0.1:1',
    dataDir,
    name: 'test',
    log,
    health,
  });
  await vi.waitFor(async () => expect((await health.report()).checks.bus?.ok).toBe(false));
});

test('whoever asks a service whose store is unavailable is told so, typed, and not that the service is broken', async () => {
  await using backbone = await openBackbone({
    store: `sqlite:${join(dataDir, 'signet.db')}`,
    bus: 'local',
    dataDir,
    name: 'test',
    log,
  });
  const claim = operation('test.claim', { input: z.object({}), output: z.object({}), errors: [] });
  await backbone.bus.serve(claim, async () => {
    throw new StoreError('unavailable', 'no server');
  });
  await expect(backbone.bus.request(claim, {})).rejects.toMatchObject({
    name: 'OperationError',
    code: 'unavailable',
    message: 'test.claim: store or bus does not answer',
  });
});
