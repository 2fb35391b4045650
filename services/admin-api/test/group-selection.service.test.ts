import { listGroupDevices, OperationError, retireDevices } from '@signet/contracts';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';

let api: TestApi;
const stack = new AsyncDisposableStack();
let members: string[] | undefined;
let asked: { deviceIds?: string[] | undefined; group?: string | undefined }[];

beforeAll(async () => {
  api = stack.use(await startTestApi());
  const { bus } = api.fixture.deps;
  stack.use(
    await bus.serve(listGroupDevices, async ({ cursor = '0', limit }) => {
      if (members === undefined) throw new OperationError('unknown-group', 'group: unknown');
      const start = Number(cursor);
      const items = members.slice(start, start + limit).map((deviceId) => ({
        ...{ deviceId, since: new Date(0).toISOString() },
      }));
      const next = start + limit < members.length ? { next: String(start + limit) } : {};
      return { items, ...next };
    }),
  );
  stack.use(
    await bus.serve(retireDevices, async ({ deviceIds, group }) => {
      asked.push({ deviceIds, group });
      return { changed: deviceIds ?? ['claimed-into-it'], failed: [] };
    }),
  );
});
afterAll(() => stack.disposeAsync());
beforeEach(() => {
  asked = [];
});

const revoke = (body: object) => api.call('POST', '/v1/accounts/acme/devices/actions/revoke', { body });

it('F73: one call cuts all that are in a group now, those by their labels too, however many', async () => {
  members = Array.from({ length: 2500 }, (_, i) => `pump-${i}`);
  const { status, body } = await revoke({ group: 'hall-3' });
  expect([status, body]).toEqual([200, { changed: members, failed: [] }]);
  expect(asked.map(({ deviceIds }) => deviceIds?.length)).toEqual([1000, 1000, 500]);
});

it('a group that nobody made is named, and a name that no group can have is refused', async () => {
  members = undefined;
  expect(await revoke({ group: 'hall-4' })).toMatchObject({ status: 404, body: { code: 'unknown-group' } });
  expect(await revoke({ group: 'hall 4' })).toMatchObject({ status: 400, body: { code: 'invalid-input' } });
  expect(asked).toEqual([]);
});

it('F73: devices that are named beside a group are cut as well', async () => {
  members = ['pump-1'];
  expect((await revoke({ group: 'hall-3', deviceIds: ['pump-9'] })).body).toEqual({
    changed: ['pump-9', 'pump-1'],
    failed: [],
  });
});

it('an empty group is named, and nothing is changed', async () => {
  members = [];
  expect(await revoke({ group: 'hall-3' })).toMatchObject({
    status: 404,
    body: { code: 'unknown-device', detail: 'group: account "acme" has no device in "hall-3"' },
  });
  expect(asked).toEqual([]);
});
