import {
  authorizeToken,
  claimDevice,
  factorySign,
  identifyDevice,
  OperationError,
  returnTokenBudget,
  spendTokenBudget,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair } from '@signet/pki';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';

const keys = generateKeyPair('P-256');
const csrOf = (commonName: string, serialNumber?: string) =>
  encodePem(
    'CERTIFICATE REQUEST',
    createCsr({
      subject: { commonName, ...(serialNumber === undefined ? {} : { serialNumber }) },
      privateKey: keys.privateKey,
    }),
  );

let api: TestApi;
let stack: AsyncDisposableStack;
let now: number;
/** Serial numbers that the factory signed, in order, each as often as it did. */
let signed: string[];
let claimed: string[];
let failure: OperationError | undefined;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  now = Date.parse('2026-03-01T12:00:00Z');
  api = stack.use(await startTestApi({ fixture: { now: () => now } }));
  [signed, claimed, failure] = [[], [], undefined];
  const { bus } = api.fixture.deps;
  stack.use(
    await bus.serve(factorySign, async ({ items }) => {
      if (failure !== undefined) throw failure;
      return {
        results: items.map(({ deviceSerialNumber: serial = 'none' }) => {
          if (serial === 'BAD') return { error: { code: 'weak-key', message: 'csr: weak' } };
          signed.push(serial);
          return { error: { code: 'internal', message: 'counts: nobody knows whether it was made' } };
        }),
      };
    }),
  );
  stack.use(
    await bus.serve(identifyDevice, async ({ fingerprint = '' }) => ({
      fingerprint,
      deviceSerialNumber: `SN-${fingerprint.slice(0, 2)}`,
    })),
  );
  stack.use(
    await bus.serve(claimDevice, async ({ fingerprint = '' }) => {
      if (failure !== undefined) throw failure;
      claimed.push(fingerprint);
      throw new OperationError('unavailable', 'counts: nobody knows whether it was claimed');
    }),
  );
});
afterEach(() => stack.disposeAsync());

type Budget = { count?: number; notAfter?: string; serials?: string[] };

async function tokenWith(budget: Budget, role = 'factory'): Promise<{ id: string; token: string }> {
  const made = await api.call('POST', '/v1/tokens', {
    body: { name: 'line-1', grants: [{ account: 'acme', role }], budget },
  });
  expect(made.status).toBe(201);
  return { id: String(made.body.id), token: String(made.body.token) };
}

type Outcome = { code: string; message: string };

const sign = (token: string, ...serials: string[]) => signAt(api.url, token, ...serials);

async function signAt(url: string, token: string, ...serials: string[]): Promise<Outcome[]> {
  const items = serials.map((serial) => ({ csr: csrOf(serial), deviceSerialNumber: serial }));
  const path = `${url}/v1/accounts/acme/factory/certificates`;
  const answer = await api.call('POST', path, { token, body: { items } });
  expect(answer.status).toBe(201);
  return (answer.body.results as { error: Outcome }[]).map(({ error }) => error);
}

const claim = (token: string, fingerprint: string) =>
  api.call('POST', '/v1/accounts/acme/devices', { token, body: { fingerprint } });

const used = async (id: string) => (await api.call('GET', `/v1/tokens/${id}/budget`)).body.used;

const exhausted = (count: number) => ({
  code: 'budget-exhausted',
  message: `budget: all ${count} devices are used up`,
});

describe('the budget of a factory', () => {
  test('F87: after its count nothing more is made, and the reason is told', async () => {
    const { id, token } = await tokenWith({ count: 3 });
    expect((await sign(token, 'SN-1', 'SN-2')).map(({ code }) => code)).toEqual(['internal', 'internal']);
    const [third, fourth, fifth] = await sign(token, 'SN-3', 'SN-4', 'SN-5');
    expect(third).toMatchObject({ code: 'internal' });
    expect([fourth, fifth]).toEqual([exhausted(3), exhausted(3)]);
    expect(signed.toSorted()).toEqual(['SN-1', 'SN-2', 'SN-3']);
    expect(await used(id)).toBe(3);
  });

  test('F87: the same device asked for again costs nothing, also where the budget is used up', async () => {
    const { id, token } = await tokenWith({ count: 2 });
    await sign(token, 'SN-1', 'SN-1', 'SN-2');
    await sign(token, 'SN-2', 'SN-1');
    expect(await used(id)).toBe(2);
    expect(signed).toHaveLength(5);
    expect(await sign(token, 'SN-3')).toEqual([exhausted(2)]);
  });

  test('F87: what is refused for good is given back, what came to an unknown end is not', async () => {
    const { id, token } = await tokenWith({ count: 2 });
    for (let i = 0; i < 3; i++) expect(await sign(token, 'BAD')).toMatchObject([{ code: 'weak-key' }]);
    expect(await used(id)).toBe(0);
    failure = new OperationError('unavailable', 'away');
    const items = [{ csr: csrOf('SN-1') }];
    const away = await api.call('POST', '/v1/accounts/acme/factory/certificates', { token, body: { items } });
    expect(away.status).toBe(503);
    expect(await used(id)).toBe(1);
    failure = undefined;
    await sign(token, 'SN-1', 'SN-2');
    expect(await sign(token, 'SN-3')).toEqual([exhausted(2)]);
    expect(await used(id)).toBe(2);
  });

  test('F87: its time is over at the moment that it names', async () => {
    const { token } = await tokenWith({ notAfter: '2026-03-01T13:00:00Z' });
    expect(await sign(token, 'SN-1')).toMatchObject([{ code: 'internal' }]);
    now = Date.parse('2026-03-01T13:00:00Z');
    expect(await sign(token, 'SN-1')).toEqual([
      { code: 'budget-over', message: 'budget: its time was over at 2026-03-01T13:00:00Z' },
    ]);
  });

  test('F87: serial numbers off its list are refused, by whatever the CSR says of them', async () => {
    const { id, token } = await tokenWith({ serials: ['SN-0001..SN-0009', 'PROTO'], count: 5 });
    const refused = (serial: string) => ({
      code: 'serial-not-in-budget',
      message: `budget: serial number "${serial}" is not among those that it is for`,
    });
    const results = await sign(token, 'SN-0009', 'SN-0010', 'PROTO', 'PROTO2');
    expect(results.map(({ code }) => code)).toEqual([
      'internal',
      'serial-not-in-budget',
      'internal',
      'serial-not-in-budget',
    ]);
    expect(results[1]).toEqual(refused('SN-0010'));
    const items = [{ csr: csrOf('SN-0001', 'SN-0666') }, { csr: csrOf('SN-0002') }, { csr: 'no csr' }];
    const { body } = await api.call('POST', '/v1/accounts/acme/factory/certificates', {
      token,
      body: { items },
    });
    expect(body.results).toEqual([
      { error: refused('SN-0666') },
      { error: expect.objectContaining({ code: 'internal' }) },
      { error: { code: 'bad-pem', message: expect.stringContaining('csr: ') } },
    ]);
    expect(signed).toEqual(['SN-0009', 'PROTO', 'SN-0002']);
    expect(await used(id)).toBe(3);
  });

  test('F87: requests that race over two replicas make as many as the budget has, not one more', async () => {
    const { id, token } = await tokenWith({ count: 50 });
    const replica = await api.startReplica();
    const codes = (
      await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          signAt(
            i % 2 === 0 ? api.url : replica,
            token,
            ...Array.from({ length: 8 }, (_, k) => `SN-${i % 10}-${k}`),
          ),
        ),
      )
    ).flat();
    expect(new Set(signed).size).toBe(50);
    expect(await used(id)).toBe(50);
    expect(codes.filter(({ code }) => code === 'budget-exhausted').length).toBeGreaterThanOrEqual(30);
  });

  test('F87: a factory with a budget makes devices in no other account', async () => {
    const { token } = await tokenWith({ count: 5 });
    const path = '/v1/accounts/globex/factory/certificates';
    expect(await api.call('POST', path, { token, body: { items: [] } })).toMatchObject({ status: 403 });
  });
});

describe('the budget of an installer', () => {
  const fingerprint = (start: string) => start.padEnd(64, '0');

  test('F93: claims as many devices as it is for, the same one as often as it takes', async () => {
    const { id, token } = await tokenWith({ count: 2 }, 'installer');
    for (const which of ['aa', 'bb', 'aa']) expect((await claim(token, fingerprint(which))).status).toBe(503);
    expect(await claim(token, fingerprint('cc'))).toMatchObject({
      status: 403,
      body: { code: 'budget-exhausted', detail: 'budget: all 2 devices are used up' },
    });
    expect(claimed).toHaveLength(3);
    expect(await used(id)).toBe(2);
  });

  test('F93: a claim that is refused costs nothing', async () => {
    const { id, token } = await tokenWith({ count: 1 }, 'installer');
    failure = new OperationError('claimed-by-another', 'fingerprint: belongs to another account');
    expect(await claim(token, fingerprint('aa'))).toMatchObject({ status: 409 });
    expect(await used(id)).toBe(0);
  });

  test('F93: claims the devices on its list alone, until its time is over', async () => {
    const { token } = await tokenWith({ serials: ['SN-aa'], notAfter: '2026-03-02T00:00:00Z' }, 'installer');
    expect(await claim(token, fingerprint('aa'))).toMatchObject({ status: 503 });
    expect(await claim(token, fingerprint('bb'))).toMatchObject({
      status: 403,
      body: { code: 'serial-not-in-budget' },
    });
    now += 86_400_000;
    expect(await claim(token, fingerprint('aa'))).toMatchObject({
      status: 403,
      body: { code: 'budget-over' },
    });
  });
});

describe('what a budget may be', () => {
  test.each([
    [{}, 'budget', 'budget: give a count, a time or serial numbers'],
    [{ count: 0 }, 'budget.count', '>=1'],
    [{ serials: ['SN-9..SN-1'] }, 'budget.serials.0', 'its end comes before its beginning'],
    [{ notAfter: 'tomorrow' }, 'budget.notAfter', 'ISO datetime'],
  ])('refuses %j', async (budget, field, message) => {
    const body = { name: 'x', grants: [{ account: 'acme', role: 'factory' }], budget };
    const answer = await api.call('POST', '/v1/tokens', { body });
    expect(answer).toMatchObject({ status: 400, body: { field } });
    expect(String(answer.body.detail)).toContain(message);
  });

  test('is for factories, installers and registrars: no other role has one', async () => {
    const grants = [
      { account: 'acme', role: 'factory' },
      { account: 'acme', role: 'operator' },
    ];
    const answer = await api.call('POST', '/v1/tokens', {
      body: { name: 'x', grants, budget: { count: 1 } },
    });
    expect(answer).toMatchObject({
      status: 400,
      body: { field: 'budget', detail: 'budget: only the roles factory, installer and registrar have one' },
    });
  });

  test('is shown with the token, and asked for with what is used of it', async () => {
    const { id, token } = await tokenWith({ count: 2, serials: ['A1..A9'] });
    const { body } = await api.call('GET', '/v1/tokens');
    expect(body.items).toContainEqual(
      expect.objectContaining({ id, budget: { count: 2, serials: ['A1..A9'] } }),
    );
    expect(await api.call('GET', `/v1/tokens/${id}/budget`)).toMatchObject({
      status: 200,
      body: { budget: { count: 2 }, used: 0 },
    });
    expect(await api.call('GET', '/v1/tokens/0000000000000000/budget')).toMatchObject({ status: 404 });
    expect(await api.call('GET', `/v1/tokens/${id}/budget`, { token })).toMatchObject({ status: 403 });
  });
});

describe('the budget of a registrar', () => {
  const bus = () => api.fixture.deps.bus;
  const spend = (token: string, deviceId: string) =>
    bus().request(spendTokenBudget, { token, account: 'acme', deviceId });

  test('F87: registers as many devices as it has, each once; what was refused is given back, by its own token alone', async () => {
    const { id, token } = await tokenWith({ count: 2 }, 'registrar');
    const other = await tokenWith({ count: 1 }, 'registrar');
    const permission = 'devices:register';
    expect(await bus().request(authorizeToken, { token, permission, account: 'acme' })).toEqual({
      name: 'line-1',
      hasBudget: true,
    });
    const { use = '' } = await spend(token, 'dev-1');
    expect(await spend(token, 'dev-1')).toEqual({});
    await spend(token, 'dev-2');
    await expect(spend(token, 'dev-3')).rejects.toMatchObject(exhausted(2));
    await bus().request(returnTokenBudget, { token: other.token, use });
    expect(await used(id)).toBe(2);
    const unsettled = await spend(token, 'dev-2');
    expect(unsettled).toEqual({});
    await expect(
      spend(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`, 'dev-1'),
    ).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  test('F87: a device that was refused leaves its place to the next', async () => {
    const { id, token } = await tokenWith({ count: 1, serials: ['dev-1..dev-9'] }, 'registrar');
    const { use = '' } = await spend(token, 'dev-1');
    await bus().request(returnTokenBudget, { token, use });
    expect(await used(id)).toBe(0);
    await spend(token, 'dev-2');
    await expect(spend(token, 'dev-3')).rejects.toMatchObject(exhausted(1));
    await expect(spend(token, 'pump-1')).rejects.toMatchObject({ code: 'serial-not-in-budget' });
  });
});
