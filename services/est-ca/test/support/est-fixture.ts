import {
  announceKey,
  createGrant,
  type EventType,
  getAccountSettings,
  type OperationError,
  type OperationInput,
  type SignetEvent,
  signBootstrap,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair, type KeyPair, parseCertificatePem } from '@signet/pki';
import { type DeviceServiceDeps, openBackbone, parseConfig, type Ticks } from '@signet/service';
import { type FixtureOptions, openTestFixture, type TestFixture } from '@signet/service/testing';
import { vi } from 'vitest';
import { type EstCaService, startEstCa } from '../../src/app.ts';
import { estCaConfig } from '../../src/config.ts';

/** A running EST service on embedded store and bus, and what a test does to it. */
export type EstFixture = AsyncDisposable & {
  readonly fixture: TestFixture;
  readonly service: EstCaService;
  /** Roots of the platform, PEM. */
  readonly anchors: string;
  /** Everything that was published, in order. */
  readonly events: readonly SignetEvent[];
  /** What was announced to the stand-in for provisioning, and what it fails with instead. */
  readonly provisioning: { readonly announced: Announcement[]; failure?: OperationError | undefined };
  /** The profile that the settings of each account name, as the stand-in for bootstrap says. */
  readonly handedOverTo: Map<string, string>;
  /** The first event that `which` picks, waited for. */
  event<T extends EventType>(type: T, which?: (event: SignetEvent<T>) => boolean): Promise<SignetEvent<T>>;
  bootstrapDevice(deviceId: string): Promise<BootstrapDevice>;
  grantFor(device: BootstrapDevice, options?: { account?: string; profile?: string }): Promise<string>;
  /** Another replica on the same store, bus and key folder; on servers with connections of its own. */
  startReplica(replaced?: Pick<Partial<DeviceServiceDeps>, 'now' | 'clock'>): Promise<EstCaService>;
};

export type BootstrapDevice = {
  readonly deviceId: string;
  readonly keys: KeyPair;
  readonly certificate: string;
  readonly fingerprint: string;
};

type Announcement = OperationInput<typeof announceKey>;

export const ACCOUNT = 'acme';

export async function openEstFixture(
  options: {
    readonly now?: () => number;
    readonly ticks?: Ticks;
    readonly env?: Record<string, string>;
  } & Pick<FixtureOptions, 'log' | 'store' | 'bus'> = {},
): Promise<EstFixture> {
  await using stack = new AsyncDisposableStack();
  const fixture = stack.use(
    await openTestFixture({
      serve: ['deny-list'],
      loaded: false,
      admission: {
        refuseWhenStale: false,
        trustDomain: options.env?.SIGNET_TRUST_DOMAIN ?? 'signet.local',
      },
      ...(options.now === undefined ? {} : { now: options.now }),
      ...(options.ticks === undefined ? {} : { ticks: options.ticks }),
      ...(options.log === undefined ? {} : { log: options.log }),
      ...(options.store === undefined ? {} : { store: options.store }),
      ...(options.bus === undefined ? {} : { bus: options.bus }),
    }),
  );
  const config = parseConfig(estCaConfig, {
    SIGNET_DATA_DIR: fixture.dataDir,
    SIGNET_EST_PORT: '0',
    SIGNET_EST_HTTP_PORT: '0',
    SIGNET_BIND: '127.0.0.1',
    ...options.env,
  });
  const { bus } = fixture.deps;
  const handedOverTo = new Map<string, string>();
  stack.use(
    await bus.serve(getAccountSettings, async ({ account }) => ({
      handsOver: 'either' as const,
      comesBack: 'unattended' as const,
      ...{ mqttCredentials: false, commandCertificate: true, certificateInBundle: true },
      ...{ voidedFactoryCaDenies: true, config: {} },
      ...(handedOverTo.has(account) ? { profile: handedOverTo.get(account) } : {}),
    })),
  );
  const events: SignetEvent[] = [];
  stack.use(
    await bus.tail(
      {
        types: [
          'CA_CREATED',
          'CA_CHANGED',
          'CERT_ISSUED',
          'CERT_RENEWED',
          'CERT_REVOKED',
          'CRL_PUBLISHED',
          'ENROLLMENT_REFUSED',
          'ENROLLMENT_REQUESTED',
          'ENROLLMENT_DECIDED',
          'DEVICE_PROFILE_CHANGED',
        ],
        from: 'start',
      },
      (event) => void events.push(event),
    ),
  );
  const provisioning: EstFixture['provisioning'] = { announced: [] };
  stack.use(
    await bus.serve(announceKey, async (announcement) => {
      if (provisioning.failure !== undefined) throw provisioning.failure;
      provisioning.announced.push(announcement);
      return { account: announcement.account, deviceId: announcement.deviceId, next: announcement.next };
    }),
  );
  const service = stack.use(await startEstCa(config, fixture.deps));
  await Promise.all([
    fixture.deps.admission.trust.whenLoaded(),
    fixture.deps.admission.denyList.whenLoaded(),
  ]);
  const rest = stack.move();
  return {
    fixture,
    service,
    anchors: fixture.deps.admission.trust.anchors().join(''),
    events,
    provisioning,
    handedOverTo,
    async event(type, which = () => true) {
      return vi.waitFor(
        () => {
          const found = events.find(
            (event) => event.type === type && which(event as SignetEvent<typeof type>),
          );
          if (found === undefined) throw new Error(`no such ${type} among ${events.length} events`);
          return found as SignetEvent<typeof type>;
        },
        { timeout: 15_000, interval: 20 },
      );
    },
    async bootstrapDevice(deviceId) {
      const keys = generateKeyPair('P-256');
      const csr = encodePem(
        'CERTIFICATE REQUEST',
        createCsr({ subject: { commonName: deviceId }, privateKey: keys.privateKey }),
      );
      const { results } = await bus.request(signBootstrap, { account: ACCOUNT, items: [{ csr, deviceId }] });
      const [result] = results;
      if (result === undefined || 'error' in result)
        throw new Error(`no bootstrap certificate: ${JSON.stringify(result)}`);
      return {
        deviceId,
        keys,
        certificate: result.certificate,
        fingerprint: parseCertificatePem(result.certificate).fingerprint,
      };
    },
    async grantFor({ deviceId, fingerprint }, { account = ACCOUNT, profile } = {}) {
      const made = await bus.request(createGrant, {
        account,
        deviceId,
        fingerprint,
        ...(profile === undefined ? {} : { profile }),
      });
      return made.grant;
    },
    async startReplica(replaced = {}) {
      const { store, bus: url } = options;
      if (store === undefined || url === undefined)
        return startEstCa(config, { ...fixture.deps, ...replaced });
      const { log, dataDir } = { log: fixture.deps.log, dataDir: fixture.dataDir };
      await using own = new AsyncDisposableStack();
      const backbone = own.use(await openBackbone({ store, bus: url, dataDir, name: 'replica', log }));
      const replica = own.use(await startEstCa(config, { ...fixture.deps, ...backbone, ...replaced }));
      const parts = own.move();
      return { ...replica, [Symbol.asyncDispose]: () => parts.disposeAsync() };
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
