import { newEvent } from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { endedQueues, queueStates } from '../src/domain/queue/queue-record.ts';
import { startTestApi, type TestApi } from './api.ts';
import { queueScenes } from './queue-scenes.ts';
import { startReceiver } from './receiver.ts';

queueScenes('embedded', () => ({}));

const QUEUES = '/v1/accounts/acme/queues';
const url = 'https://erp.example/events';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const push = (name: string, types: readonly string[]) =>
  api.call('PUT', `${QUEUES}/${name}`, { body: { kind: 'push', url, types } });

describe('a queue that was deleted', () => {
  it('leaves nothing behind: consumer, dead letters, position; whoever deleted it may be gone', async () => {
    let ahead = 0;
    await using receiver = await startReceiver();
    receiver.status = 500;
    const env = { SIGNET_OUTWARD_PRIVATE: 'true', SIGNET_QUEUE_RETRY_SECONDS: '0' };
    await using other = await startTestApi({ env, fixture: { now: () => Date.now() + ahead } });
    const { bus, store } = other.fixture.deps;
    const called = { kind: 'push', url: receiver.url, types: ['DEVICE_CONFIG_APPLIED'] };
    const { body } = await other.call('PUT', `${QUEUES}/erp`, { body: called });
    const consumer = String(body.consumer);
    const data = { deviceId: 'dev-1', version: 1 };
    const event = newEvent('DEVICE_CONFIG_APPLIED', {
      ...{ account: 'acme', subject: 'dev-1', time: Date.now(), data },
    });
    await bus.publish([event]);
    await vi.waitFor(async () => expect(await bus.deadLetters.list(consumer)).toHaveLength(1), 10_000);
    await other.call('DELETE', `${QUEUES}/erp`);
    const ended = await store.collection(endedQueues);
    expect(await ended.get(consumer)).toBeDefined();
    await other.stop();
    ahead = 61_000;
    await other.startReplica();
    await vi.waitFor(async () => expect(await ended.get(consumer)).toBeUndefined(), 10_000);
    expect(await bus.deadLetters.list(consumer)).toEqual([]);
    expect(await (await store.collection(queueStates)).get(consumer)).toBeUndefined();
  });
});

describe('what is refused of a queue', () => {
  it.each([
    [{}, 400, 'kind'],
    [{ kind: 'push' }, 400, 'url'],
    [{ kind: 'pull', url: 'https://erp.example' }, 400, 'url'],
    [{ kind: 'push', url: 'ftp://erp.example' }, 400, 'url'],
    [{ kind: 'push', url: 'https://erp.example', types: ['DEVICE_EXPLODED'] }, 400, 'types'],
    [{ kind: 'push', url: 'https://erp.example', types: [] }, 400, 'types'],
    [{ kind: 'push', url: 'https://erp.example', shape: 'xml' }, 400, 'shape'],
  ])('%j', async (body, status, field) => {
    const answer = await api.call('PUT', `${QUEUES}/erp`, { body });
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).toContain(field);
  });

  it('a private address, unless they are allowed', async () => {
    for (const [called, why] of [
      ['https://10.1.2.3/x', 'url: 10.1.2.3 is a private address'],
      ['http://erp.example/x', 'url: https: expected'],
    ])
      expect(await api.call('PUT', `${QUEUES}/erp`, { body: { kind: 'push', url: called } })).toMatchObject({
        status: 422,
        body: { code: 'bad-url', detail: why, field: 'url' },
      });
  });

  it('another kind or other types under a name that is taken, and more than ten', async () => {
    await push('q-0', ['DEVICE_BLOCKED']);
    expect(await api.call('PUT', `${QUEUES}/q-0`, { body: { kind: 'pull' } })).toMatchObject({
      status: 409,
      body: { code: 'queue-exists', field: 'kind' },
    });
    expect(await push('q-0', ['DEVICE_CLAIMED'])).toMatchObject({
      status: 409,
      body: { code: 'queue-exists', field: 'types' },
    });
    for (let i = 1; i < 10; i++) expect((await push(`q-${i}`, ['DEVICE_BLOCKED'])).status).toBe(200);
    expect(await push('q-10', ['DEVICE_BLOCKED'])).toMatchObject({
      status: 409,
      body: { code: 'too-many-queues', field: 'account' },
    });
  });
});
