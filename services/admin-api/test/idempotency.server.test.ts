import { randomUUID } from 'node:crypto';
import { openStore } from '@signet/store';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AnswerOnceDeps,
  answerOnce,
  type KeyedCall,
  keptAnswers,
} from '../src/domain/idempotency/answer-once.ts';

const mongo = requireServer('mongo');
const REPLICAS = 3;

describe.skipIf(mongo === '')('keyed calls over a server that speaks MongoDB’s protocol', () => {
  const stack = new AsyncDisposableStack();
  let replicas: AnswerOnceDeps[];
  beforeAll(async () => {
    const url = new URL(mongo);
    url.pathname = `/keyed-${randomUUID().slice(0, 8)}`;
    replicas = [];
    for (let i = 0; i < REPLICAS; i++) {
      const store = stack.use(await openStore({ url: url.href, publish: async () => {} }));
      const answers = await store.collection(keptAnswers);
      replicas.push({ answers, now: Date.now, onError: (error) => expect.unreachable(String(error)) });
    }
  });
  afterAll(() => stack.disposeAsync());

  const call = (): KeyedCall => ({
    ...{ key: randomUUID(), tokenId: '0'.repeat(16), token: 'sgn_x', request: ['POST', '/v1/tokens', {}] },
  });
  const at = (i: number) => replicas[i % REPLICAS] ?? expect.unreachable();

  it('are run once, whichever replicas they come to at once, and answered alike afterwards', async () => {
    const keyed = call();
    let runs = 0;
    const run = async () => ({ status: 201, body: { secret: `made ${++runs}` } });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) => answerOnce(at(i), keyed, run)),
    );
    expect(runs).toBe(1);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'running' });
    for (let i = 0; i < REPLICAS; i++)
      expect(await answerOnce(at(i), keyed, run)).toEqual({
        ...{ status: 201, body: { secret: 'made 1' }, isRepeated: true },
      });
    await expect(answerOnce(at(0), { ...keyed, request: ['other'] }, run)).rejects.toMatchObject({
      code: 'reused',
    });
    expect(runs).toBe(1);
  });

  it('that failed are run again, at another replica', async () => {
    const keyed = call();
    const fails = () => Promise.reject(new Error('away'));
    for (let i = 0; i < REPLICAS; i++) await expect(answerOnce(at(i), keyed, fails)).rejects.toThrow('away');
    const answer = await answerOnce(at(1), keyed, async () => ({ status: 204, body: undefined }));
    expect(answer).toEqual({ status: 204, body: undefined, isRepeated: false });
    expect(await answerOnce(at(2), keyed, fails)).toMatchObject({ status: 204, isRepeated: true });
  });
});
