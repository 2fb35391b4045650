import type { TestFixture } from '@signet/service/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountStates,
  type CertificateDocument,
  deviceRecords,
  type RegistrationCertificates,
  registrationCertificates,
  registrations,
} from '../../src/collections.ts';
import {
  type AskContext,
  askForRegistration,
  type DeviceRequest,
} from '../../src/domain/registration/ask-for-registration.ts';
import { type Decision, decideRegistration } from '../../src/domain/registration/decide-registration.ts';
import { requestView } from '../../src/domain/registration/registration-request.ts';
import { inTurn } from '../../src/domain/registration/request-limits.ts';

const HOUR = 3_600_000;

const START = Date.parse('2026-03-01T12:00:00Z');

/** Requests that wait and expire, on whatever store. */
export function registrationRequests(open: (now: () => number) => Promise<TestFixture>): void {
  let clock = START;
  let deps: AskContext;
  let certificates: RegistrationCertificates;
  let certificate: CertificateDocument;
  const stack = new AsyncDisposableStack();
  const published: string[] = [];
  beforeAll(async () => {
    const { store, bus } = stack.use(await open(() => clock)).deps;
    stack.use(
      await bus.tail(
        { types: ['DEVICE_REGISTRATION_REQUESTED'], from: 'start' },
        ({ subject }) => void published.push(subject),
      ),
    );
    certificates = await store.collection(registrationCertificates);
    deps = {
      registrations: await store.collection(registrations),
      devices: await store.collection(deviceRecords),
      accountStates: await store.collection(accountStates),
      registrationWaitMs: 24 * HOUR,
      inTurn: inTurn(),
      now: () => clock,
    };
  });
  afterAll(() => stack.disposeAsync());

  let made = 0;
  beforeEach(async () => {
    clock = START;
    const id = String(++made).padStart(64, '0');
    const time = new Date(START).toISOString();
    certificate = {
      ...{ id, account: 'acme', name: `image-${made}`, serialNumber: 'ab', maxWaiting: 2 },
      ...{ notBefore: time, notAfter: time, createdAt: time, createdBy: 'ada' },
    };
    await certificates.insert(certificate);
  });

  const key = (letter: string) => ({ publicKeyHash: letter.repeat(64), keyType: 'P-256' });
  const ask = (deviceId: string, more: Partial<DeviceRequest> = {}, replica = deps) =>
    askForRegistration(replica, {
      ...{ certificate, deviceId, protocol: 'signet', key: key('a'), details: {} },
      ...more,
    });
  const decision = (requestId: string, how: Decision = { approved: true, by: 'ada' }, replica = deps) =>
    decideRegistration({ ...replica, certificates }, { account: 'acme', requestId }, how);
  /** Replicas know nothing of each other's turns. */
  const replicas = () => Array.from({ length: 3 }, () => ({ ...deps, inTurn: inTurn() }));
  const outcomes = async (all: readonly Promise<unknown>[]) =>
    (await Promise.allSettled(all)).map((one) =>
      one.status === 'fulfilled' ? 'done' : (one.reason as { code?: string }).code,
    );

  describe('a request that nobody decides', () => {
    it('F4: expires, can be approved no more, and waits anew when its device asks again', async () => {
      const first = await ask('clock-1');
      clock += 23 * HOUR;
      expect(await ask('clock-1')).toEqual(first);
      clock += 2 * HOUR;
      const stored = await deps.registrations.get(first.id);
      expect(stored && requestView(stored, clock)).toMatchObject({ state: 'expired' });
      for (const how of [
        { approved: true, by: 'ada' },
        { approved: false, by: 'ada', reason: 'late' },
      ] as const)
        await expect(decision(first.id, how)).rejects.toMatchObject({ code: 'request-expired' });
      const again = await ask('clock-1');
      expect(again.id).toBe(first.id);
      expect(Date.parse(again.askedAt)).toBe(clock);
      expect(await decision(again.id)).toMatchObject({ state: 'approved' });
      clock += 1000 * HOUR;
      expect(await ask('clock-1')).toMatchObject({ state: 'approved' });
    });

    it('F4: keeps nobody else out once it has expired, and counts no more', async () => {
      await ask('clock-2');
      await ask('clock-3');
      await expect(ask('clock-4')).rejects.toMatchObject({ code: 'request-limit-reached' });
      await expect(ask('clock-2', { key: key('b') })).rejects.toMatchObject({ code: 'another-key' });
      clock += 25 * HOUR;
      const other = await ask('clock-2', { key: key('b') });
      expect(other).toMatchObject({ state: 'waiting', publicKeyHash: 'b'.repeat(64) });
      expect(await ask('clock-4')).toMatchObject({ state: 'waiting' });
    });
  });

  describe('requests at once', () => {
    it('F4: the same device many times is one request and one event', async () => {
      const all = await Promise.all(Array.from({ length: 8 }, () => ask('clock-10')));
      expect(new Set(all.map(({ id }) => id)).size).toBe(1);
      await ask('clock-11');
      await expect.poll(() => published.includes('clock-11')).toBe(true);
      expect(published.filter((subject) => subject === 'clock-10')).toHaveLength(1);
    });

    it('F1: no more devices than the certificate may register, however many replicas approve; a declined one makes room', async () => {
      const limited = {
        ...certificate,
        id: certificate.id.replace(/^0/, 'f'),
        name: 'limited',
        limit: 3,
        maxWaiting: 100,
      };
      await certificates.insert({ ...limited, name: `limited-${made}` });
      const asked = await Promise.all(
        Array.from({ length: 9 }, (_, i) => ask(`limit-${made}-${i}`, { certificate: limited })),
      );
      const approveAll = () => {
        const at = replicas();
        return outcomes(asked.map(({ id }, i) => decision(id, undefined, at[i % at.length])));
      };
      const first = await approveAll();
      expect(first.filter((outcome) => outcome === 'done')).toHaveLength(3);
      expect(first.filter((outcome) => outcome === 'limit-reached')).toHaveLength(6);
      const freed = asked[first.indexOf('done')]?.id ?? '';
      await decision(freed, { approved: false, by: 'ada', reason: 'not ours' });
      const second = await approveAll();
      const count = (state: 'approved' | 'declined') =>
        deps.registrations.count({ index: 'byCertificate', equals: { certificateId: limited.id, state } });
      expect(await count('approved')).toBe(3);
      expect(second.filter((outcome) => outcome === 'done')).toHaveLength(3);
      await expect(ask(`limit-${made}-more`, { certificate: limited })).rejects.toMatchObject({
        code: 'limit-reached',
      });
    });

    it('F4: no more wait than the certificate allows, however many replicas are asked', async () => {
      const at = replicas();
      const asked = await outcomes(
        Array.from({ length: 9 }, (_, i) => ask(`wait-${made}-${i}`, {}, at[i % at.length])),
      );
      expect(asked.filter((outcome) => outcome === 'done')).toHaveLength(2);
      expect(asked.filter((outcome) => outcome === 'request-limit-reached')).toHaveLength(7);
    });

    it('F4: an approval is of the key that the operator saw', async () => {
      const seen = await ask('clock-12', { key: key('c') });
      clock += 25 * HOUR;
      await ask('clock-12', { key: key('d') });
      await expect(decision(seen.id)).rejects.toMatchObject({ code: 'unknown-request' });
    });
  });
}
