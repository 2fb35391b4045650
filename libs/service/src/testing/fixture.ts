import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Authority,
  type DenyTarget,
  issueServerCertificate,
  listAuthorities,
  newEvent,
} from '@signet/contracts';
import { decodePem, EKU, parseCsr } from '@signet/pki';
import {
  createTestPki,
  makeCertificate,
  type TestAuthority,
  type TestPki,
  testKeyId,
} from '@signet/pki/testing';
import { type AdmissionOptions, openAdmission } from '../admission.ts';
import { type Backbone, openBackbone } from '../backbone.ts';
import type { DeviceServiceDeps } from '../deps.ts';
import { Health } from '../health.ts';
import { createLogger, type Logger } from '../logger.ts';
import { startMetrics } from '../telemetry.ts';
import type { Ticks } from '../ticks.ts';
import { TestDenyAuthority } from './deny-authority.ts';

/** What a device-facing service stands on, for its tests: real store, local bus and admission, test CAs. */
export interface TestFixture extends AsyncDisposable {
  readonly deps: DeviceServiceDeps;
  readonly pki: TestPki;
  readonly dataDir: string;
  readonly backbone: Backbone;
  exposition(): Promise<string>;
  readonly denyAuthority: TestDenyAuthority;
  /** Denies by name; resolves once the change is on the bus. */
  deny(...targets: readonly DenyTarget[]): Promise<void>;
  /** Makes these the platform's CAs; the admission hears of it at its next refresh. */
  setAuthorities(authorities: readonly TestAuthority[]): void;
  /** Publishes `CA_CREATED` for this one. */
  announce(authority: TestAuthority): Promise<void>;
}

export type FixtureOptions = {
  readonly pki?: TestPki;
  readonly now?: () => number;
  readonly ticks?: Ticks;
  readonly log?: Logger;
  /** `local` (default), or the URL of a NATS server: fixtures on one server, of one PKI, are nodes of one platform. */
  readonly bus?: string;
  /** A SQLite file of its own (default), or the URL of a MongoDB server with a database of this test's. */
  readonly store?: string;
  /** Which operations of other services are answered here, from the test CAs and an empty deny list. Default: all. */
  readonly serve?: readonly ('authorities' | 'server-certificates' | 'deny-list')[];
  readonly admission?: Partial<AdmissionOptions>;
  /** Resolve only when CAs and deny list are loaded. Default true. */
  readonly loaded?: boolean;
};

export async function openTestFixture(options: FixtureOptions = {}): Promise<TestFixture> {
  const {
    pki = createTestPki(),
    now = Date.now,
    serve = ['authorities', 'server-certificates', 'deny-list'],
    log = createLogger({ service: 'test', level: 'silent' }),
  } = options;
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), 'signet-fixture-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const health = new Health();
  const backbone = stack.use(
    await openBackbone({
      store: options.store ?? `sqlite:${join(dataDir, 'signet.db')}`,
      bus: options.bus ?? 'local',
      dataDir,
      name: 'test',
      log,
      health,
    }),
  );
  const { bus, store } = backbone;
  let authorities = pki.authorities;
  const denyAuthority = new TestDenyAuthority(bus, now);
  if (serve.includes('authorities'))
    stack.use(await bus.serve(listAuthorities, async () => ({ authorities: authorities.map(listed) })));
  if (serve.includes('server-certificates'))
    stack.use(await bus.serve(issueServerCertificate, async (input) => issue(pki, input)));
  if (serve.includes('deny-list'))
    for (const subscription of await denyAuthority.serve()) stack.use(subscription);

  const { metrics, exposition } = startMetrics();
  const common = { store, bus, log, now, health, metrics, ticks: options.ticks };
  const admission = stack.use(
    await openAdmission({ ...common, dataDir, trustDomain: pki.trustDomain, ...options.admission }),
  );
  if (options.loaded ?? true)
    await Promise.all([admission.trust.whenLoaded(), admission.denyList.whenLoaded()]);
  const rest = stack.move();
  return {
    deps: { ...common, admission },
    pki,
    dataDir,
    backbone,
    exposition,
    denyAuthority,
    deny: (...targets) => denyAuthority.deny(...targets),
    setAuthorities(changed) {
      authorities = changed;
    },
    async announce(authority) {
      const { account, certificate: _, ...data } = listed(authority);
      await bus.publish([newEvent('CA_CREATED', { account, subject: data.authorityId, data, time: now() })]);
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

function listed({ certificate, kind, account, state, pem }: TestAuthority): Authority {
  const subjectKeyId = certificate.subjectKeyId ?? '';
  const notAfter = new Date(certificate.notAfter).toISOString();
  return {
    authorityId: `${kind}-${subjectKeyId.slice(0, 8)}`,
    kind,
    account,
    state,
    certificate: pem,
    subjectKeyId,
    notAfter,
  };
}

function issue({ server }: TestPki, input: { readonly csr: string; readonly names: readonly string[] }) {
  const { publicKey } = parseCsr(decodePem(input.csr, 'CERTIFICATE REQUEST'));
  const certificate = makeCertificate({
    subject: { commonName: input.names[0] ?? 'server' },
    publicKey,
    issuer: server.certificate.subject,
    signingKey: server.privateKey,
    authorityKeyId: server.certificate.subjectKeyId,
    subjectKeyId: testKeyId(publicKey),
    notBefore: Date.now() - 300_000,
    notAfter: Date.now() + 90 * 86_400_000,
    keyUsage: ['digitalSignature'],
    extKeyUsage: [EKU.serverAuth],
    names: input.names,
  });
  return {
    certificate: certificate.pem(),
    chain: [server.pem],
    notAfter: new Date(certificate.notAfter).toISOString(),
  };
}
