import {
  blockDevices,
  factoryLog,
  factorySign,
  type MadeDevice,
  OperationError,
  unblockDevices,
  unclaimDevices,
} from '@signet/contracts';
import { generateKeyPair, parseCertificatePem } from '@signet/pki';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ACCOUNT, type BootstrapFixture, csrOf, openBootstrapFixture } from './support/bootstrap-fixture.ts';

let scene: BootstrapFixture;

beforeEach(async () => {
  scene = await openBootstrapFixture();
});
afterEach(() => scene[Symbol.asyncDispose]());

type Item = { csr: string; deviceSerialNumber?: string; model?: string };
const keys = generateKeyPair('P-256');

async function sign(...items: Item[]) {
  const { bus } = scene.fixture.deps;
  return (await bus.request(factorySign, { account: ACCOUNT, items, by: 'factory' })).results;
}

async function log(): Promise<MadeDevice[]> {
  const found: MadeDevice[] = [];
  let cursor: string | undefined;
  do {
    const more = cursor === undefined ? {} : { cursor };
    const page = await scene.fixture.deps.bus.request(factoryLog, { account: ACCOUNT, limit: 100, ...more });
    found.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}

test('F55, F57: a batch of 256 has 256 certificates, no fingerprint or serial twice, and the log is what was made', async () => {
  const items = Array.from({ length: 256 }, (_, i) => ({
    csr: csrOf(`pump-${i}`, generateKeyPair('P-256')),
  }));
  const results = await sign(...items);
  const made = results.map((result) => ('error' in result ? undefined : result));
  expect(new Set(made.map((result) => result?.fingerprint)).size).toBe(256);
  expect(new Set(made.map((result) => result?.certificateSerial)).size).toBe(256);
  expect(made.map((result) => result?.deviceId)).toEqual(items.map((_, i) => `pump-${i}`));
  const logged = await log();
  expect(logged).toHaveLength(256);
  expect(new Map(logged.map(({ fingerprint, certificate }) => [fingerprint, certificate]))).toEqual(
    new Map(made.map((result) => [result?.fingerprint, result?.certificate])),
  );
  const events = await scene.events('DEVICE_MANUFACTURED', 256);
  expect(new Set(events.map(({ data }) => data.fingerprint))).toEqual(
    new Set(made.map((result) => result?.fingerprint)),
  );
});

test('a bad item fails by itself, in its place', async () => {
  const [good, bad, alsoGood] = await sign(
    { csr: csrOf('pump-1', keys) },
    { csr: csrOf('bad', keys) },
    { csr: csrOf('pump-2', keys) },
  );
  expect(bad).toEqual({ error: { code: 'bad-identity', message: 'csr: no device id' } });
  expect([good, alsoGood]).toMatchObject([{ deviceId: 'pump-1' }, { deviceId: 'pump-2' }]);
  expect(await log()).toHaveLength(2);
});

test('a factory that retries gets the certificate that it got before', async () => {
  const item = { csr: csrOf('pump-1', keys), deviceSerialNumber: 'SN-1', model: 'P200' };
  const [first] = await sign(item);
  const [again] = await sign(item);
  const [twice, inOneBatch] = await sign(item, item);
  expect([again, twice, inOneBatch]).toEqual([first, first, first]);
  expect(await log()).toMatchObject([{ deviceSerialNumber: 'SN-1', model: 'P200', state: 'manufactured' }]);
});

test('a serial number that was made before is refused to another key', async () => {
  await sign({ csr: csrOf('pump-1', keys), deviceSerialNumber: 'SN-1' });
  const [other] = await sign({ csr: csrOf('pump-9', generateKeyPair('P-256')), deviceSerialNumber: 'SN-1' });
  expect(other).toEqual({
    error: {
      code: 'serial-number-taken',
      message: 'deviceSerialNumber: "SN-1" was made before, with another key',
    },
  });
  expect(await log()).toHaveLength(1);
});

test('what is logged is what the certificate says', async () => {
  const [made] = await sign({ csr: csrOf('pump-1', keys), deviceSerialNumber: 'SN-1' });
  if (made === undefined || 'error' in made) throw new Error('no certificate');
  const { subject, fingerprint } = parseCertificatePem(made.certificate);
  expect(await log()).toMatchObject([
    { fingerprint, deviceId: subject.commonName, deviceSerialNumber: subject.serialNumber },
  ]);
});

test('F66: of a device that another account claimed the log of its maker says that it was handed on, and no more', async () => {
  const [made] = await sign({ csr: csrOf('pump-1', keys), deviceSerialNumber: 'SN-1', model: 'P200' });
  if (made === undefined || 'error' in made) throw new Error('no certificate');
  const [before] = await log();
  await scene.claim(made.fingerprint, { account: 'buyer', deviceId: 'hall-3', group: 'secret-hall' });
  await scene.fixture.deps.bus.request(blockDevices, {
    ...{ account: 'buyer', by: 'bob', reason: 'stolen from hall 3', deviceIds: ['hall-3'] },
  });
  const handedOn = { ...before, state: 'claimed', handedOn: true };
  expect(await log()).toEqual([handedOn]);
  expect(await sign({ csr: csrOf('pump-1', keys), deviceSerialNumber: 'SN-1' })).toEqual([made]);
  await scene.fixture.deps.bus.request(unblockDevices, {
    account: 'buyer',
    by: 'bob',
    deviceIds: ['hall-3'],
  });
  await scene.fixture.deps.bus.request(unclaimDevices, {
    account: 'buyer',
    by: 'bob',
    deviceIds: ['hall-3'],
  });
  expect(await log()).toEqual([before]);
});

test('est-ca away, or without a factory CA: typed, and nothing is logged', async () => {
  for (const code of ['unavailable', 'no-factory-ca']) {
    scene.estCa.failure = new OperationError(code, 'est-ca.sign-bootstrap: no');
    await expect(sign({ csr: csrOf('pump-1', keys) })).rejects.toMatchObject({ code });
  }
  expect(await log()).toEqual([]);
});

test('the store lost between signing and logging: no certificate leaves, and the retry is served', async () => {
  const item = { csr: csrOf('pump-1', keys) };
  scene.estCa.meanwhile = async () => {
    scene.store.away = true;
  };
  await expect(sign(item)).rejects.toMatchObject({ code: 'unavailable' });
  scene.estCa.meanwhile = undefined;
  scene.store.away = false;
  const [made] = await sign(item);
  expect(await log()).toMatchObject([
    { fingerprint: made !== undefined && 'fingerprint' in made && made.fingerprint },
  ]);
});
