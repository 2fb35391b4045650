import {
  changeProfile,
  createGrant,
  createProfile,
  type Device,
  dryRunProfile,
  getDevice,
  listProfiles,
  OperationError,
  type ProfileChanges,
  registerRoot,
  removeProfile,
  requestAuthority,
  setDeviceProfile,
  uploadAuthority,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { openOwnRoot } from './support/own-root.ts';
import { enrolledDevice, expectRefusal } from './support/scene.ts';

const DAY = 86_400_000;
let time = Date.now();
let est: EstFixture;
const stack = new AsyncDisposableStack();
/** What the keeper of devices answers, by fingerprint and by id. */
const devices = new Map<string, Pick<Device, 'deviceId' | 'account' | 'state'>>();

beforeAll(async () => {
  est = stack.use(await openEstFixture({ now: () => time }));
  stack.use(
    await est.fixture.deps.bus.serve(getDevice, async ({ deviceId, fingerprint }) => {
      const found = devices.get(fingerprint ?? deviceId ?? '');
      if (found === undefined) throw new OperationError('unknown-device', 'no such device');
      return {
        ...found,
        factoryAccount: ACCOUNT,
        fingerprint: fingerprint ?? '0'.repeat(64),
        deviceSerialNumber: found.deviceId,
        certificate: '-----BEGIN CERTIFICATE-----\n',
        manufacturedAt: new Date(time).toISOString(),
      };
    }),
  );
});
afterAll(() => stack.disposeAsync());

const create = (name: string, settings: ProfileChanges = {}, account = ACCOUNT) =>
  est.fixture.deps.bus.request(createProfile, { account, name, settings, by: 'ada' });
const path = (name: string, operation = 'simpleenroll') => `/.well-known/est/${ACCOUNT}.${name}/${operation}`;
const newKey = () => generateKeyPair('P-256').privateKey;

async function handedOver(deviceId: string, profile?: string) {
  const device = await est.bootstrapDevice(deviceId);
  const grant = await est.grantFor(device, profile === undefined ? {} : { profile });
  return {
    device,
    basic: [deviceId, grant] as const,
    identity: { certificate: device.certificate, privateKey: device.keys.privateKey },
  };
}

describe('operators keep profiles', () => {
  it('make, list, change and remove them', async () => {
    const { bus } = est.fixture.deps;
    const made = await create('line', { validityDays: 30, keyKinds: ['P-384', 'P-256'] });
    expect(made.profile).toMatchObject({
      label: 'acme.line',
      validityDays: 30,
      stored: true,
      approval: 'none',
    });
    const { items } = await bus.request(listProfiles, { account: ACCOUNT });
    expect(items.map(({ label, stored }) => [label, stored])).toEqual(
      expect.arrayContaining([
        ['acme', false],
        ['acme.line', true],
      ]),
    );
    const change = (settings: ProfileChanges, name = 'line') =>
      bus.request(changeProfile, { account: ACCOUNT, name, settings, by: 'ada' });
    expect((await change({ renewalWindowDays: 10 })).profile).toMatchObject({
      validityDays: 30,
      renewalWindowDays: 10,
    });
    expect((await change({ renewalWindowDays: null })).profile.renewalWindowDays).toBeUndefined();
    await bus.request(removeProfile, { account: ACCOUNT, name: 'line', by: 'ada' });
    await expect(change({})).rejects.toMatchObject({ code: 'unknown-profile', field: 'name' });
    expect((await call(est, { path: path('line', 'csrattrs') })).status).toBe(404);
  });

  it('change the default one, which is stored by that', async () => {
    const { bus } = est.fixture.deps;
    const wanted = { account: 'umbrella', name: 'default', settings: { validityDays: 7 }, by: 'ada' };
    expect((await bus.request(changeProfile, wanted)).profile).toMatchObject({
      label: 'umbrella',
      stored: true,
      validityDays: 7,
    });
    const { items } = await bus.request(listProfiles, { account: 'umbrella' });
    expect(items.map(({ label }) => label)).toEqual(['umbrella']);
  });

  it.each([
    ['that exists', 'twice', {}, 'profile-exists', /has a profile "twice"/],
    [
      'whose validity its CA cannot give',
      'eternal',
      { validityDays: 36_500 },
      'invalid-profile',
      /^validityDays: 36500 days are past the end of CA "issuing"/,
    ],
    [
      'whose renewals its CA cannot give',
      'eternal',
      { renewedValidityDays: 36_500 },
      'invalid-profile',
      /^renewedValidityDays: /,
    ],
    [
      'whose window is longer than its validity',
      'wide',
      { validityDays: 10, renewalWindowDays: 11 },
      'invalid-profile',
      /^renewalWindowDays: 11 days are longer/,
    ],
    [
      'that asks for a signature no preferred key gives',
      'odd',
      { keyKinds: ['RSA'], signatureAlgorithms: ['Ed25519'] },
      'invalid-profile',
      /^signatureAlgorithms: none fits/,
    ],
    [
      'that asks for a signature in template form',
      'odd',
      { csrAttributes: 'template', signatureAlgorithms: ['ecdsa-with-SHA256'] },
      'invalid-profile',
      /RFC 9908/,
    ],
    [
      'that has a template for a Subject that is kept',
      'odd',
      { subject: 'keep', subjectAttributes: { state: 'x' } },
      'invalid-profile',
      /^subjectAttributes: /,
    ],
    [
      'whose pattern is no DNS name',
      'odd',
      { dnsNames: ['no name'] },
      'invalid-profile',
      /^dnsNames: "no name"/,
    ],
    [
      'whose webhook is in the clear',
      'odd',
      { webhook: { url: 'http://203.0.113.9/' } },
      'invalid-profile',
      /^webhook\.url: https/,
    ],
    [
      'whose webhook is at a private address',
      'odd',
      { webhook: { url: 'https://10.0.0.7/' } },
      'invalid-profile',
      /^webhook\.url: 10\.0\.0\.7 is a private address/,
    ],
    [
      'that says an attribute twice',
      'odd',
      { requiredAttributes: ['1.2.840.113549.1.9.7'] },
      'invalid-profile',
      /set popLinking instead/,
    ],
  ] as const)('are refused one %s', async (_, name, settings, code, message) => {
    if (name === 'twice') await create('twice');
    await expect(create(name, settings as unknown as ProfileChanges)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it.each(['cacerts', 'csrattrs', 'simpleenroll', 'simplereenroll', 'fullcmc', 'serverkeygen', 'signet'])(
    'are refused a label that is "%s" (RFC 7030 §3.2.2)',
    async (account) => {
      await expect(create('default', {}, account)).rejects.toMatchObject({
        code: 'invalid-profile',
        field: 'name',
        message: expect.stringMatching(/cannot be a label/),
      });
    },
  );

  it('are refused a setting that there is none of', async () => {
    await expect(create('misspelt', { validityDay: 3 } as ProfileChanges)).rejects.toMatchObject({
      code: 'invalid-input',
    });
  });

  it('try one on a CSR, with every reason against it, lints among them, before it is made', async () => {
    const csr = encodePem(
      'CERTIFICATE REQUEST',
      createCsr({ subject: { commonName: 'dev-x' }, privateKey: newKey() }),
    );
    const dryRun = (settings: ProfileChanges, deviceId: string) =>
      est.fixture.deps.bus.request(dryRunProfile, {
        account: ACCOUNT,
        name: 'planned',
        deviceId,
        csr,
        settings,
      });
    const good = await dryRun(
      { validityDays: 30, approval: 'first', dnsNames: ['{device}.example'] },
      'dev-x',
    );
    expect(good).toMatchObject({
      refusals: [],
      approval: true,
      certificate: {
        subject: { commonName: 'dev-x', organization: ACCOUNT },
        subjectAltNames: ['URI:spiffe://signet.local/acme/device/dev-x'],
        keyType: 'P-256',
        authorityId: 'issuing',
        notAfter: new Date(time + 30 * DAY).toISOString(),
      },
    });
    const bad = await dryRun({ keyKinds: ['RSA'], popLinking: true }, 'dev-y');
    expect(bad.refusals.map(({ code }) => code)).toEqual(['weak-key', 'wrong-binding', 'wrong-subject']);
    expect(bad.certificate).toBeUndefined();
    const longUnit = createCsr({
      subject: { commonName: 'dev-x', organization: ACCOUNT, organizationalUnit: 'x'.repeat(65) },
      privateKey: newKey(),
    });
    const linted = await est.fixture.deps.bus.request(dryRunProfile, {
      ...{ account: ACCOUNT, name: 'planned', deviceId: 'dev-x', settings: { subject: 'keep' } },
      csr: encodePem('CERTIFICATE REQUEST', longUnit),
    });
    expect(linted.refusals).toEqual([
      {
        code: 'not-certifiable',
        message: expect.stringMatching(/subject attributes: organizationalUnit is longer than 64/),
      },
    ]);
    expect(linted.certificate).toBeUndefined();
    expect(est.events.filter(({ subject }) => subject === 'dev-x')).toEqual([]);
  });
});

describe('F32: validity as configured', () => {
  it('is twenty years first and one year renewed, below a CA that lives longer', async () => {
    const { bus } = est.fixture.deps;
    const account = 'long-lived';
    const by = 'ada';
    await using root = await openOwnRoot('Long-lived Root', { days: 40 * 365 });
    time = Date.now();
    await bus.request(registerRoot, {
      account,
      certificate: root.certificate,
      by,
      statement: await root.state({ action: 'register-root', account, subject: root.fingerprint }),
    });
    const { csr } = await bus.request(requestAuthority, { account, kind: 'issuing', by });
    const certificate = await root.sign(csr, { days: 30 * 365 });
    const subject = parseCertificatePem(certificate).fingerprint;
    time = Date.now();
    const statement = await root.state({ action: 'upload', account, subject });
    await bus.request(uploadAuthority, { account, certificate, by, statement });
    await create('default', { validityDays: 7300, renewedValidityDays: 365 }, account);

    const { operational, issued } = await enrolledDevice(est, 'dev-20y', account);
    expect((issued.notAfter - time) / DAY).toBeCloseTo(7300, 0);
    const csrOfRenewal = { subjectDer: issued.subjectDer, privateKey: operational.privateKey };
    const path = '/.well-known/est/simplereenroll';
    const renewed = issuedIn(await call(est, enrolment(csrOfRenewal, { path, identity: operational })));
    expect((renewed.notAfter - time) / DAY).toBeCloseTo(365, 0);
  });

  it('is one for the first certificate and another for a renewed one', async () => {
    await create('long-short', { validityDays: 3000, renewedValidityDays: 365 });
    const { basic } = await handedOver('dev-long', 'long-short');
    const privateKey = newKey();
    const first = issuedIn(await call(est, enrolment({ privateKey }, { basic })));
    expect((first.notAfter - time) / DAY).toBeCloseTo(3000, 0);
    const identity = { certificate: first.pem(), privateKey };
    const renewed = issuedIn(
      await call(
        est,
        enrolment(
          { subjectDer: first.subjectDer, privateKey },
          { path: '/.well-known/est/simplereenroll', identity },
        ),
      ),
    );
    expect((renewed.notAfter - time) / DAY).toBeCloseTo(365, 0);
  });

  it('renews under the default profile once its own is removed', async () => {
    await create('gone', { validityDays: 30 });
    const { basic } = await handedOver('dev-gone', 'gone');
    const privateKey = newKey();
    const first = issuedIn(await call(est, enrolment({ privateKey }, { basic })));
    await est.fixture.deps.bus.request(removeProfile, { account: ACCOUNT, name: 'gone', by: 'ada' });
    const renewal = {
      path: '/.well-known/est/simplereenroll',
      identity: { certificate: first.pem(), privateKey },
    };
    const renewed = issuedIn(
      await call(est, enrolment({ subjectDer: first.subjectDer, privateKey }, renewal)),
    );
    expect((renewed.notAfter - time) / DAY).toBeCloseTo(90, 0);
  });
});

describe('authentication, as the profile says (RFC 7030 §3.2.3, §3.3.2)', () => {
  it('by certificate: a bootstrap certificate that the account claimed is enough', async () => {
    await create('by-certificate', { authentication: 'certificate' });
    const device = await est.bootstrapDevice('dev-cert');
    const identity = { certificate: device.certificate, privateKey: device.keys.privateKey };
    const request = () => enrolment({ privateKey }, { identity, path: path('by-certificate') });
    const privateKey = newKey();
    const unclaimed = await call(est, request());
    await expectRefusal(est, unclaimed, { status: 403, code: 'unclaimed', text: /has not claimed/ });
    devices.set(device.fingerprint, { deviceId: 'pump-1', account: ACCOUNT, state: 'bootstrapped' });
    const first = issuedIn(await call(est, request()));
    expect(first.subject).toEqual({ commonName: 'pump-1', organization: ACCOUNT });
    expect(issuedIn(await call(est, request())).serialNumber).toBe(first.serialNumber);
    devices.set(device.fingerprint, { deviceId: 'pump-1', account: ACCOUNT, state: 'blocked' });
    await expectRefusal(est, await call(est, request()), {
      status: 403,
      code: 'blocked',
      text: /"pump-1" is blocked/,
    });
    const none = await call(est, enrolment({ privateKey }, { path: path('by-certificate') }));
    await expectRefusal(est, none, {
      status: 403,
      code: 'no-certificate',
      text: /needed in the TLS handshake/,
    });
  });

  it('by certificate: an operational one of this account, not of another', async () => {
    const own = await enrolledDevice(est, 'dev-op');
    const foreign = await enrolledDevice(est, 'dev-op-2', 'umbrella');
    const privateKey = newKey();
    const ask = () =>
      call(est, enrolment({ privateKey }, { identity: own.operational, path: path('by-certificate') }));
    await expectRefusal(est, await ask(), {
      status: 403,
      code: 'wrong-profile',
      text: /"acme\.by-certificate" is another profile than "acme"/,
    });
    await est.fixture.deps.bus.request(setDeviceProfile, {
      ...{ account: ACCOUNT, deviceId: 'dev-op', profile: 'by-certificate', by: 'ada' },
    });
    const issued = issuedIn(await ask());
    expect(issued.subject.commonName).toBe('dev-op');
    const reply = await call(
      est,
      enrolment({ privateKey }, { identity: foreign.operational, path: path('by-certificate') }),
    );
    await expectRefusal(est, reply, {
      status: 403,
      code: 'wrong-account',
      text: /not one of account "acme"/,
    });
  });

  it('by shared secret: one key for each device, until its certificate is revoked', async () => {
    const { sharedSecret = '', profile } = await create('by-secret', { authentication: 'secret' });
    expect(JSON.stringify(profile)).not.toContain(sharedSecret);
    const ask = (deviceId: string, secret: string, privateKey = newKey()) =>
      call(est, enrolment({ privateKey }, { basic: [deviceId, secret], path: path('by-secret') }));
    const privateKey = newKey();
    const first = issuedIn(await ask('dev-secret', sharedSecret, privateKey));
    expect(issuedIn(await ask('dev-secret', sharedSecret, privateKey)).serialNumber).toBe(first.serialNumber);
    await expectRefusal(est, await ask('dev-secret', sharedSecret), {
      status: 403,
      code: 'used-grant',
      text: /has a certificate with another key/,
      deviceId: 'dev-secret',
    });
    await expectRefusal(est, await ask('dev-secret', `${sharedSecret}0`), {
      status: 401,
      code: 'wrong-grant',
      text: /not that of profile/,
    });
    expect((await ask('not a device', sharedSecret)).status).toBe(401);
    devices.set('dev-shut', { deviceId: 'dev-shut', account: ACCOUNT, state: 'retired' });
    expect((await ask('dev-shut', sharedSecret)).status).toBe(403);
    const anew = await est.fixture.deps.bus.request(changeProfile, {
      account: ACCOUNT,
      name: 'by-secret',
      settings: {},
      newSecrets: true,
      by: 'ada',
    });
    expect((await ask('dev-secret-2', sharedSecret)).status).toBe(401);
    issuedIn(await ask('dev-secret-2', anew.sharedSecret ?? ''));
  });

  it('by both: a failing half issues nothing', async () => {
    const { sharedSecret = '' } = await create('by-both', { authentication: 'certificate+secret' });
    const device = await est.bootstrapDevice('dev-both');
    devices.set(device.fingerprint, { deviceId: 'dev-both', account: ACCOUNT, state: 'claimed' });
    const identity = { certificate: device.certificate, privateKey: device.keys.privateKey };
    const privateKey = newKey();
    const ask = (options: { basic?: readonly [string, string]; identity?: typeof identity }) =>
      call(est, enrolment({ privateKey }, { ...options, path: path('by-both') }));
    expect((await ask({ identity })).status).toBe(401);
    expect((await ask({ basic: ['dev-both', sharedSecret] })).status).toBe(403);
    expect((await ask({ basic: ['dev-both', 'wrong'], identity })).status).toBe(401);
    await expectRefusal(est, await ask({ basic: ['dev-other', sharedSecret], identity }), {
      status: 401,
      code: 'wrong-grant',
      text: /given for "dev-other", the certificate is of "dev-both"/,
    });
    expect(est.events.some(({ type, subject }) => type === 'CERT_ISSUED' && subject === 'dev-both')).toBe(
      false,
    );
    issuedIn(await ask({ basic: ['dev-both', sharedSecret], identity }));
  });

  it('a grant is none for a profile that takes certificates, nor for one of another name', async () => {
    const device = await est.bootstrapDevice('dev-none');
    const { grant } = await est.fixture.deps.bus.request(createGrant, {
      account: ACCOUNT,
      deviceId: 'dev-none',
      fingerprint: device.fingerprint,
    });
    const reply = await call(
      est,
      enrolment({ privateKey: newKey() }, { basic: ['dev-none', grant], path: path('by-certificate') }),
    );
    expect(reply.status).toBe(403);
  });
});
