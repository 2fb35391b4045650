import { createCsr, generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EstCaService } from '../src/app.ts';
import { openCollections } from '../src/collections.ts';
import { call, type EstReply, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';

const REQUESTS = 200;
let est: EstFixture;
let replica: EstCaService;
beforeAll(async () => {
  est = await openEstFixture();
  replica = await est.startReplica();
});
afterAll(async () => {
  await replica?.[Symbol.asyncDispose]();
  await est?.[Symbol.asyncDispose]();
});

/** Sends requests to both replicas in turn, all at once. */
function together(deviceId: string, grant: string, csrs: readonly Uint8Array[]): Promise<EstReply[]> {
  const ports = [est.service.estPort, replica.estPort];
  return Promise.all(
    csrs.map((csr, i) => call(est, enrolment(csr, { basic: [deviceId, grant] }), ports[i % 2])),
  );
}

async function recorded(deviceId: string): Promise<number> {
  const { certificates } = await openCollections(est.fixture.deps.store);
  return certificates.count({ index: 'device', equals: { account: ACCOUNT, deviceId } });
}

describe('F25: two replicas, two hundred enrolments of one grant at once', { timeout: 60_000 }, () => {
  it('with as many keys end with one certificate; the others are told that the grant is used', async () => {
    const grant = await est.grantFor(await est.bootstrapDevice('dev-keys'));
    const csrs = Array.from({ length: REQUESTS }, () =>
      createCsr({ privateKey: generateKeyPair('P-256').privateKey }),
    );
    const replies = await together('dev-keys', grant, csrs);
    const statuses = Map.groupBy(replies, ({ status }) => status);
    expect([statuses.get(200)?.length, statuses.get(403)?.length]).toEqual([1, REQUESTS - 1]);
    for (const { body } of statuses.get(403) ?? []) expect(body).toMatch(/already used at/);
    expect(await recorded('dev-keys')).toBe(1);
  });

  it('with one key all get the same certificate, which is recorded and evented once', async () => {
    const grant = await est.grantFor(await est.bootstrapDevice('dev-key'));
    const csr = createCsr({ privateKey: generateKeyPair('P-256').privateKey });
    const replies = await together('dev-key', grant, Array<Uint8Array>(REQUESTS).fill(csr));
    expect(new Set(replies.map((reply) => issuedIn(reply).fingerprint)).size).toBe(1);
    expect(await recorded('dev-key')).toBe(1);
    await est.event('CERT_ISSUED', ({ data }) => data.deviceId === 'dev-key');
    expect(
      est.events.filter(({ type, subject }) => type === 'CERT_ISSUED' && subject === 'dev-key'),
    ).toHaveLength(1);
  });
});
