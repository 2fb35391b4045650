import { PLATFORM_ACCOUNT, type SignetEvent } from '@signet/contracts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLogger } from './logger.ts';
import { RefusalReporter } from './refusals.ts';
import { startMetrics } from './telemetry.ts';

const fingerprint = 'ab'.repeat(32);
const silent = createLogger({ service: 'test', level: 'silent' });

/** A bus that can be unavailable. */
class Post {
  readonly events: SignetEvent[] = [];
  #back = Promise.withResolvers<void>();

  constructor(away = false) {
    if (!away) this.#back.resolve();
  }

  async publish(events: readonly SignetEvent[]): Promise<void> {
    await this.#back.promise;
    this.events.push(...events);
  }

  return(): void {
    this.#back.resolve();
  }
}

function reporter(bus: Post, more: Partial<ConstructorParameters<typeof RefusalReporter>[0]> = {}) {
  const { metrics, exposition } = startMetrics();
  const refusals = new RefusalReporter({ bus, log: silent, metrics, now: Date.now, ...more });
  return { refusals, exposition };
}

const denied = {
  listener: 'mqtt',
  code: 'denied',
  message: 'deny list: its key is denied',
  address: '10.0.0.1',
} as const;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('the first refusal is an event at once; like ones within 10 s become one event with their count', async () => {
  const bus = new Post();
  const { refusals } = reporter(bus);
  for (let n = 0; n < 100; n++) refusals.report({ ...denied, fingerprint });
  await vi.advanceTimersByTimeAsync(0);
  expect(bus.events.map(({ data }) => data)).toEqual([{ ...denied, fingerprint, count: 1 }]);

  await vi.advanceTimersByTimeAsync(10_000);
  expect(bus.events.map(({ data }) => (data as { count: number }).count)).toEqual([1, 99]);

  refusals.report({ ...denied, fingerprint });
  await vi.advanceTimersByTimeAsync(0);
  expect(bus.events).toHaveLength(3);
});

test('refusals that differ in address, fingerprint, code or listener are told apart', async () => {
  const bus = new Post();
  const { refusals } = reporter(bus);
  refusals.report({ ...denied, fingerprint });
  refusals.report({ ...denied, fingerprint, address: '10.0.0.2' });
  refusals.report({ ...denied, fingerprint: 'cd'.repeat(32) });
  refusals.report({ ...denied, fingerprint, code: 'expired' });
  refusals.report({ ...denied, fingerprint, listener: 'gateway' });
  await refusals.close();
  expect(bus.events).toHaveLength(5);
});

test('the type goes by the listener, the subject by what is known of the peer', async () => {
  const bus = new Post();
  const { refusals } = reporter(bus);
  refusals.report({ ...denied, listener: 'bootstrap', fingerprint });
  refusals.report({ ...denied, listener: 'est', account: 'acme', deviceId: 'dev-1', fingerprint });
  refusals.report({ ...denied, listener: 'mqtt-provisioning' });
  await refusals.close();
  expect(bus.events.map(({ type, account, subject }) => ({ type, account, subject }))).toEqual([
    { type: 'BOOTSTRAP_REFUSED', account: PLATFORM_ACCOUNT, subject: fingerprint },
    { type: 'ENROLLMENT_REFUSED', account: 'acme', subject: 'dev-1' },
    { type: 'BOOTSTRAP_REFUSED', account: PLATFORM_ACCOUNT, subject: 'unknown' },
  ]);
});

test('what a peer wrote in its certificate neither breaks the log nor grows an event', async () => {
  const bus = new Post();
  const { refusals } = reporter(bus);
  refusals.report({
    ...denied,
    deviceId: '../../etc',
    account: 'NOT AN ACCOUNT',
    issuer: `evil\n{"level":"info"}\u001b[2J${'x'.repeat(5000)}`,
  });
  await refusals.close();
  const [event] = bus.events as SignetEvent<'DEVICE_REFUSED'>[];
  expect(event?.subject).toBe('unknown');
  expect(event?.account).toBe(PLATFORM_ACCOUNT);
  expect(event?.data.issuer).toHaveLength(256);
  expect(event?.data.issuer).not.toMatch(/\p{Cc}/u);
});

test('while the bus is unavailable reporting returns at once, and the events arrive when it is back', async () => {
  const bus = new Post(true);
  const { refusals } = reporter(bus);
  for (let n = 0; n < 50; n++) refusals.report({ ...denied, address: `10.0.0.${n}` });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(bus.events).toHaveLength(0);
  bus.return();
  await vi.advanceTimersByTimeAsync(0);
  expect(bus.events).toHaveLength(50);
});

test('what has no room is dropped, counted in a metric and said in the log', async () => {
  const lines: string[] = [];
  const log = createLogger({
    service: 'test',
    level: 'error',
    destination: { write: (line) => lines.push(line) },
  });
  const bus = new Post(true);
  const { refusals, exposition } = reporter(bus, { log, queueLength: 10 });
  for (let n = 0; n < 15; n++) refusals.report({ ...denied, address: `10.0.0.${n}` });
  expect(await exposition()).toContain('signet_refusal_events_dropped_total{listener="mqtt"} 5\n');
  expect(lines).toHaveLength(5);
  expect(lines[0]).toContain('event dropped');
});

test('a flood from many addresses keeps its memory: beyond the bound, refusals are told apart by code only', async () => {
  const bus = new Post();
  const { refusals, exposition } = reporter(bus, { maxWindows: 20 });
  for (let n = 0; n < 1000; n++) refusals.report({ ...denied, address: `10.1.${n >> 8}.${n & 255}` });
  await vi.advanceTimersByTimeAsync(10_000);
  const data = bus.events.map((event) => (event as SignetEvent<'DEVICE_REFUSED'>).data);
  expect(data).toHaveLength(22);
  expect(data.reduce((sum, { count }) => sum + count, 0)).toBe(1000);
  expect(data.at(-1)).toEqual({ listener: 'mqtt', code: 'denied', message: denied.message, count: 979 });
  expect(await exposition()).toContain('signet_refusals_total{listener="mqtt",code="denied"} 1000\n');
});

test('a stranger that shows a fresh certificate each time makes few events, which count all of them', async () => {
  const bus = new Post();
  const { refusals, exposition } = reporter(bus);
  const fresh = (n: number) => n.toString(16).padStart(64, '0');
  const own = { ...denied, account: 'acme', deviceId: 'pump-1', fingerprint: fresh(1) };
  for (let n = 0; n < 5000; n++) refusals.report({ ...denied, code: 'bad-signature', fingerprint: fresh(n) });
  refusals.report(own);
  await vi.advanceTimersByTimeAsync(10_000);
  const data = bus.events.map((event) => (event as SignetEvent<'DEVICE_REFUSED'>).data);
  const strangers = data.filter(({ code }) => code === 'bad-signature');
  expect(strangers).toHaveLength(12);
  expect(strangers.reduce((sum, { count }) => sum + count, 0)).toBe(5000);
  expect(strangers.at(-1)).toEqual({
    ...{ listener: 'mqtt', code: 'bad-signature', message: denied.message, address: denied.address },
    count: 4989,
  });
  expect(bus.events.find(({ account }) => account === 'acme')).toMatchObject({ subject: 'pump-1' });
  expect(await exposition()).toContain('signet_refusals_total{listener="mqtt",code="bad-signature"} 5000\n');
});

test('strangers from many addresses make few events too, and crowd out no device of an account', async () => {
  const bus = new Post();
  const { refusals } = reporter(bus);
  for (let n = 0; n < 5000; n++)
    refusals.report({ ...denied, address: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` });
  for (let n = 0; n < 2000; n++) refusals.report({ ...denied, account: 'acme', deviceId: `pump-${n}` });
  await vi.advanceTimersByTimeAsync(10_000);
  const strangers = bus.events.filter(({ account }) => account === PLATFORM_ACCOUNT);
  const counts = strangers.map((event) => (event as SignetEvent<'DEVICE_REFUSED'>).data.count);
  expect(strangers).toHaveLength(102);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5000);
  const own = bus.events.filter(({ account }) => account === 'acme');
  expect(own.filter(({ subject }) => subject.startsWith('pump-'))).toHaveLength(1000);
  const all = own.map((event) => (event as SignetEvent<'DEVICE_REFUSED'>).data.count);
  expect(all.reduce((sum, count) => sum + count, 0)).toBe(2000);
});

test('closing sends the counts that were still open, and does not wait for a bus that stays away', async () => {
  const bus = new Post();
  const { refusals } = reporter(bus);
  for (let n = 0; n < 3; n++) refusals.report(denied);
  await refusals.close();
  expect(bus.events.map(({ data }) => (data as { count: number }).count)).toEqual([1, 2]);

  const away = reporter(new Post(true)).refusals;
  away.report(denied);
  const closed = away.close(2000);
  await vi.advanceTimersByTimeAsync(2000);
  await closed;
});
