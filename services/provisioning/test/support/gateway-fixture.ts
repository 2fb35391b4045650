import { request } from 'node:https';
import {
  announceKey,
  type EventType,
  identifyDevices,
  listClaimedInto,
  newEvent,
  type OperationError,
  orderRenewal,
  type RevocationReason,
  type SignetEvent,
  settleClaimed,
  withdrawRenewal,
} from '@signet/contracts';
import { encodePem } from '@signet/pki';
import type { TestIdentity } from '@signet/pki/testing';
import { parseConfig } from '@signet/service';
import { openTestFixture, SwitchableStore, type TestFixture } from '@signet/service/testing';
import { expect, vi } from 'vitest';
import { startProvisioning } from '../../src/app.ts';
import { provisioningConfig } from '../../src/config.ts';

export const ACCOUNT = 'acme';

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
};

type Claim = { readonly deviceId: string; readonly group: string; readonly claimedAt: string };

export type Call = {
  method?: string;
  path: string;
  body?: unknown;
  /** A body as it is, in place of `body`. */
  text?: string;
  headers?: Record<string, string>;
  port?: number;
};

/** The provisioning service on embedded store and bus, with devices that speak to its gateway over mutual TLS. */
export type GatewayFixture = AsyncDisposable & {
  readonly fixture: TestFixture;
  readonly store: SwitchableStore;
  readonly bus: TestFixture['deps']['bus'];
  /** Orders that est-ca knows, by device: the id of the rotation. */
  readonly orders: Map<string, string>;
  /** Claims of the account whose groups wait to be read, as the stand-in for bootstrap says. */
  readonly claims: Claim[];
  /** One request on a connection of its own. */
  call(identity: TestIdentity | undefined, call: Call): Promise<Answer>;
  startReplica(): Promise<number>;
  /** Tells of a certificate as est-ca does; `minute` is when it was issued. */
  issued(identity: TestIdentity, minute?: number): Promise<void>;
  revoked(identity: TestIdentity, reason?: RevocationReason): Promise<void>;
  connected(identity: TestIdentity): Promise<void>;
  /** A renewal by `current`, announced as est-ca does before it answers. */
  announce(current: TestIdentity, next: TestIdentity, minute?: number): Promise<OperationError | undefined>;
  events<T extends EventType>(type: T, count: number): Promise<SignetEvent<T>[]>;
};

const start = Date.now();
const at = (minute: number) => start + minute * 60_000;

export async function openGatewayFixture(
  options: {
    readonly env?: Record<string, string>;
    readonly now?: () => number;
    /** Whether the test says itself which devices there are; else each that is named is the account's. */
    readonly identifies?: boolean;
  } = {},
): Promise<GatewayFixture> {
  await using stack = new AsyncDisposableStack();
  const { now } = options;
  const fixture = stack.use(
    await openTestFixture(now === undefined ? {} : { now, admission: { refuseWhenStale: false } }),
  );
  const { bus } = fixture.deps;
  if (options.identifies !== true)
    stack.use(
      await bus.serve(identifyDevices, async ({ account, deviceIds }) => ({
        devices: account === ACCOUNT ? deviceIds.map(known) : [],
      })),
    );
  const claims: Claim[] = [];
  const orders = new Map<string, string>();
  stack.use(
    await bus.serve(orderRenewal, async ({ deviceId, rotationId }) => {
      orders.set(deviceId, rotationId);
      return {};
    }),
  );
  stack.use(
    await bus.serve(withdrawRenewal, async ({ deviceId }) => {
      orders.delete(deviceId);
      return {};
    }),
  );
  stack.use(
    await bus.serve(listClaimedInto, async ({ account, group }) => ({
      items: account === ACCOUNT ? claims.filter((claim) => (group ?? claim.group) === claim.group) : [],
    })),
  );
  stack.use(
    await bus.serve(settleClaimed, async ({ claims: settled }) => {
      for (const { deviceId } of settled) {
        const at = claims.findIndex((claim) => claim.deviceId === deviceId);
        if (at >= 0) claims.splice(at, 1);
      }
      return { gone: [] };
    }),
  );
  const store = new SwitchableStore(fixture.deps.store);
  const deps = { ...fixture.deps, store };
  const config = parseConfig(provisioningConfig, {
    SIGNET_DATA_DIR: fixture.dataDir,
    SIGNET_GATEWAY_PORT: '0',
    SIGNET_BIND: '127.0.0.1',
    ...options.env,
  });
  const service = stack.use(await startProvisioning(config, deps));
  const port = service.ports.gateway ?? 0;
  const rest = stack.move();
  return {
    fixture,
    store,
    bus,
    claims,
    orders,
    call: (identity, call) => send(fixture, identity, { port, ...call }),
    async startReplica() {
      return rest.use(await startProvisioning(config, deps)).ports.gateway ?? 0;
    },
    issued: (identity, minute = 0) => bus.publish([tell('CERT_ISSUED', identity, at(minute))]),
    revoked: (identity, reason = 'keyCompromise') =>
      bus.publish([tell('CERT_REVOKED', identity, Date.now(), reason)]),
    connected: (identity) => bus.publish([tell('DEVICE_CONNECTED', identity, Date.now())]),
    announce: (current, next, minute = 1) =>
      bus
        .request(announceKey, {
          account: ACCOUNT,
          deviceId: deviceIdOf(next),
          currentPublicKeyHash: current.certificate.publicKeyHash,
          next: { ...keyOf(next), since: new Date(at(minute)).toISOString() },
        })
        .then(
          () => undefined,
          (error: OperationError) => error,
        ),
    async events(type, count) {
      const seen: SignetEvent[] = [];
      await using _tail = await bus.tail({ types: [type], from: 'start' }, (event) => void seen.push(event));
      await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(count), { timeout: 10_000 });
      return seen as SignetEvent<typeof type>[];
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

const known = (deviceId: string) => ({
  ...{ deviceId, fingerprint: 'ab'.repeat(32), account: ACCOUNT, factoryAccount: ACCOUNT },
});

export function publicKeyOf({ certificate }: TestIdentity): string {
  return encodePem('PUBLIC KEY', certificate.spkiDer);
}

function deviceIdOf({ certificate }: TestIdentity): string {
  return certificate.subject.commonName ?? '';
}

function keyOf(identity: TestIdentity) {
  const { publicKeyHash, serialNumber } = identity.certificate;
  return { publicKey: publicKeyOf(identity), publicKeyHash, serialNumber };
}

function tell(
  type: 'CERT_ISSUED' | 'CERT_REVOKED' | 'DEVICE_CONNECTED',
  identity: TestIdentity,
  time: number,
  reason: RevocationReason = 'keyCompromise',
): SignetEvent {
  const { fingerprint, authorityKeyId, notBefore, notAfter } = identity.certificate;
  const deviceId = deviceIdOf(identity);
  const session = { sessionId: 's-1', node: 'broker-1', address: '192.0.2.17' };
  const data = {
    ...{ ...keyOf(identity), deviceId, fingerprint, issuerKeyId: authorityKeyId, profile: ACCOUNT },
    notBefore: new Date(notBefore).toISOString(),
    notAfter: new Date(notAfter).toISOString(),
    ...{ ...session, reason, by: 'ada' },
  };
  return newEvent(type, { account: ACCOUNT, subject: deviceId, data: data as never, time });
}

function send(
  { pki }: TestFixture,
  identity: TestIdentity | undefined,
  { method, path, body, headers = {}, port, ...raw }: Call & { port: number },
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const text = raw.text ?? (body === undefined ? undefined : JSON.stringify(body));
  const outgoing = request(
    {
      ...{ host: '127.0.0.1', port, path, agent: false, ca: pki.trustAnchors },
      method: method ?? (text === undefined ? 'GET' : 'PATCH'),
      headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(identity === undefined ? {} : { cert: identity.cert, key: identity.key }),
    },
    (response) => {
      let received = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        received += chunk;
      });
      response.on('error', reject).on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: received });
      });
    },
  );
  outgoing.on('error', reject).end(text);
  return promise;
}
