import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bus, LocalBus } from '@signet/bus';
import { openLocalBus } from '@signet/bus';
import {
  type Device,
  type EventData,
  type EventType,
  identifyDevices,
  listDevices,
  newEvent,
  type SignetEvent,
} from '@signet/contracts';
import { type DenyList, denyListSource, openDenyList, type PeerFacts, SessionIndex } from '@signet/denylist';
import { createLogger, Health, type RunningService, type ServiceDeps, startMetrics } from '@signet/service';
import { openDatabase } from '@signet/sqlite';
import type { Store } from '@signet/store';
import { openSqliteStore } from '@signet/store/sqlite';
import { startRevocationSync } from '../src/app.ts';
import { revocationSyncConfig } from '../src/config.ts';

/** Store and bus of a test, in one SQLite file; replicas of the service are started on them. */
export interface TestFixture extends AsyncDisposable {
  readonly bus: LocalBus;
  readonly store: Store;
  readonly clock: { now: number };
  readonly health: Health;
  start(overrides?: Partial<ServiceDeps>, settings?: Record<string, unknown>): Promise<RunningService>;
  publish(event: SignetEvent): Promise<void>;
  /** Says who devices are, and lists them, as bootstrap does. */
  know(devices: readonly Device[]): Promise<void>;
  /** A replica of the list, as listeners have it. */
  listener(bus?: Bus): Promise<{ list: DenyList; sessions: SessionIndex }>;
}

export async function openTestFixture(): Promise<TestFixture> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'revocation-sync-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const database = stack.use(openDatabase(join(folder, 'signet.db')));
  const bus = stack.use(await openLocalBus({ database }));
  const store = stack.use(await openSqliteStore({ database, eventLog: true }));
  const clock = { now: Date.parse('2027-01-01T00:00:00Z') };
  const now = () => clock.now;
  const health = new Health();
  const log = createLogger({ service: 'test', level: 'silent' });
  const { metrics } = startMetrics();
  const rest = stack.move();
  return {
    bus,
    store,
    clock,
    health,
    async start(overrides = {}, settings = {}) {
      const config = revocationSyncConfig.parse(settings);
      const deps = { store, bus: bus.replica(), log, now, health, metrics, ...overrides };
      return rest.use(await startRevocationSync(config, deps));
    },
    publish: (event) => bus.publish([event]),
    async know(devices) {
      rest.use(
        await bus.serve(identifyDevices, async ({ account, deviceIds, fingerprints }) => ({
          devices: devices.filter(
            (device) =>
              fingerprints.includes(device.fingerprint) ||
              (device.account === account && deviceIds.includes(device.deviceId)),
          ),
        })),
      );
      rest.use(
        await bus.serve(listDevices, async ({ account, state, group, cursor = '0', limit }) => {
          const own = devices.filter(
            (device) =>
              device.account === account &&
              (group === undefined || device.group === group) &&
              (state === undefined || device.state === state),
          );
          const from = Number(cursor);
          const next = from + limit;
          return {
            items: own.slice(from, next),
            ...(next < own.length ? { next: String(next) } : {}),
          };
        }),
      );
    },
    async listener(on = bus.replica()) {
      const sessions = new SessionIndex({
        now,
        onError: (error) => {
          throw error;
        },
      });
      const source = denyListSource(on);
      const list = rest.use(
        openDenyList({ source, sessions, staleAfterMs: 30_000, now, log, reorderMs: 50 }),
      );
      await list.whenLoaded();
      return { list, sessions };
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

const hex = (byte: number, length: number) => byte.toString(16).padStart(2, '0').repeat(length);

/** What is known of device `n` of `acme`; issued by the CA with key id `ca…`. */
export function peer(n: number): PeerFacts & { issuerKeyId: string; serialNumber: string } {
  return {
    fingerprint: hex(n, 32),
    publicKeyHash: hex(255 - n, 32),
    serialNumber: `01${hex(n, 1)}`,
    issuerKeyId: hex(0xca, 20),
    account: 'acme',
    deviceId: `dev-${n}`,
  };
}

/** Device `n` as bootstrap knows it. */
export function made(n: number, more: Partial<Device> = {}): Device {
  return {
    deviceId: `dev-${n}`,
    account: 'acme',
    factoryAccount: 'acme',
    fingerprint: n.toString(16).padStart(64, '0'),
    deviceSerialNumber: `SN-${n}`,
    state: 'active',
    certificate: '-----BEGIN CERTIFICATE-----',
    manufacturedAt: '2026-12-01T00:00:00.000Z',
    ...more,
  };
}

/** An event about device `n`, or about its CA; `sequence` numbers it among those of its document. */
export function eventOf<T extends EventType>(
  type: T,
  n: number,
  data: Partial<EventData<T>> & Record<string, unknown>,
  sequence?: number,
): SignetEvent<T> {
  const { deviceId = '', fingerprint, publicKeyHash, serialNumber, issuerKeyId } = peer(n);
  const device = { deviceId, fingerprint, deviceSerialNumber: `SN-${n}`, by: 'ada', account: 'acme' };
  const certificate = {
    ...{ deviceId, fingerprint, publicKeyHash, serialNumber, issuerKeyId, profile: 'acme', by: 'ada' },
    notBefore: '2026-12-01T00:00:00.000Z',
    notAfter: '2027-03-01T00:00:00.000Z',
  };
  const authority = {
    ...{ authorityId: 'ca-1', kind: 'issuing', subjectKeyId: issuerKeyId },
    notAfter: '2030-01-01T00:00:00.000Z',
  };
  const base = type.startsWith('CERT_') ? certificate : type.startsWith('CA_') ? authority : device;
  const event = newEvent(type, {
    account: 'acme',
    subject: type.startsWith('CA_') ? 'ca-1' : deviceId,
    data: { ...base, ...data } as unknown as EventData<T>,
    time: Date.parse('2027-01-01T00:00:00Z'),
  });
  return sequence === undefined ? event : { ...event, sequence };
}
