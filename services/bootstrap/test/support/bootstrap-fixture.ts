import { request } from 'node:https';
import {
  claimDevice,
  commandCertificate,
  createGrant,
  type EventType,
  factorySign,
  listGroupDevices,
  listProfiles,
  newEvent,
  OperationError,
  type OperationOutput,
  type SignetEvent,
  signBootstrap,
} from '@signet/contracts';
import {
  createCsr,
  decodePem,
  encodePem,
  generateKeyPair,
  type KeyPair,
  NO_END,
  parseCsr,
} from '@signet/pki';
import { makeCertificate, type TestIdentity, testKeyId } from '@signet/pki/testing';
import { parseConfig } from '@signet/service';
import { openTestFixture, SwitchableStore, type TestFixture } from '@signet/service/testing';
import { expect, vi } from 'vitest';
import { startBootstrap } from '../../src/app.ts';
import { bootstrapConfig } from '../../src/config.ts';

export const ACCOUNT = 'acme';

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: what a service answered, asserted by the test
  readonly body: any;
};

const PROFILE = {
  ...{ authentication: 'grant', keyKinds: ['P-256'], validityDays: 90, subject: 'fixed', dnsNames: [] },
  ...{ otherNames: 'leave-out', expiredGraceDays: 0, popLinking: false, approval: 'none' },
  ...{ attestation: 'none', responseWrapping: 'auto', serverKeygen: false, csrAttributes: 'list' },
  ...{ requiredExtensions: [], requiredAttributes: [], stored: true },
} as const satisfies Partial<OperationOutput<typeof listProfiles>['items'][number]>;

/** A device of the factory: its bootstrap certificate with its key. */
export type MadeDevice = {
  readonly fingerprint: string;
  readonly identity: Pick<TestIdentity, 'cert' | 'key'>;
};

/** The bootstrap service on embedded store and bus, with stand-ins for what it asks of est-ca. */
export type BootstrapFixture = AsyncDisposable & {
  readonly fixture: TestFixture;
  /** The store as the service has it. */
  readonly store: SwitchableStore;
  /** What the stand-in for est-ca fails with, and what it does before it answers. */
  readonly estCa: {
    failure?: OperationError | undefined;
    meanwhile?: (() => Promise<unknown>) | undefined;
    /** Id of the factory CA that signs; default `factory-1`, which no listener has pinned. */
    authorityId?: string;
  };
  /** Names of the enrollment profiles of every account. */
  readonly profiles: Set<string>;
  /** By `<account>/<group>`: the devices that provisioning has in it. A claim through the fixture puts its device there. */
  readonly groups: Map<string, Set<string>>;
  /** Grants that were made, in order. */
  readonly grants: readonly { readonly account: string; readonly deviceId: string; readonly grant: string }[];
  make(deviceId: string): Promise<MadeDevice>;
  claim(
    fingerprint: string,
    options?: { account?: string; group?: string; deviceId?: string },
  ): Promise<unknown>;
  /** `POST /v1/bootstrap` on a connection of its own. */
  bootstrap(identity?: Pick<TestIdentity, 'cert' | 'key'>, port?: number, body?: unknown): Promise<Answer>;
  /** The device is seen at the broker. */
  connected(deviceId: string): Promise<void>;
  /** Another replica; gives its port. */
  startReplica(): Promise<number>;
  /** Waits until so many events of a type are on the bus. */
  events<T extends EventType>(type: T, count: number): Promise<SignetEvent<T>[]>;
};

export async function openBootstrapFixture(env: Record<string, string> = {}): Promise<BootstrapFixture> {
  await using stack = new AsyncDisposableStack();
  const fixture = stack.use(await openTestFixture());
  const { bus, now } = fixture.deps;
  const { pki } = fixture;
  const estCa: BootstrapFixture['estCa'] = {};
  const grants: { account: string; deviceId: string; grant: string }[] = [];
  const profiles = new Set(['default']);
  const groups = new Map<string, Set<string>>();
  stack.use(
    await bus.serve(listGroupDevices, async ({ account, group }) => {
      const members = groups.get(`${account}/${group}`);
      if (members === undefined) throw new OperationError('unknown-group', `group: no group "${group}"`);
      const since = new Date(now()).toISOString();
      return { items: [...members].map((deviceId) => ({ deviceId, since })) };
    }),
  );
  stack.use(
    await bus.serve(listProfiles, async ({ account }) => ({
      items: [...profiles].map((name) => ({ ...PROFILE, account, name, label: `${account}.${name}` })),
    })),
  );
  stack.use(
    await bus.serve(createGrant, async ({ account, deviceId }) => {
      if (estCa.failure !== undefined && estCa.failure.code !== 'no-issuing-ca') throw estCa.failure;
      const grant = `grant-${grants.length}`;
      grants.push({ account, deviceId, grant });
      await estCa.meanwhile?.();
      return {
        label: account,
        username: deviceId,
        grant,
        expiresAt: new Date(now() + 600_000).toISOString(),
        trustAnchors: [pki.root.pem],
      };
    }),
  );
  stack.use(
    await bus.serve(commandCertificate, async () => {
      if (estCa.failure?.code === 'no-issuing-ca') throw estCa.failure;
      return { certificate: pki.root.pem, chain: [pki.root.pem] };
    }),
  );
  stack.use(
    await bus.serve(signBootstrap, async ({ items }) => {
      if (estCa.failure !== undefined) throw estCa.failure;
      const results = items.map(({ csr, deviceSerialNumber }) => {
        const { publicKey, subject } = parseCsr(decodePem(csr, 'CERTIFICATE REQUEST'));
        const { commonName = 'none' } = subject;
        if (commonName === 'bad') return { error: { code: 'bad-identity', message: 'csr: no device id' } };
        const certificate = makeCertificate({
          subject: { commonName, serialNumber: deviceSerialNumber ?? commonName },
          publicKey,
          issuer: pki.factory.certificate.subject,
          signingKey: pki.factory.privateKey,
          authorityKeyId: pki.factory.certificate.subjectKeyId,
          subjectKeyId: testKeyId(publicKey),
          notBefore: now() - 300_000,
          notAfter: NO_END,
          keyUsage: ['digitalSignature'],
        });
        return { certificate: certificate.pem() };
      });
      await estCa.meanwhile?.();
      return {
        authorityId: estCa.authorityId ?? 'factory-1',
        chain: [pki.factory.pem, pki.root.pem],
        trustAnchors: [pki.root.pem],
        results,
      };
    }),
  );
  const config = parseConfig(bootstrapConfig, {
    SIGNET_DATA_DIR: fixture.dataDir,
    SIGNET_BOOTSTRAP_PORT: '0',
    SIGNET_BIND: '127.0.0.1',
    SIGNET_HOOK_RETRY_SECONDS: '0,0,0',
    ...env,
  });
  const store = new SwitchableStore(fixture.deps.store);
  const deps = { ...fixture.deps, store };
  const service = stack.use(await startBootstrap(config, deps));
  const port = service.ports.bootstrap ?? 0;
  const rest = stack.move();
  return {
    fixture,
    store,
    estCa,
    profiles,
    groups,
    grants,
    async make(deviceId) {
      const keys = generateKeyPair('P-256');
      const { results } = await bus.request(factorySign, {
        account: ACCOUNT,
        items: [{ csr: csrOf(deviceId, keys) }],
        by: 'factory',
      });
      const [made] = results;
      if (made === undefined || 'error' in made) throw new Error(JSON.stringify(made));
      const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      return { fingerprint: made.fingerprint, identity: { cert: made.certificate, key } };
    },
    async claim(fingerprint, { account = ACCOUNT, ...more } = {}) {
      const device = await bus.request(claimDevice, { account, fingerprint, by: 'ada', ...more });
      const name = `${account}/${more.group}`;
      if (more.group !== undefined) groups.set(name, (groups.get(name) ?? new Set()).add(device.deviceId));
      return device;
    },
    bootstrap: (identity, to = port, body = {}) => post(fixture, to, identity, body),
    async connected(deviceId) {
      const { certificate } = pki.operational(ACCOUNT, deviceId);
      const { fingerprint, publicKeyHash, serialNumber, authorityKeyId: issuerKeyId } = certificate;
      const data = {
        ...{ deviceId, fingerprint, publicKeyHash, serialNumber, issuerKeyId },
        ...{ sessionId: 's-1', node: 'broker-1', address: '192.0.2.17' },
      };
      const facts = { account: ACCOUNT, subject: deviceId, data: data as never, time: now() };
      await bus.publish([newEvent('DEVICE_CONNECTED', facts)]);
    },
    async startReplica() {
      return rest.use(await startBootstrap(config, deps)).ports.bootstrap ?? 0;
    },
    async events(type, count) {
      const seen: SignetEvent[] = [];
      await using _tail = await bus.tail({ types: [type], from: 'start' }, (event) => void seen.push(event));
      await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(count), { timeout: 10_000 });
      return seen as SignetEvent<typeof type>[];
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

export function csrOf(deviceId: string, { privateKey }: KeyPair): string {
  return encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName: deviceId }, privateKey }));
}

function post(
  { pki }: TestFixture,
  port: number,
  identity: Pick<TestIdentity, 'cert' | 'key'> | undefined,
  body: unknown,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = { host: '127.0.0.1', port, path: '/v1/bootstrap', method: 'POST', agent: false };
  const tls = {
    ca: pki.trustAnchors,
    ...(identity === undefined ? {} : { cert: identity.cert, key: identity.key }),
  };
  request({ ...options, ...tls, headers: { 'content-type': 'application/json' } }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('error', reject).on('end', () => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) });
    });
  })
    .on('error', reject)
    .end(JSON.stringify(body));
  return promise;
}
