import { claimDevice, OperationError, uuidv7 } from '@signet/contracts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { auditEntries } from '../src/domain/audit/audit-log.ts';
import { keptAnswers, purgeKeptAnswers } from '../src/domain/idempotency/answer-once.ts';
import { type Answer, startTestApi, type TestApi } from './api.ts';

const DAY = 86_400_000;
let api: TestApi;
let replica: string;
let now = Date.parse('2026-03-01T12:00:00Z');
let claims = 0;
/** What the next claim waits for, and fails with. */
let meanwhile: () => Promise<void> = async () => {};
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  api = stack.use(await startTestApi({ fixture: { now: () => now } }));
  replica = await api.startReplica();
  stack.use(
    await api.fixture.deps.bus.serve(claimDevice, async () => {
      claims++;
      await meanwhile();
      throw new OperationError('blocked', 'device: is blocked');
    }),
  );
});
afterAll(() => stack.disposeAsync());
beforeEach(() => {
  claims = 0;
  meanwhile = async () => {};
});

const newKey = () => uuidv7(now);
const make = (
  key: string,
  name = 'line-1',
  options: { token?: string; url?: string } = {},
): Promise<Answer> =>
  api.call('POST', `${options.url ?? ''}/v1/tokens`, {
    ...(options.token === undefined ? {} : { token: options.token }),
    body: { name, grants: [{ account: 'acme', role: 'viewer' }] },
    key,
  });
const tokensNamed = async (name: string) => {
  const { body } = await api.call('GET', '/v1/tokens?limit=1000');
  return (body.items as { name: string }[]).filter((item) => item.name === name).length;
};

describe('a POST with an Idempotency-Key', () => {
  it('is done once and answered alike, secret included, at every replica', async () => {
    const key = newKey();
    const first = await make(key, 'once');
    const second = await make(key, 'once', { url: replica });
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect(String(second.body.token)).toMatch(/^sgn_/);
    expect([first, second].map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true']);
    expect(await tokensNamed('once')).toBe(1);
    const stored = await (await api.fixture.deps.store.collection(keptAnswers)).find({ limit: 1000 });
    expect(JSON.stringify(stored.items)).not.toContain(String(first.body.token).slice(-20));
  });

  it('many at once make one; the others are told so, or that the first is under way', async () => {
    const key = newKey();
    const urls = [api.url, replica];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => make(key, 'many', { url: urls[i % 2] ?? '' })),
    );
    expect(await tokensNamed('many')).toBe(1);
    for (const { status, body, headers } of answers.filter((answer) => answer.status !== 201)) {
      expect({ status, code: body.code }).toEqual({ status: 409, code: 'idempotency-key-running' });
      expect(headers.get('retry-after')).toBe('1');
    }
    expect(await make(key, 'many')).toMatchObject({ status: 201 });
    expect(await tokensNamed('many')).toBe(1);
  });

  it('is refused where the key was used for another request, and is another caller’s own', async () => {
    const key = newKey();
    await make(key, 'mine');
    expect(await make(key, 'other')).toMatchObject({
      status: 422,
      body: { code: 'idempotency-key-reused', field: 'Idempotency-Key' },
    });
    const token = await api.tokenFor({ account: '*', role: 'admin' });
    expect(await make(key, 'theirs', { token })).toMatchObject({ status: 201, body: { name: 'theirs' } });
  });

  it('that failed may be tried again with the same key', async () => {
    const key = newKey();
    const claim = () =>
      api.call('POST', '/v1/accounts/acme/devices', { body: { fingerprint: 'ab'.repeat(32) }, key });
    for (const _ of [1, 2]) expect(await claim()).toMatchObject({ status: 409, body: { code: 'blocked' } });
    expect(claims).toBe(2);
  });

  it('is taken over from a replica that died in the middle, after as long as a call may take; forgotten after a day', async () => {
    const key = newKey();
    const under = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    meanwhile = () => {
      begun.resolve();
      return under.promise;
    };
    const claim = () =>
      api.call('POST', '/v1/accounts/acme/devices', { body: { fingerprint: 'cd'.repeat(32) }, key });
    const first = claim();
    await begun.promise;
    meanwhile = async () => {};
    expect(await claim()).toMatchObject({ status: 409, body: { code: 'idempotency-key-running' } });
    now += 600_000;
    expect(await claim()).toMatchObject({ body: { code: 'blocked' } });
    under.resolve();
    await first;
    const kept = newKey();
    await make(kept, 'for-a-day');
    now += DAY;
    await purgeKeptAnswers(await api.fixture.deps.store.collection(keptAnswers), now);
    await make(kept, 'for-a-day');
    expect(await tokensNamed('for-a-day')).toBe(2);
  });

  it.each(['', 'a b', 'x'.repeat(256)])('must have a key that is one: %j', async (key) => {
    expect(await make(key, 'none')).toMatchObject({ status: 400, body: { field: 'Idempotency-Key' } });
  });

  it('says in the audit that it was answered again, and means nothing for a GET', async () => {
    const key = newKey();
    await make(key, 'noted');
    await make(key, 'noted');
    const audit = await api.fixture.deps.store.collection(auditEntries);
    const { items } = await audit.find({ descending: true, limit: 10 });
    const notes = items.filter(({ path }) => path === '/v1/tokens').map(({ note }) => note);
    expect(notes).toContain('answered again, by its Idempotency-Key');
    expect(await api.call('GET', '/v1/tokens', { key })).toMatchObject({ status: 200 });
  });
});
