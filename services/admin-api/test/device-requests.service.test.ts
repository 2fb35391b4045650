import {
  approveEnrollment,
  approveRegistration,
  declineRegistration,
  listEnrollmentRequests,
  listRegistrations,
  type OperationInput,
} from '@signet/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';

const time = '2026-03-01T12:00:00.000Z';
const hex = (n: number) => n.toString(16).padStart(32, '0');
const registration = (n: number) => ({
  ...{ requestId: `r-${hex(n)}`, account: 'acme', deviceId: `reg-${n}`, protocol: 'signet' as const },
  ...{ registrationCertificate: 'image', details: {}, state: 'waiting' as const, askedAt: time },
  expiresAt: time,
});
const enrollment = (n: number) => ({
  ...{ requestId: hex(n), account: 'acme', deviceId: `enr-${n}`, profile: 'acme', subject: 'CN=x' },
  ...{ publicKeyHash: 'ab'.repeat(32), keyType: 'P-256', renewal: false, state: 'waiting' as const },
  askedAt: time,
});

/** A list of five, in pages whose cursor is the place of the next one. */
function pages<T>(make: (n: number) => T) {
  return async ({ cursor, limit = 100 }: { cursor?: string | undefined; limit?: number }) => {
    const from = Number(cursor ?? 0);
    const items = [0, 1, 2, 3, 4].slice(from, from + limit).map(make);
    return { items, ...(from + limit < 5 ? { next: String(from + limit) } : {}) };
  };
}

let api: TestApi;
const stack = new AsyncDisposableStack();
const decided: OperationInput<typeof declineRegistration>[] = [];
beforeAll(async () => {
  api = stack.use(await startTestApi());
  const { bus } = api.fixture.deps;
  stack.use(await bus.serve(listRegistrations, pages(registration)));
  stack.use(await bus.serve(listEnrollmentRequests, pages(enrollment)));
  stack.use(
    await bus.serve(approveRegistration, async () => ({ ...registration(1), state: 'approved' as const })),
  );
  stack.use(
    await bus.serve(approveEnrollment, async () => ({ ...enrollment(1), state: 'approved' as const })),
  );
  stack.use(
    await bus.serve(declineRegistration, async (input) => {
      decided.push(input);
      return { ...registration(1), state: 'declined' as const };
    }),
  );
});
afterAll(() => stack.disposeAsync());

type Listed = { readonly items: { readonly deviceId: string }[]; readonly next?: string };
const BASE = '/v1/accounts/acme/requests';

describe('what devices ask operators for', () => {
  it.each([1, 2, 3, 5, 7, 10, 100])(
    'F4: both kinds in one list, each once, by pages of %i',
    async (limit) => {
      const seen: string[] = [];
      let cursor = '';
      do {
        const { status, body } = await api.call('GET', `${BASE}?limit=${limit}${cursor}`);
        expect(status).toBe(200);
        const { items, next } = body as Listed;
        expect(items.length).toBeLessThanOrEqual(limit);
        seen.push(...items.map(({ deviceId }) => deviceId));
        cursor = next === undefined ? '' : `&cursor=${next}`;
      } while (cursor !== '');
      const all = ['reg', 'enr'].flatMap((kind) => [0, 1, 2, 3, 4].map((n) => `${kind}-${n}`));
      expect(seen).toEqual(all);
    },
  );

  it('F4: one kind alone', async () => {
    for (const [kind, name] of [
      ['registration', 'reg'],
      ['enrollment', 'enr'],
    ]) {
      const { body } = await api.call('GET', `${BASE}?kind=${kind}`);
      const { items } = body as Listed;
      expect(items.map(({ deviceId }) => deviceId)).toEqual([0, 1, 2, 3, 4].map((n) => `${name}-${n}`));
    }
  });

  it('F4: one command for both: the id says which it is', async () => {
    const answers = [
      await api.call('POST', `${BASE}/r-${hex(1)}/approve`, { body: {} }),
      await api.call('POST', `${BASE}/${hex(1)}/approve`, { body: {} }),
    ];
    expect(answers.map(({ body }) => (body as { kind: string }).kind)).toEqual([
      'registration',
      'enrollment',
    ]);
    await api.call('POST', `${BASE}/r-${hex(1)}/decline`, { body: { reason: 'not ours' } });
    expect(decided).toMatchObject([{ account: 'acme', requestId: `r-${hex(1)}`, reason: 'not ours' }]);
    expect(await api.call('POST', `${BASE}/r-1/approve`, { body: {} })).toMatchObject({ status: 400 });
  });
});
