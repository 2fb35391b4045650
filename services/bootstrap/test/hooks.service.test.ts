import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  getHook,
  listNotifications,
  removeHook,
  resetDevices,
  retryNotification,
  setHook,
} from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ACCOUNT, type BootstrapFixture, openBootstrapFixture } from './support/bootstrap-fixture.ts';

let scene: BootstrapFixture;

beforeEach(async () => {
  scene = await openBootstrapFixture({ SIGNET_OUTWARD_PRIVATE: 'true' });
});

afterEach(() => scene[Symbol.asyncDispose]());

const ada = { account: ACCOUNT, by: 'ada' };

const ask: BootstrapFixture['fixture']['deps']['bus']['request'] = (...given) =>
  scene.fixture.deps.bus.request(...given);

describe('F65: the onboarding hook', () => {
  test('is told once of each onboarding, signed, however often the device gets its handoff and the hook refuses', async () => {
    await using receiver = await Receiver.open((count) => (count <= 2 ? 500 : 204));
    await ask(setHook, { ...ada, url: receiver.url });
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    await Promise.all([scene.bootstrap(identity), scene.bootstrap(identity)]);
    await scene.bootstrap(identity);
    const delivered = () => ask(listNotifications, { account: ACCOUNT, state: 'delivered' });
    await vi.waitFor(async () => expect((await delivered()).items).toHaveLength(1), 15_000);
    expect((await delivered()).items[0]).toMatchObject({ deviceId: 'pump-1', attempts: 3 });
    expect(new Set(receiver.calls.map(({ id }) => id)).size).toBe(1);
    expect(receiver.calls).toHaveLength(3);
    expect(JSON.parse(receiver.calls[2]?.body ?? '')).toMatchObject({
      type: 'device.onboarded',
      data: { account: ACCOUNT, deviceId: 'pump-1', fingerprint },
    });
    await ask(resetDevices, { ...ada, deviceIds: ['pump-1'] });
    await scene.bootstrap(identity);
    await vi.waitFor(async () => expect((await delivered()).items).toHaveLength(2), 15_000);
    expect(new Set(receiver.calls.map(({ id }) => id)).size).toBe(2);
  });

  test('of two replicas one sends', async () => {
    await using receiver = await Receiver.open(() => 200);
    await scene.startReplica();
    await ask(setHook, { ...ada, url: receiver.url });
    for (let n = 0; n < 5; n++) {
      const { fingerprint, identity } = await scene.make(`pump-${n}`);
      await scene.claim(fingerprint);
      await scene.bootstrap(identity);
    }
    const delivered = () => ask(listNotifications, { account: ACCOUNT, state: 'delivered' });
    await vi.waitFor(async () => expect((await delivered()).items).toHaveLength(5), 15_000);
    expect(receiver.calls).toHaveLength(5);
  });

  test('that redirects, or answers 500 to the last, is given up, and tried again when an operator says so', async () => {
    let status = 302;
    await using receiver = await Receiver.open(() => status);
    await ask(setHook, { ...ada, url: receiver.url });
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    await scene.bootstrap(identity);
    const dead = () => ask(listNotifications, { account: ACCOUNT, state: 'dead' });
    await vi.waitFor(async () => expect((await dead()).items).toHaveLength(1), 15_000);
    const [one] = (await dead()).items;
    expect(one).toMatchObject({ error: 'status 302: redirects are not followed' });
    status = 200;
    const retry = { ...ada, notificationId: one?.notificationId ?? '' };
    await expect(ask(retryNotification, { ...retry, account: 'rival' })).rejects.toMatchObject({
      code: 'unknown-notification',
    });
    await ask(retryNotification, retry);
    await vi.waitFor(async () => expect((await dead()).items).toHaveLength(0), 15_000);
  });

  test('that hangs holds up neither handoffs nor the hook of another account', async () => {
    await using hanging = await Receiver.open(() => undefined);
    await using receiver = await Receiver.open(() => 200);
    await ask(setHook, { ...ada, url: hanging.url });
    await ask(setHook, { account: 'buyer', by: 'bob', url: receiver.url });
    for (let n = 0; n < 6; n++) {
      const { fingerprint, identity } = await scene.make(`slow-${n}`);
      await scene.claim(fingerprint);
      expect((await scene.bootstrap(identity)).status).toBe(200);
    }
    await vi.waitFor(() => expect(hanging.calls.length).toBeGreaterThan(0), 10_000);
    const { fingerprint, identity } = await scene.make('quick-1');
    await scene.claim(fingerprint, { account: 'buyer' });
    await scene.bootstrap(identity);
    await vi.waitFor(() => expect(receiver.calls).toHaveLength(1), 5000);
    expect(hanging.calls.length).toBeLessThanOrEqual(4);
  });

  test('is removed with what is on its way, and known to its own account alone', async () => {
    await ask(setHook, { ...ada, url: 'https://hooks.example/x' });
    expect(await ask(getHook, { account: ACCOUNT })).toMatchObject({ url: 'https://hooks.example/x' });
    await expect(ask(getHook, { account: 'rival' })).rejects.toMatchObject({ code: 'no-hook' });
    await ask(removeHook, ada);
    await expect(ask(removeHook, ada)).rejects.toMatchObject({ code: 'no-hook' });
  });
});

describe('F65: a hook in a network that is not public', () => {
  test.each([
    ['http://hooks.example/x', 'url: https: expected'],
    ['https://127.0.0.1/x', 'url: 127.0.0.1 is a private address'],
    ['https://[::1]/x', 'url: ::1 is a private address'],
    ['https://169.254.169.254/latest', 'url: 169.254.169.254 is a private address'],
  ])('is refused: %s', async (url, message) => {
    await using strict = await openBootstrapFixture();
    const set = strict.fixture.deps.bus.request(setHook, { ...ada, url });
    await expect(set).rejects.toMatchObject({ code: 'bad-url', message });
  });

  test('is not called where its name leads there, and the account is told why', async () => {
    await using strict = await openBootstrapFixture();
    const { bus } = strict.fixture.deps;
    await bus.request(setHook, { ...ada, url: 'https://localhost:1/hook' });
    const { fingerprint, identity } = await strict.make('pump-1');
    await strict.claim(fingerprint);
    expect((await strict.bootstrap(identity)).status).toBe(200);
    await vi.waitFor(async () => {
      const { items } = await bus.request(listNotifications, { account: ACCOUNT, state: 'due' });
      const error = expect.stringMatching(
        /^(127\.0\.0\.1|::1) is a private address; SIGNET_OUTWARD_PRIVATE allows them$/,
      );
      expect(items).toMatchObject([{ deviceId: 'pump-1', error }]);
    }, 10_000);
  });
});

/** A back end of an account; `undefined` for an answer that never comes. */
class Receiver implements AsyncDisposable {
  readonly calls: { readonly id: string; readonly body: string }[] = [];
  readonly #server: Server;
  readonly url: string;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  }

  static async open(statusOf: (count: number) => number | undefined): Promise<Receiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const receiver = new Receiver(server);
    server.on('request', async (request: IncomingMessage, response) => {
      const body = (await Array.fromAsync(request)).join('');
      expect(request.headers['webhook-signature']).toMatch(/^v1,/);
      expect(request.headers['idempotency-key']).toBe(request.headers['webhook-id']);
      receiver.calls.push({ id: String(request.headers['webhook-id']), body });
      const status = statusOf(receiver.calls.length);
      if (status !== undefined) response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end();
    });
    return receiver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
