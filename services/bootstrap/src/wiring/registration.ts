import {
  certifyDevice,
  getDeviceKeys,
  OperationError,
  PLATFORM_ACCOUNT,
  renewDevice,
  revokeCertificates,
  signBootstrap,
  signRegistration,
} from '@signet/contracts';
import { below, type DeviceServiceDeps, type GateOptions, whenAvailable } from '@signet/service';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type AccountStates, type Devices, registrationCertificates, registrations } from '../collections.ts';
import type { BootstrapConfig } from '../config.ts';
import { RegistrationError } from '../domain/errors.ts';
import {
  enrolFlottaDevice,
  type FlottaDeps,
  isRemoved,
  recordFlottaContact,
  registerFlottaDevice as registerFlotta,
  renewFlottaDevice,
} from '../domain/flotta/flotta-device.ts';
import { registerLmpDevice } from '../domain/lmp/register-lmp-device.ts';
import { askForRegistration } from '../domain/registration/ask-for-registration.ts';
import type { CertifyDeps } from '../domain/registration/certify-registered.ts';
import { collectBootstrap } from '../domain/registration/collect-bootstrap.ts';
import { deviceIdOf, readCsr } from '../domain/registration/csr.ts';
import { requireActiveCertificate } from '../domain/registration/registration-certificate.ts';
import { inTurn } from '../domain/registration/request-limits.ts';
import { answersRefused, guardRoutes } from '../http/admitted-routes.ts';
import { type FlottaServices, flottaRoutes } from '../http/flotta-routes.ts';
import { type RegisterServices, registerRoutes } from '../http/register-routes.ts';
import { type LmpServices, signRoutes } from '../http/sign-routes.ts';
import { registrarOf } from '../messaging/registrar.ts';
import { serveRegistrations } from '../messaging/registrations.ts';

const HOUR_MS = 3_600_000;

const SIGN_DEADLINE_MS = 10_000;

/** Registration of devices that no factory of ours made. `guard` comes before all routes of the listener. */
export type Registration = AsyncDisposable & {
  readonly gate: GateOptions;
  readonly answersRefused: (request: FastifyRequest) => boolean;
  readonly guard: (app: FastifyInstance) => void;
  readonly routes: (app: FastifyInstance) => void;
};

export async function openRegistration(
  config: BootstrapConfig,
  { bus, admission, log, now, store }: DeviceServiceDeps,
  { devices, accountStates }: { readonly devices: Devices; readonly accountStates: AccountStates },
): Promise<Registration> {
  await using stack = new AsyncDisposableStack();
  const deps = {
    devices,
    accountStates,
    now,
    registrations: await whenAvailable(log, () => store.collection(registrations)),
    certificates: await whenAvailable(log, () => store.collection(registrationCertificates)),
    inTurn: inTurn(),
    waitMs: config.SIGNET_REGISTRATION_WAIT_HOURS * HOUR_MS,
    signBootstrap: bootstrapSigner(bus),
    ...certifier(bus),
    wasSeen: seenWithKey(bus),
  };
  const trustAnchors = (account: string) =>
    admission.trust
      .authorities()
      .filter(
        (authority) =>
          authority.kind === 'root' &&
          authority.state === 'active' &&
          (authority.account === PLATFORM_ACCOUNT || authority.account === account),
      )
      .map(({ certificate }) => certificate);
  stack.use(
    await serveRegistrations(bus, {
      ...deps,
      trustAnchors,
      sign: (wanted) => bus.request(signRegistration, wanted, { deadlineMs: SIGN_DEADLINE_MS }),
    }),
  );
  const refuse: RegisterServices['refuse'] = (facts) => admission.refusals.report(facts);
  const register: RegisterServices['register'] = async (registrant, request) => {
    const certificate = await requireActiveCertificate(deps.certificates, registrant);
    const csr = readCsr(request.csr);
    const { publicKeyHash, keyType } = csr;
    const document = await askForRegistration(deps, {
      certificate,
      deviceId: deviceIdOf(csr, request.deviceId),
      protocol: 'signet',
      key: { publicKeyHash, keyType },
      details: request.details ?? {},
      group: request.group,
      address: registrant.address,
    });
    const collected = await collectBootstrap(deps, document, request.csr);
    return { ...collected, trustAnchors: trustAnchors(registrant.account) };
  };
  const flotta: FlottaServices = {
    enrol: (newcomer, deviceId, enrolment) => enrolFlottaDevice(deps, newcomer, deviceId, enrolment),
    register: (newcomer, deviceId, csr) => registerFlotta(deps, newcomer, deviceId, csr),
    renew: (device, csr) => renewFlottaDevice(deps, device, csr),
    seen: (device) => recordFlottaContact(deps, device),
    isRemoved: (device) => isRemoved(devices, device),
    heartbeatSeconds: config.SIGNET_FLOTTA_HEARTBEAT_SECONDS,
    ...{ refuse, now },
  };
  const gateway = config.SIGNET_GATEWAY_URL;
  const ostree = config.SIGNET_OSTREE_URL ?? below(gateway, '/treehub');
  const lmp: LmpServices = {
    register: (request) => registerLmpDevice({ ...deps, gateway, ostree }, request),
    authorize: registrarOf(bus),
    refuse,
  };
  const rest = stack.move();
  return {
    gate: {
      listener: 'bootstrap',
      purposes: ['bootstrap', 'registration', 'operational'],
      allowAnonymous: true,
      allowExpired: true,
    },
    answersRefused,
    guard: (app) => guardRoutes(app, refuse),
    routes: (app) => {
      registerRoutes(app, { register, refuse, retrySeconds: config.SIGNET_BOOTSTRAP_RETRY_SECONDS });
      flottaRoutes(app, flotta);
      signRoutes(app, lmp);
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

function bootstrapSigner(bus: DeviceServiceDeps['bus']): CertifyDeps['signBootstrap'] {
  return async ({ account, ...item }) => {
    const signed = await bus.request(
      signBootstrap,
      { account, items: [item] },
      { deadlineMs: SIGN_DEADLINE_MS },
    );
    const [result] = signed.results;
    if (result === undefined) throw new OperationError('internal', 'est-ca answered nothing');
    if ('error' in result)
      throw new RegistrationError('malformed-request', result.error.message, { field: 'csr' });
    return { authorityId: signed.authorityId, chain: signed.chain, certificate: result.certificate };
  };
}

function certifier(bus: DeviceServiceDeps['bus']): Pick<FlottaDeps, 'certify' | 'renew' | 'supersede'> {
  return {
    renew: (wanted) => bus.request(renewDevice, wanted, { deadlineMs: SIGN_DEADLINE_MS }),
    certify: (wanted) =>
      bus.request(certifyDevice, wanted, { deadlineMs: SIGN_DEADLINE_MS }).catch(refusedCertificate),
    supersede: (which) =>
      bus.request(revokeCertificates, { ...which, reason: 'superseded', by: 'registration' }),
  };
}

function seenWithKey(bus: DeviceServiceDeps['bus']): CertifyDeps['wasSeen'] {
  return async ({ account, deviceId, publicKeyHash }) => {
    try {
      const { seen: hash } = await bus.request(getDeviceKeys, { account, deviceId });
      return hash !== undefined && hash === publicKeyHash;
    } catch (error) {
      if (error instanceof OperationError && error.code === 'unknown-device') return false;
      throw error;
    }
  };
}

/** What est-ca has against a certificate, as the device is told; that it is away passes. */
function refusedCertificate(cause: unknown): never {
  if (!(cause instanceof OperationError)) throw cause;
  const codes: Partial<Record<string, 'malformed-request' | 'revoked' | 'declined'>> = {
    'bad-csr': 'malformed-request',
    revoked: 'revoked',
    refused: 'declined',
    'unknown-profile': 'declined',
  };
  const code = codes[cause.code];
  throw code === undefined ? cause : new RegistrationError(code, cause.message, { cause });
}
