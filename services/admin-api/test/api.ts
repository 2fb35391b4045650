import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { parseConfig } from '@signet/service';
import { type FixtureOptions, openTestFixture, type TestFixture } from '@signet/service/testing';
import { startAdminApi } from '../src/app.ts';
import { adminApiConfig } from '../src/config.ts';
import { newToken } from '../src/domain/token/api-token.ts';
import type { RoleGrant } from '../src/domain/token/permission.ts';

export type Answer = { status: number; headers: Headers; body: Record<string, unknown> };

/** The API over real HTTP, on an embedded store and bus. */
export interface TestApi extends AsyncDisposable {
  readonly fixture: TestFixture;
  readonly url: string;
  /** A platform administrator's token. */
  readonly admin: string;
  call(
    method: string,
    path: string,
    options?: { token?: string | null; body?: unknown; key?: string },
  ): Promise<Answer>;
  /** Makes a token with these roles. */
  tokenFor(...grants: RoleGrant[]): Promise<string>;
  /** Another replica on the same store and bus; gives its URL. */
  startReplica(): Promise<string>;
  /** Stops the API alone; what it stands on goes on. */
  stop(): Promise<void>;
}

export async function startTestApi(
  options: {
    env?: Record<string, string>;
    fixture?: FixtureOptions;
    /** That are made before the test begins, besides `default`. */
    accounts?: readonly string[];
  } = {},
): Promise<TestApi> {
  await using stack = new AsyncDisposableStack();
  const fixture = stack.use(await openTestFixture(options.fixture));
  const admin = newToken();
  const config = parseConfig(adminApiConfig, {
    SIGNET_ADMIN_PORT: '0',
    SIGNET_ADMIN_TOKEN: admin,
    SIGNET_DATA_DIR: join(fixture.dataDir, 'admin-api'),
    ...options.env,
  });
  const api = stack.use(await startAdminApi(config, fixture.deps));
  const call: TestApi['call'] = async (method, path, { token = admin, body, key } = {}) => {
    const response = await fetch(new URL(path, api.url), {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    };
  };
  for (const account of options.accounts ?? ['acme', 'buyer', 'globex'])
    await call('POST', '/v1/accounts', { body: { account } });
  const rest = stack.move();
  return {
    fixture,
    url: api.url,
    admin,
    call,
    tokenFor: async (...grants) => {
      const { body } = await call('POST', '/v1/tokens', { body: { name: `t-${randomUUID()}`, grants } });
      return String(body.token);
    },
    startReplica: async () => rest.use(await startAdminApi(config, fixture.deps)).url,
    stop: async () => api[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
