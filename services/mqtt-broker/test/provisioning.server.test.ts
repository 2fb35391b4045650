import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import {
  authenticateProvisioning,
  type Bundle,
  completeProvisioning,
  meetDevice,
  OperationError,
  type OperationInput,
  provisioningTopic,
  reportProvisioning,
} from '@signet/contracts';
import type { TestIdentity } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BrokerFixture, closeOf, openBrokerFixture } from './fixture.ts';

const mosquitto = requireServer('mosquitto');
const request = provisioningTopic('dev-1', 'request');
const reply = provisioningTopic('dev-1', 'reply');

let broker: BrokerFixture;
let served: AsyncDisposableStack;
let identity: TestIdentity;
let asked: OperationInput<typeof authenticateProvisioning>[];
let failure: OperationError | undefined;
let requested: OperationInput<typeof completeProvisioning>[];
let reported: OperationInput<typeof reportProvisioning>[];

beforeEach(async () => {
  broker = await openBrokerFixture();
  identity = broker.fixture.pki.bootstrap('serial-0001');
  asked = [];
  requested = [];
  reported = [];
  failure = undefined;
  served = new AsyncDisposableStack();
  const { bus } = broker.fixture.deps;
  served.use(
    await bus.serve(authenticateProvisioning, async (input) => {
      asked.push(input);
      if (input.username !== 'user') throw new OperationError('unmatched', 'clientId: none waits');
      if (input.password !== 'right') throw new OperationError('wrong-password', 'password: wrong');
      return { account: 'acme', deviceId: input.clientId, clientId: input.clientId, requestId: 'r-1' };
    }),
  );
  served.use(await bus.serve(meetDevice, async () => ({ met: false })));
  served.use(
    await bus.serve(reportProvisioning, async (input) => {
      reported.push(input);
      return { state: 'RUNNING' as const };
    }),
  );
  served.use(
    await bus.serve(completeProvisioning, async (input) => {
      requested.push(input);
      if (failure !== undefined) throw failure;
      return bundle;
    }),
  );
});
afterEach(async () => {
  await served[Symbol.asyncDispose]();
  await broker[Symbol.asyncDispose]();
});

const bundle: Bundle = {
  account: 'acme',
  deviceId: 'dev-1',
  instance: 'test',
  trustAnchors: ['-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n'],
  est: {
    url: 'https://localhost:8443',
    label: 'acme',
    username: 'dev-1',
    grant: 'once',
    expiresAt: '2027-01-01T00:00:00.000Z',
  },
  mqtt: { url: 'mqtts://localhost:8883', clientId: 'dev-1' },
  gateway: { url: 'https://localhost:8445' },
  config: { colour: 'blue' },
};

const credentials = (password = 'right', username = 'user') => ({
  ...{ username, password, clientId: 'dev-1' },
  at: broker.provisioningPort,
});
const refusedWith = async (code: string) =>
  (await broker.event('BOOTSTRAP_REFUSED', ({ data }) => data.code === code)).data;

function nextMessage(client: MqttClient): Promise<{ topic: string; payload: unknown }> {
  return new Promise((resolve) =>
    client.once('message', (topic, payload) => resolve({ topic, payload: JSON.parse(payload.toString()) })),
  );
}

describe('the provisioning exchange at 8884', () => {
  it('F18: a bootstrap certificate with user name and password gets its bundle', async () => {
    const client = await broker.connected(identity, credentials());
    await client.subscribeAsync(reply, { qos: 1 });
    const answer = nextMessage(client);
    await client.publishAsync(request, '{}', { qos: 1 });
    expect(await answer).toEqual({ topic: reply, payload: bundle });
    const { fingerprint } = identity.certificate;
    expect(asked).toEqual([{ fingerprint, clientId: 'dev-1', username: 'user', password: 'right' }]);
  });

  it('its CSR goes with the request; what it says of its progress is taken up, and what is no progress is refused', async () => {
    const client = await broker.connected(identity, credentials());
    await client.subscribeAsync(reply, { qos: 1 });
    const answer = nextMessage(client);
    await client.publishAsync(request, JSON.stringify({ csr: 'MIIB' }), { qos: 1 });
    await answer;
    expect(requested).toMatchObject([{ requestId: 'r-1', deviceId: 'dev-1', csr: 'MIIB' }]);
    const progress = provisioningTopic('dev-1', 'progress');
    await client.publishAsync(progress, '{"state":"FAILED","details":"no space"}', { qos: 1 });
    await vi.waitFor(() =>
      expect(reported).toMatchObject([
        { requestId: 'r-1', progress: { state: 'FAILED', details: 'no space' } },
      ]),
    );
    await client.publishAsync(progress, '{"state":"RUNNING"}', { qos: 1 });
    expect((await refusedWith('malformed-request')).message).toContain('progress: state');
  });

  it('a request that is no JSON is refused by its code', async () => {
    const client = await broker.connected(identity, credentials());
    await client.subscribeAsync(reply, { qos: 1 });
    const answer = nextMessage(client);
    await client.publishAsync(request, '{', { qos: 1 });
    expect((await answer).payload).toEqual({ code: 'malformed-request' });
    expect(requested).toEqual([]);
  });

  it('a refusal comes as its code, in the reply and in the event', async () => {
    failure = new OperationError('unclaimed', 'device: not claimed yet');
    const client = await broker.connected(identity, credentials());
    await client.subscribeAsync(reply);
    const answer = nextMessage(client);
    await client.publishAsync(request, '');
    expect((await answer).payload).toEqual({ code: 'unclaimed' });
    expect(await refusedWith('unclaimed')).toMatchObject({
      listener: 'mqtt-provisioning',
      message: 'device: not claimed yet',
      fingerprint: identity.certificate.fingerprint,
      deviceId: 'dev-1',
    });
  });

  it('F17: wrong and missing credentials are refused with CONNACK 4, whichever of them is wrong', async () => {
    expect(await broker.refusal(identity, credentials('wrong'))).toBe(4);
    await refusedWith('wrong-password');
    expect(await broker.refusal(identity, credentials('right', 'nobody'))).toBe(4);
    await refusedWith('unknown-device');
    expect(await broker.refusal(identity, { clientId: 'dev-1', at: broker.provisioningPort })).toBe(4);
    await refusedWith('no-credentials');
  });

  it('F17: credentials without a certificate open nothing', async () => {
    const { key: _key, cert: _cert, ...none } = identity;
    const anonymous = { ...none, key: '', cert: '' } as TestIdentity;
    expect(await broker.refusal(anonymous, credentials())).toBe(5);
    await refusedWith('no-certificate');
    expect(asked).toEqual([]);
  });

  it('while the provisioning service is unavailable, CONNACK 3 says: try again', async () => {
    await served[Symbol.asyncDispose]();
    expect(await broker.refusal(identity, credentials())).toBe(3);
    await refusedWith('unavailable');
  });

  it.each([
    '$signet/dev-2/provisioning/reply',
    '$signet/+/provisioning/reply',
    '#',
    '$SYS/#',
    'd/acme/dev-1/down/#',
  ])('may not subscribe to %s', async (filter) => {
    const client = await broker.connected(identity, credentials());
    const [granted] = await client.subscribeAsync(filter).catch(() => [{ qos: 128 }]);
    expect(granted?.qos).toBe(128);
    await refusedWith('topic-not-allowed');
  });

  it.each(['$signet/dev-2/provisioning/request', 'd/acme/dev-1/up/x', '$signet/dev-1/provisioning/reply'])(
    'may not publish to %s: the connection ends',
    async (topic) => {
      const client = await broker.connected(identity, credentials());
      await client.subscribeAsync(reply);
      const closed = closeOf(client);
      client.publish(topic, 'x');
      await closed;
      await refusedWith('topic-not-allowed');
    },
  );

  it('attempts are bounded for each device', async () => {
    for (let n = 0; n < 10; n++) expect(await broker.refusal(identity, credentials('wrong'))).toBe(4);
    expect(await broker.refusal(identity, credentials('right'))).toBe(3);
    await refusedWith('rate-limited');
    expect(asked).toHaveLength(10);
  });

  it('a denied certificate is cut off within its exchange', async () => {
    const client = await broker.connected(identity, credentials());
    const closed = closeOf(client);
    await broker.fixture.deny({ kind: 'fingerprint', fingerprint: identity.certificate.fingerprint });
    await closed;
    expect(await broker.refusal(identity, credentials())).toBe(5);
    await refusedWith('denied');
  });

  it.skipIf(mosquitto === '')('mosquitto_rr, a client that we did not write, gets the bundle', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'signet-rr-'));
    const write = async (name: string, text: string) => {
      const path = join(directory, name);
      await writeFile(path, text, { mode: 0o600 });
      return path;
    };
    try {
      const { stdout } = await promisify(execFile)(
        join(dirname(mosquitto), 'mosquitto_rr'),
        [
          ...['-h', 'localhost', '-p', String(broker.provisioningPort), '-V', 'mqttv311', '-q', '1'],
          ...['-i', 'dev-1', '-u', 'user', '-P', 'right', '-t', request, '-e', reply, '-m', '{}'],
          ...['--cafile', await write('ca.pem', broker.fixture.pki.trustAnchors)],
          ...['--cert', await write('cert.pem', identity.cert)],
          ...['--key', await write('key.pem', identity.key)],
        ],
        { timeout: 15_000 },
      );
      expect(JSON.parse(stdout)).toEqual(bundle);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
