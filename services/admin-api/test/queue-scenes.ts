import { randomUUID } from 'node:crypto';
import { newEvent, type SignetEvent } from '@signet/contracts';
import type { FixtureOptions } from '@signet/service/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';
import { isSigned, type Receiver, startReceiver } from './receiver.ts';

const env = {
  SIGNET_OUTWARD_PRIVATE: 'true',
  SIGNET_QUEUE_RETRY_SECONDS: '0,0',
  SIGNET_QUEUE_REDELIVER_SECONDS: '1',
};
const WITHIN_MS = 10_000;
const types = ['DEVICE_CONFIG_APPLIED', 'DEVICE_PUBKEY_CHANGE'];

/** What event queues do, on whatever store and bus. */
export function queueScenes(engine: string, fixture: () => FixtureOptions): void {
  describe(`event queues (${engine})`, () => {
    let stack: AsyncDisposableStack;
    let api: TestApi;
    let receiver: Receiver;
    let account: string;
    let queues: string;
    beforeEach(async () => {
      stack = new AsyncDisposableStack();
      account = `acme-${randomUUID().slice(0, 8)}`;
      queues = `/v1/accounts/${account}/queues`;
      receiver = stack.use(await startReceiver());
      api = stack.use(await startTestApi({ env, fixture: fixture(), accounts: [account] }));
    });
    afterEach(() => stack.disposeAsync());

    const publish = (...events: SignetEvent[]) => api.fixture.deps.bus.publish(events);
    const push = (name: string, url: string, only: readonly string[] | undefined = types) =>
      api.call('PUT', `${queues}/${name}`, { body: { kind: 'push', url, types: only } });
    const show = async (name: string) => (await api.call('GET', `${queues}/${name}`)).body;
    const versions = ({ received }: Receiver) => received.map(({ event }) => versionOf(event));

    function applied(version: number, of = account, deviceId = 'dev-1'): SignetEvent {
      return newEvent('DEVICE_CONFIG_APPLIED', {
        ...{ account: of, subject: deviceId, time: Date.now() },
        data: { deviceId, version },
      });
    }

    function pubkeyChange(): SignetEvent {
      const hash = 'a'.repeat(64);
      return newEvent('DEVICE_PUBKEY_CHANGE', {
        ...{ account, subject: 'dev-1', time: Date.now() },
        data: {
          deviceId: 'dev-1',
          NewPubKey: '-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----',
          ...{ newSerialNumber: '0a', newPublicKeyHash: hash },
        },
      });
    }

    const versionOf = (event: SignetEvent) =>
      event.type === 'DEVICE_CONFIG_APPLIED' ? event.data.version : undefined;

    describe('F41: a queue that pushes', () => {
      it('sends each event of its account and its types as a CloudEvent, signed, in order, from its creation on', async () => {
        await publish(applied(0));
        const stored = Date.now();
        await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(stored + 1));
        const { status, body } = await push('erp', receiver.url);
        expect([status, body]).toEqual([
          200,
          expect.objectContaining({ account, name: 'erp', kind: 'push', shape: 'cloudevents', types }),
        ]);
        const changed = pubkeyChange();
        const started = newEvent('DEVICE_ROTATION_STARTED', {
          ...{ account, subject: 'dev-1', time: Date.now() },
          data: { deviceId: 'dev-1', rotationId: 'x' },
        });
        await publish(applied(1), applied(9, 'globex'), started, changed, applied(2), applied(3));
        await vi.waitFor(() => expect(versions(receiver)).toEqual([1, undefined, 2, 3]), WITHIN_MS);
        const second = receiver.received[1];
        expect(second?.event).toEqual(changed);
        expect(second?.headers).toMatchObject({
          'content-type': 'application/cloudevents+json',
          'webhook-id': changed.id,
        });
        expect(Number(second?.headers['webhook-timestamp'])).toBeGreaterThan(Date.now() / 1000 - 60);
        expect(receiver.received.every((one) => isSigned(one, String(body.secret)))).toBe(true);

        await vi.waitFor(async () => expect(await show('erp')).toMatchObject({ pending: 0 }), WITHIN_MS);
        const state = await show('erp');
        expect(state).toMatchObject({
          deadLetters: 0,
          lastDelivered: { eventId: receiver.received[3]?.event.id },
        });
        expect(state).not.toHaveProperty('secret');
        expect(state).not.toHaveProperty('lastFailure');
        expect((await api.call('GET', queues)).body.items).toEqual([
          expect.not.objectContaining({ secret: expect.anything() }),
        ]);
      });

      it('is tried again with the same id, and what is never taken is a dead letter that operators retry', async () => {
        receiver.status = 503;
        await push('erp', receiver.url);
        const event = applied(1);
        await publish(event);
        await vi.waitFor(async () => expect(await show('erp')).toMatchObject({ deadLetters: 1 }), WITHIN_MS);
        expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual(
          Array(3).fill(event.id),
        );
        const state = await show('erp');
        expect(state).toMatchObject({
          pending: 0,
          lastFailure: { eventId: event.id, attempt: 3, error: 'status 503' },
        });
        const letters = await api.call('GET', `/v1/dead-letters?consumer=${String(state.consumer)}`);
        const [letter] = letters.body.items as { id: string }[];
        expect(letter).toMatchObject({ error: 'status 503', event: { id: event.id } });

        receiver.status = 204;
        await api.call('POST', `/v1/dead-letters/${letter?.id}/retry`);
        await vi.waitFor(() => expect(receiver.received).toHaveLength(4), WITHIN_MS);
        await vi.waitFor(
          async () => expect(await show('erp')).toMatchObject({ lastDelivered: { eventId: event.id } }),
          WITHIN_MS,
        );
        expect(await show('erp')).toMatchObject({ deadLetters: 0 });
      });

      it('that nobody answers holds up no other queue', async () => {
        const silent = stack.use(await startReceiver());
        silent.status = undefined;
        await push('silent', silent.url);
        await push('erp', receiver.url);
        await publish(applied(1), applied(2));
        await vi.waitFor(() => expect(versions(receiver)).toEqual([1, 2]), WITHIN_MS);
        await vi.waitFor(() => expect(silent.received).toHaveLength(1), WITHIN_MS);
        expect(await show('silent')).toMatchObject({ pending: 2 });
        await silent[Symbol.asyncDispose]();
      });

      it('goes on after a restart where it was', async () => {
        await push('erp', receiver.url);
        await publish(applied(1));
        await vi.waitFor(() => expect(versions(receiver)).toEqual([1]), WITHIN_MS);
        await api.stop();
        await publish(applied(2), applied(3));
        await api.startReplica();
        await vi.waitFor(() => expect(versions(receiver)).toEqual([1, 2, 3]), WITHIN_MS);
      });

      it('that is deleted sends nothing more, and one made under its name begins anew', async () => {
        await push('erp', receiver.url);
        await publish(applied(1));
        await vi.waitFor(() => expect(versions(receiver)).toEqual([1]), WITHIN_MS);
        expect((await api.call('DELETE', `${queues}/erp`)).status).toBe(204);
        await publish(applied(2));
        const stored = Date.now();
        await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(stored + 1));
        expect(await api.call('GET', `${queues}/erp`)).toMatchObject({
          status: 404,
          body: { code: 'unknown-queue', detail: `name: account "${account}" has no queue "erp"` },
        });
        await push('erp', receiver.url);
        await publish(applied(3));
        await vi.waitFor(() => expect(versions(receiver)).toEqual([1, 3]), WITHIN_MS);
      });

      it('can be given another URL, with the secret that it has', async () => {
        const { body } = await push('erp', 'http://127.0.0.1:1/gone');
        const again = await push('erp', receiver.url);
        expect(again).toMatchObject({ status: 200, body: { url: receiver.url, consumer: body.consumer } });
        expect(again.body).not.toHaveProperty('secret');
        await publish(applied(1));
        await vi.waitFor(() => expect(versions(receiver)).toEqual([1]), WITHIN_MS);
        expect(receiver.received.every((one) => isSigned(one, String(body.secret)))).toBe(true);
      });
    });

    describe('F41: a queue that is pulled', () => {
      type Batch = { position: number; event: SignetEvent }[];
      const pull = async (query: string, url = '') =>
        (await api.call('GET', `${url}${queues}/erp/events?${query}`)).body.items as Batch;
      const acknowledge = (position: number | undefined) =>
        api.call('POST', `${queues}/erp/ack`, { body: { position } });
      const ofBatch = (batch: Batch) => batch.map(({ event }) => versionOf(event));

      it('hands out the events of its account and its types from its creation on, in order, until they are acknowledged', async () => {
        await publish(applied(0));
        const made = await api.call('PUT', `${queues}/erp`, { body: { kind: 'pull', types } });
        expect(made.status).toBe(200);
        expect(made.body).not.toHaveProperty('secret');
        const changed = pubkeyChange();
        await publish(applied(1), applied(9, 'globex'), changed, applied(3));
        expect(await show('erp')).toMatchObject({ kind: 'pull', pending: 3 });

        const first = await pull('max=2');
        expect(ofBatch(first)).toEqual([1, undefined]);
        expect(first[1]?.event).toEqual(changed);
        expect(ofBatch(await pull('max=2'))).toEqual([1, undefined]);
        expect((await acknowledge(first[1]?.position)).status).toBe(204);
        expect((await acknowledge(first[1]?.position)).status).toBe(204);
        const second = await pull('');
        expect(ofBatch(second)).toEqual([3]);
        expect(await show('erp')).toMatchObject({ pending: 1, acknowledged: first[1]?.position });
        await acknowledge(second[0]?.position);
        expect(await show('erp')).toMatchObject({ pending: 0 });
        expect(await pull('waitSeconds=1')).toEqual([]);
      });

      it('is waited for, and what is acknowledged in part comes again from there, over a restart too', async () => {
        await api.call('PUT', `${queues}/erp`, { body: { kind: 'pull', types } });
        const waiting = pull('');
        await publish(applied(1), applied(2), applied(3));
        const first = await waiting;
        expect(versionOf(first[0]?.event as SignetEvent)).toBe(1);
        await acknowledge(first[0]?.position);
        await api.stop();
        const url = await api.startReplica();
        expect(ofBatch(await pull('', url))).toEqual([2, 3]);
      });

      it('takes no acknowledgement of what it did not hand out, and a queue that pushes cannot be pulled', async () => {
        await api.call('PUT', `${queues}/erp`, { body: { kind: 'pull', types } });
        await publish(applied(1));
        expect(await acknowledge(4711)).toMatchObject({
          status: 409,
          body: { code: 'not-handed-out', field: 'position' },
        });
        await push('pushing', receiver.url);
        expect(await api.call('GET', `${queues}/pushing/events`)).toMatchObject({
          status: 409,
          body: { code: 'not-a-pull-queue', detail: 'name: "pushing" is a queue that pushes' },
        });
      });
    });
  });
}
