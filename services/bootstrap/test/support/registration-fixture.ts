import { request } from 'node:https';
import {
  certifyDevice,
  createRegistrationCertificate,
  getDeviceKeys,
  OperationError,
  type OperationInput,
  renewDevice,
  revokeCertificates,
  signRegistration,
} from '@signet/contracts';
import { createCsr, decodePem, EKU, encodePem, generateKeyPair, type KeyPair, parseCsr } from '@signet/pki';
import { makeCertificate, testKeyId } from '@signet/pki/testing';
import { ACCOUNT, type Answer, type BootstrapFixture, openBootstrapFixture } from './bootstrap-fixture.ts';

export type Identity = { readonly cert: string; readonly key: string };

/** The bootstrap service with stand-ins for what registrations ask of est-ca. */
export type RegistrationFixture = AsyncDisposable & {
  readonly base: BootstrapFixture;
  readonly port: number;
  /** A registration certificate as the CLI makes one. */
  registrationCertificate(
    options?: Partial<OperationInput<typeof createRegistrationCertificate>>,
  ): Promise<Identity & { readonly fingerprint: string }>;
  /** What was asked of est-ca for operational certificates. */
  readonly certified: OperationInput<typeof certifyDevice>[];
  readonly renewed: OperationInput<typeof renewDevice>[];
  readonly revoked: string[];
  /** By `<account>/<device>`: the hash of the key that a device came to broker or gateway with. */
  readonly seenKeys: Map<string, string>;
  /** Done before the stand-in for est-ca answers with an operational certificate. */
  certifying: { meanwhile?: (() => Promise<unknown>) | undefined };
  /** Fails what est-ca is asked for renewals with. */
  renewal: { failure?: OperationError | undefined };
  call(
    method: string,
    path: string,
    options?: {
      readonly identity?: Identity | undefined;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ): Promise<Answer>;
};

const DAY = 86_400_000;

export async function openRegistrationFixture(): Promise<RegistrationFixture> {
  await using stack = new AsyncDisposableStack();
  const base = stack.use(await openBootstrapFixture());
  const { pki, deps } = base.fixture;
  const { bus, now } = deps;
  const certified: OperationInput<typeof certifyDevice>[] = [];
  const renewed: OperationInput<typeof renewDevice>[] = [];
  const revoked: string[] = [];
  const renewal: RegistrationFixture['renewal'] = {};
  const certifying: RegistrationFixture['certifying'] = {};
  const pem = (csr: string) => parseCsr(decodePem(csr, 'CERTIFICATE REQUEST'));
  const operational = (wanted: { account: string; deviceId: string; csr: string; ou?: string | undefined }) =>
    makeCertificate({
      subject: {
        commonName: wanted.deviceId,
        organization: wanted.account,
        ...(wanted.ou === undefined ? {} : { organizationalUnit: wanted.ou }),
      },
      publicKey: pem(wanted.csr).publicKey,
      issuer: pki.issuing.certificate.subject,
      signingKey: pki.issuing.privateKey,
      authorityKeyId: pki.issuing.certificate.subjectKeyId,
      subjectKeyId: testKeyId(pem(wanted.csr).publicKey),
      notBefore: now() - 300_000,
      notAfter: now() + 90 * DAY,
      keyUsage: ['digitalSignature'],
      extKeyUsage: [EKU.clientAuth],
      uris: [`spiffe://signet.local/${wanted.account}/device/${wanted.deviceId}`],
    });
  const answer = (certificate: ReturnType<typeof operational>) => ({
    certificate: certificate.pem(),
    chain: [pki.issuing.pem, pki.root.pem],
    trustAnchors: [pki.root.pem],
    notAfter: new Date(certificate.notAfter).toISOString(),
  });
  stack.use(
    await bus.serve(signRegistration, async ({ account, name, csr, validityDays }) => {
      const { publicKey } = pem(csr);
      const certificate = makeCertificate({
        subject: { commonName: 'register', organization: account, serialNumber: name },
        publicKey,
        issuer: pki.factory.certificate.subject,
        signingKey: pki.factory.privateKey,
        authorityKeyId: pki.factory.certificate.subjectKeyId,
        subjectKeyId: testKeyId(publicKey),
        notBefore: now() - 300_000,
        notAfter: now() + validityDays * DAY,
        keyUsage: ['digitalSignature'],
        extKeyUsage: [EKU.clientAuth, EKU.registration],
      });
      return { certificate: certificate.pem(), chain: [pki.factory.pem, pki.root.pem] };
    }),
  );
  stack.use(
    await bus.serve(certifyDevice, async (wanted) => {
      certified.push(wanted);
      await certifying.meanwhile?.();
      return answer(operational({ ...wanted, ou: wanted.organizationalUnit }));
    }),
  );
  const seenKeys = new Map<string, string>();
  stack.use(
    await bus.serve(getDeviceKeys, async ({ account, deviceId }) => {
      const seen = seenKeys.get(`${account}/${deviceId}`);
      if (seen === undefined) throw new OperationError('unknown-device', 'deviceId: no key is known');
      return { account, deviceId, seen };
    }),
  );
  stack.use(
    await bus.serve(renewDevice, async (wanted) => {
      renewed.push(wanted);
      if (renewal.failure !== undefined) throw renewal.failure;
      return answer(operational(wanted));
    }),
  );
  stack.use(
    await bus.serve(revokeCertificates, async ({ serialNumber, deviceId }) => {
      const ofDevice = certified.flatMap((each) => (each.deviceId === deviceId ? [each.serialNumber] : []));
      const serials = serialNumber === undefined ? ofDevice : [serialNumber];
      revoked.push(...serials);
      return { revoked: serials };
    }),
  );
  const port = await base.startReplica();
  const rest = stack.move();
  let made = 0;
  return {
    base,
    port,
    certified,
    renewed,
    revoked,
    renewal,
    certifying,
    seenKeys,
    async registrationCertificate(options = {}) {
      const keys = generateKeyPair('P-256');
      const name = `line-${made++}`;
      const { certificate, registration } = await bus.request(createRegistrationCertificate, {
        account: ACCOUNT,
        name,
        csr: requestFor(name, keys),
        by: 'ada',
        ...options,
      });
      return { cert: certificate, key: keyPem(keys), fingerprint: registration.certificateId };
    },
    call: (method, path, options = {}) => call(pki.trustAnchors, port, method, path, options),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** A CSR in PEM with this CN. */
export function requestFor(commonName: string, { privateKey }: KeyPair): string {
  return encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName }, privateKey }));
}

export function keyPem({ privateKey }: KeyPair): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function call(
  ca: string,
  port: number,
  method: string,
  path: string,
  options: NonNullable<Parameters<RegistrationFixture['call']>[2]>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { identity, body, headers = {} } = options;
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  const tls = { ca, ...(identity === undefined ? {} : { cert: identity.cert, key: identity.key }) };
  const target = { host: '127.0.0.1', port, path, method, agent: false as const };
  const json = text === undefined ? {} : { 'content-type': 'application/json' };
  request({ ...target, ...tls, headers: { ...json, ...headers } }, (response) => {
    let received = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      received += chunk;
    });
    response.on('error', reject).on('end', () => {
      const parsed = received === '' ? undefined : JSON.parse(received);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
    });
  })
    .on('error', reject)
    .end(text);
  return promise;
}
