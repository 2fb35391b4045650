import { COMMAND_TYPE, mqttSubject } from '@signet/contracts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';
import { type CommandOwners, serveCommandOwners, states } from './command-owners.ts';

let api: TestApi;
let owners: CommandOwners;
const stack = new AsyncDisposableStack();
const sent: string[] = [];
beforeAll(async () => {
  api = stack.use(await startTestApi());
  const { bus } = api.fixture.deps;
  owners = stack.use(await serveCommandOwners(bus));
  stack.use(
    await bus.consumeDownlink(async ({ subject, payload }) => {
      if (subject === mqttSubject('acme', 'dev-1', 'down', ['command']))
        sent.push(Buffer.from(payload).toString());
    }),
  );
});
afterAll(() => stack.disposeAsync());

const send = (body: object, device = 'dev-1') =>
  api.call('POST', `/v1/accounts/acme/devices/${device}/commands`, { body });

describe('F22: commands to devices', () => {
  it('are signed for the one device and sent to it; the audit names them', async () => {
    const before = Math.floor(Date.now() / 1000);
    const answer = await send({ name: 'reboot', payload: { in: 5 }, expiresInSeconds: 60 });
    expect(answer).toMatchObject({ status: 201, body: { id: expect.stringMatching(/^[0-9a-f]{8}-.{4}-7/) } });
    const { id } = answer.body;
    expect(owners.signed).toMatchObject([
      {
        ...{ account: 'acme', type: COMMAND_TYPE },
        claims: { account: 'acme', deviceId: 'dev-1', id, name: 'reboot', payload: { in: 5 } },
      },
    ]);
    const { iat, exp } = owners.signed[0]?.claims ?? {};
    expect(iat).toBeGreaterThanOrEqual(before);
    expect(exp).toBe(Number(iat) + 60);
    await vi.waitFor(() => expect(sent).toEqual(['head.body.tail']));
    const { body } = await api.call('GET', '/v1/accounts/acme/audit');
    expect(body.items).toContainEqual(expect.objectContaining({ note: `command reboot ${String(id)}` }));
  });

  it.each([
    ['name', { name: '../sh' }],
    ['name', { name: 'x'.repeat(65) }],
    ['payload', { name: 'x', payload: 'y'.repeat(16_384) }],
    ['expiresInSeconds', { name: 'x', expiresInSeconds: 0 }],
    ['expiresInSeconds', { name: 'x', expiresInSeconds: 604_801 }],
  ])('are refused by name: %s', async (field, body) => {
    expect(await send(body)).toMatchObject({ status: 400, body: { field } });
  });

  it('are refused for a device that would not hear them', async () => {
    const body = { name: 'reboot' };
    expect(await send(body, 'dev-9')).toMatchObject({ status: 404, body: { code: 'unknown-device' } });
    for (const device of ['dev-2', 'dev-3'])
      expect(await send(body, device)).toMatchObject({
        status: 409,
        body: { code: 'device-not-in-service', detail: `deviceId: "${device}" is ${states[device]}` },
      });
    owners.commandCertificate = false;
    expect(await send(body)).toMatchObject({ status: 409, body: { code: 'commands-off' } });
    owners.commandCertificate = true;
  });
});
