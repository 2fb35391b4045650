import {
  certifyDevice,
  createGrant,
  createProfile,
  type Device,
  getDevice,
  revokeCertificates,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair, newSerialNumber } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EstCaService } from '../src/app.ts';
import { openCollections } from '../src/collections.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { enrolledDevice, expectRefusal } from './support/scene.ts';

let est: EstFixture;
let replica: EstCaService;
let secret = '';
const stack = new AsyncDisposableStack();
/** Devices that the account claimed, by fingerprint. */
const claimed = new Map<string, string>();

beforeAll(async () => {
  est = stack.use(await openEstFixture());
  replica = stack.use(await est.startReplica());
  const { bus } = est.fixture.deps;
  stack.use(
    await bus.serve(getDevice, async ({ deviceId, fingerprint = '0'.repeat(64) }) => {
      const state: Device['state'] = 'enrolled';
      return {
        ...{ account: ACCOUNT, factoryAccount: ACCOUNT, fingerprint, state },
        deviceId: claimed.get(fingerprint) ?? deviceId ?? 'nobody',
        deviceSerialNumber: 'SN-1',
        certificate: '-----BEGIN CERTIFICATE-----\n',
        manufacturedAt: new Date().toISOString(),
      };
    }),
  );
  const create = (name: string, settings: object) =>
    bus.request(createProfile, { account: ACCOUNT, name, settings, by: 'ada' });
  const made = await create('by-secret', { authentication: 'secret', serverKeygen: true });
  secret = made.sharedSecret ?? expect.unreachable();
  await create('by-certificate', { authentication: 'certificate' });
});
afterAll(() => stack.disposeAsync());

const newKey = () => generateKeyPair('P-256').privateKey;
const path = (profile: string, operation = 'simpleenroll') =>
  `/.well-known/est/${ACCOUNT}.${profile}/${operation}`;

const bySecret = (deviceId: string, privateKey = newKey(), port?: number) =>
  call(est, enrolment({ privateKey }, { basic: [deviceId, secret], path: path('by-secret') }), port);
const byGrant = (deviceId: string, grant: string, privateKey = newKey(), port?: number) =>
  call(est, enrolment({ privateKey }, { basic: [deviceId, grant] }), port);

const revoke = (serialNumber: string, reason: 'keyCompromise' | 'certificateHold' | 'superseded') =>
  est.fixture.deps.bus.request(revokeCertificates, { account: ACCOUNT, serialNumber, reason, by: 'ada' });

/** Another bootstrap certificate of the same device id, such as an installer claims. */
async function grantOfAnother(deviceId: string, place: { resetAt?: string } = {}) {
  const { fingerprint } = await est.bootstrapDevice(`${deviceId}-other`);
  const named = { account: ACCOUNT, deviceId, fingerprint, identity: fingerprint };
  return (await est.fixture.deps.bus.request(createGrant, { ...named, ...place })).grant;
}

describe('a device that has a certificate in force keeps its place', () => {
  it('whoever knows the shared secret does not take the place of a device that enrolled by a grant', async () => {
    await enrolledDevice(est, 'by-grant');
    await expectRefusal(est, await bySecret('by-grant'), {
      status: 403,
      code: 'device-enrolled',
      text: /^secret: device "by-grant" has certificate [0-9a-f]+ of profile "acme" in force until/,
      deviceId: 'by-grant',
    });
  });

  it('nor with the very key of the device: its profile is not left that way', async () => {
    const { operational } = await enrolledDevice(est, 'same-key');
    const reply = await bySecret('same-key', operational.privateKey);
    await expectRefusal(est, reply, { status: 403, code: 'device-enrolled', text: /"same-key" has/ });
  });

  it('nor with a key that the server makes', async () => {
    await enrolledDevice(est, 'no-keygen');
    const asked = { basic: ['no-keygen', secret] as const, path: path('by-secret', 'serverkeygen') };
    const reply = await call(est, enrolment({ privateKey: newKey() }, asked));
    await expectRefusal(est, reply, { status: 403, code: 'device-enrolled', text: /"no-keygen" has/ });
  });

  it('nor after it renewed with another key', async () => {
    const { operational, issued } = await enrolledDevice(est, 'renewed');
    const renewed = await call(
      est,
      enrolment(
        { subjectDer: issued.subjectDer, privateKey: newKey() },
        { path: '/.well-known/est/simplereenroll', identity: operational },
      ),
    );
    issuedIn(renewed);
    await revoke(issued.serialNumber, 'superseded');
    const reply = await bySecret('renewed');
    await expectRefusal(est, reply, { status: 403, code: 'device-enrolled', text: /"renewed" has/ });
  });

  it('nor while its certificate is on hold: that may be lifted', async () => {
    const { issued } = await enrolledDevice(est, 'on-hold');
    await revoke(issued.serialNumber, 'certificateHold');
    const reply = await bySecret('on-hold');
    await expectRefusal(est, reply, { status: 403, code: 'device-enrolled', text: /"on-hold" has/ });
  });

  it('a claimed bootstrap certificate alone does not take it either', async () => {
    const device = await enrolledDevice(est, 'by-both');
    claimed.set(device.fingerprint, 'by-both');
    const identity = { certificate: device.certificate, privateKey: device.keys.privateKey };
    const reply = await call(
      est,
      enrolment({ privateKey: newKey() }, { identity, path: path('by-certificate') }),
    );
    await expectRefusal(est, reply, {
      status: 403,
      code: 'device-enrolled',
      text: /^certificate: device "by-both" has/,
    });
  });

  it('a grant of another bootstrap certificate takes it only after a reset', async () => {
    const mine = newKey();
    const first = issuedIn(await bySecret('claimed-over', mine));
    const grant = await grantOfAnother('claimed-over');
    await expectRefusal(est, await byGrant('claimed-over', grant), {
      status: 403,
      code: 'device-enrolled',
      text: /^grant: device "claimed-over" has certificate/,
    });
    const earlier = new Date(first.notBefore).toISOString();
    const stale = await grantOfAnother('claimed-over', { resetAt: earlier });
    expect((await byGrant('claimed-over', stale)).status).toBe(403);
    const reset = await grantOfAnother('claimed-over', { resetAt: new Date().toISOString() });
    issuedIn(await byGrant('claimed-over', reset));
  });

  it('the same bootstrap certificate, after another handoff, takes it: its key was lost', async () => {
    const device = await enrolledDevice(est, 'lost-key');
    issuedIn(await byGrant('lost-key', await est.grantFor(device)));
  });

  it('a registration takes it only after a reset', async () => {
    issuedIn(await bySecret('registered'));
    const csr = encodePem('CERTIFICATE REQUEST', createCsr({ privateKey: newKey() }));
    const wanted = { account: ACCOUNT, deviceId: 'registered', csr, serialNumber: newSerialNumber() };
    const certify = (resetAt?: string) =>
      est.fixture.deps.bus.request(certifyDevice, {
        ...wanted,
        ...(resetAt === undefined ? {} : { resetAt }),
      });
    await expect(certify()).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/^device-enrolled: registration: device "registered" has/),
    });
    await certify(new Date().toISOString());
  });

  it('one that was issued before entries were kept is taken by a grant alone', async () => {
    const { issued } = await enrolledDevice(est, 'of-old');
    const { certificates } = await openCollections(est.fixture.deps.store);
    await certificates.update(issued.serialNumber, (record) => {
      const { enteredBy: _by, identity: _identity, enrolment: _enrolment, ...document } = record;
      return { document };
    });
    expect((await bySecret('of-old')).status).toBe(403);
    issuedIn(await byGrant('of-old', await grantOfAnother('of-old')));
    const old = issuedIn(await bySecret('of-old-secret'));
    await certificates.update(old.serialNumber, (record) => {
      const { enteredBy: _by, enrolment: _enrolment, ...document } = record;
      return { document };
    });
    expect((await byGrant('of-old-secret', await grantOfAnother('of-old-secret'))).status).toBe(403);
  });

  it('of a shared secret and a grant that come at once, at two replicas, one gets in', async () => {
    const ids = Array.from({ length: 25 }, (_, i) => `at-once-${i}`);
    const ports = [est.service.estPort, replica.estPort] as const;
    const outcomes = await Promise.all(
      ids.map(async (id) => {
        const grant = await grantOfAnother(id);
        const replies = await Promise.all([
          bySecret(id, newKey(), ports[0]),
          byGrant(id, grant, newKey(), ports[1]),
        ]);
        return replies.map(({ status }) => status).toSorted();
      }),
    );
    expect(outcomes).toEqual(ids.map(() => [200, 403]));
  }, 60_000);
});

describe('a device whose key was compromised', () => {
  it('is enrolled by no shared secret any more; by its handoff it is', async () => {
    const first = issuedIn(await bySecret('compromised'));
    await revoke(first.serialNumber, 'keyCompromise');
    await expectRefusal(est, await bySecret('compromised'), {
      status: 403,
      code: 'key-compromised',
      text: /^key: certificate [0-9a-f]+ of "compromised" was revoked at .* for keyCompromise/,
      deviceId: 'compromised',
    });
    issuedIn(await byGrant('compromised', await grantOfAnother('compromised')));
  });

  it('is enrolled with that key by nothing any more', async () => {
    const key = newKey();
    const first = issuedIn(await bySecret('compromised-key', key));
    await revoke(first.serialNumber, 'keyCompromise');
    await expectRefusal(est, await byGrant('compromised-key', await grantOfAnother('compromised-key'), key), {
      status: 403,
      code: 'key-compromised',
      text: /^key: certificate/,
      deviceId: 'compromised-key',
    });
  });

  it('one that was revoked otherwise is', async () => {
    const first = issuedIn(await bySecret('revoked-only'));
    await revoke(first.serialNumber, 'superseded');
    issuedIn(await bySecret('revoked-only'));
  });
});
