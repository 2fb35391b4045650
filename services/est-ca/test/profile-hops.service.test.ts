import {
  changeProfile,
  createGrant,
  createProfile,
  newEvent,
  OperationError,
  type ProfileChanges,
  removeProfile,
  setDeviceProfile,
} from '@signet/contracts';
import { type Certificate, generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openCollections } from '../src/collections.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { expectRefusal } from './support/scene.ts';

const DAY = 86_400_000;
let est: EstFixture;
const create = (name: string, settings: ProfileChanges) =>
  est.fixture.deps.bus.request(createProfile, { account: ACCOUNT, name, settings, by: 'ada' });

beforeAll(async () => {
  est = await openEstFixture();
  await create('short', { validityDays: 5 });
  await create('long', { validityDays: 80 });
  await create('approved', { validityDays: 6, approval: 'every' });
  await create('by-certificate', { authentication: 'certificate', validityDays: 70 });
});
afterAll(() => est?.[Symbol.asyncDispose]());

type Enrolled = {
  readonly deviceId: string;
  readonly issued: Certificate;
  readonly identity: {
    readonly certificate: string;
    readonly privateKey: ReturnType<typeof generateKeyPair>['privateKey'];
  };
};

async function enrolledUnder(profile: string, deviceId: string): Promise<Enrolled> {
  const grant = await est.grantFor(await est.bootstrapDevice(deviceId), { profile });
  const { privateKey } = generateKeyPair('P-256');
  const issued = issuedIn(await call(est, enrolment({ privateKey }, { basic: [deviceId, grant] })));
  return { deviceId, issued, identity: { certificate: issued.pem(), privateKey } };
}

/** Renews with the key that it has, at a label, or at none. */
function renew({ issued, identity }: Enrolled, label?: string) {
  const prefix = label === undefined ? '' : `${label}/`;
  return call(
    est,
    enrolment(
      { subjectDer: issued.subjectDer, privateKey: identity.privateKey },
      { path: `/.well-known/est/${prefix}simplereenroll`, identity },
    ),
  );
}
const daysOf = ({ notAfter }: Certificate) => Math.round((notAfter - Date.now()) / DAY);
const move = (deviceId: string, profile: string) =>
  est.fixture.deps.bus.request(setDeviceProfile, { account: ACCOUNT, deviceId, profile, by: 'ada' });

describe('a renewal is made under the profile of the certificate that it renews', () => {
  it('at the label of another profile it is refused, and says so', async () => {
    const device = await enrolledUnder('short', 'hopper');
    await expectRefusal(est, await renew(device, 'acme.long'), {
      status: 403,
      code: 'wrong-profile',
      text: /^label: "acme\.long" is another profile than "acme\.short"/,
      deviceId: 'hopper',
    });
    expect((await renew(device, 'acme.nothing')).status).toBe(404);
  });

  it.each([undefined, 'acme.short', 'acme'])(
    'a client that always uses the label %s renews under the profile of its device',
    async (label) => {
      const device = await enrolledUnder('short', `fixed-${label?.replace('.', '-') ?? 'none'}`);
      expect(daysOf(issuedIn(await renew(device, label)))).toBe(5);
    },
  );

  it('a device whose renewals are approved leaves that at no label', async () => {
    const device = await enrolledUnder('short', 'waits');
    await move('waits', 'approved');
    for (const label of [undefined, 'acme', 'acme.short', 'acme.approved'])
      expect((await renew(device, label)).status).toBe(202);
    expect((await renew(device, 'acme.long')).status).toBe(403);
  });

  it('an operational certificate does not go round it by simpleenroll, with its key or another', async () => {
    const { identity } = await enrolledUnder('short', 'round');
    for (const privateKey of [identity.privateKey, generateKeyPair('P-256').privateKey]) {
      const asked = { identity, path: '/.well-known/est/acme.by-certificate/simpleenroll' };
      await expectRefusal(est, await call(est, enrolment({ privateKey }, asked)), {
        status: 403,
        code: 'wrong-profile',
        text: /^label: "acme\.by-certificate" is another profile than "acme\.short"/,
        deviceId: 'round',
      });
    }
  });

  it('under its own profile simpleenroll is a renewal: in time, announced, evented as one', async () => {
    const { identity, deviceId } = await enrolledUnder('short', 'own');
    await move(deviceId, 'by-certificate');
    const { privateKey } = generateKeyPair('P-256');
    const asked = { identity, path: '/.well-known/est/acme.by-certificate/simpleenroll' };
    const renewed = issuedIn(await call(est, enrolment({ privateKey }, asked)));
    const { data } = await est.event('CERT_RENEWED', ({ subject }) => subject === 'own');
    expect(data).toMatchObject({ serialNumber: renewed.serialNumber, keyChanged: true });
    expect(est.provisioning.announced.map(({ next }) => next.serialNumber)).toContain(renewed.serialNumber);
    const own = { certificate: renewed.pem(), privateKey };
    await est.fixture.deps.bus.request(changeProfile, {
      ...{ account: ACCOUNT, name: 'by-certificate', by: 'ada' },
      settings: { renewalWindowDays: 10 },
    });
    await expectRefusal(est, await call(est, enrolment({ privateKey }, { ...asked, identity: own })), {
      status: 403,
      code: 'too-early',
      text: /renewal: too early/,
    });
  });
});

describe('an operator moves a device to another profile', () => {
  it('it renews under that one, at the label that it always used, with an event', async () => {
    const device = await enrolledUnder('short', 'moved');
    expect(await move('moved', 'long')).toMatchObject({ profile: 'acme.long', movedBy: 'ada' });
    await move('moved', 'long');
    const { data } = await est.event('DEVICE_PROFILE_CHANGED', ({ subject }) => subject === 'moved');
    expect(data).toEqual({ deviceId: 'moved', from: 'acme.short', to: 'acme.long', by: 'ada' });
    const renewed = issuedIn(await renew(device, 'acme.short'));
    expect(daysOf(renewed)).toBe(80);
    const now = { ...device, issued: renewed, identity: { ...device.identity, certificate: renewed.pem() } };
    for (const label of ['acme.short', 'acme.long', 'acme', undefined])
      expect(daysOf(issuedIn(await renew(now, label)))).toBe(80);
    expect(est.events.filter(({ type }) => type === 'DEVICE_PROFILE_CHANGED')).not.toHaveLength(0);
    expect(
      est.events.filter(({ type, subject }) => type === 'DEVICE_PROFILE_CHANGED' && subject === 'moved'),
    ).toHaveLength(1);
  });

  it('its next handoff is to that one, until it is reset', async () => {
    const device = await est.bootstrapDevice('reset');
    await enrolledUnder('short', 'reset');
    await move('reset', 'long');
    const labelOf = async () => {
      const { bus } = est.fixture.deps;
      const asked = { account: ACCOUNT, deviceId: 'reset', fingerprint: device.fingerprint };
      return (await bus.request(createGrant, { ...asked, profile: 'short' })).label;
    };
    expect(await labelOf()).toBe('acme.long');
    await est.fixture.deps.bus.publish([
      newEvent('DEVICE_RESET', {
        ...{ account: ACCOUNT, subject: 'reset', time: Date.now() + 1000 },
        data: {
          ...{ deviceId: 'reset', fingerprint: device.fingerprint, deviceSerialNumber: 'SN-1' },
          ...{ from: 'enrolled', to: 'claimed', by: 'ada' },
        },
      }),
    ]);
    await vi.waitFor(async () => expect(await labelOf()).toBe('acme.short'), 15_000);
  });

  it('a profile that settings of the account or a moved device name is not removed, and the refusal names them', async () => {
    const { bus } = est.fixture.deps;
    await create('passing', { validityDays: 7 });
    const device = await enrolledUnder('short', 'left-over');
    await move('left-over', 'passing');
    est.handedOverTo.set(ACCOUNT, 'passing');
    const remove = () => bus.request(removeProfile, { account: ACCOUNT, name: 'passing', by: 'ada' });
    await expect(remove()).rejects.toMatchObject({
      code: 'profile-in-use',
      message: 'name: "acme.passing" is used by the settings of the account, devices moved to it (left-over)',
    });
    expect(daysOf(issuedIn(await renew(device, 'acme.short')))).toBe(7);
    est.handedOverTo.delete(ACCOUNT);
    await move('left-over', 'long');
    expect(await remove()).toEqual({ removed: 'acme.passing' });
  });

  it('not to a profile or of a device that is not there', async () => {
    await enrolledUnder('short', 'here');
    await expect(move('here', 'nowhere')).rejects.toMatchObject({
      code: 'unknown-profile',
      field: 'profile',
    });
    await expect(move('nobody', 'long')).rejects.toBeInstanceOf(OperationError);
    await expect(move('nobody', 'long')).rejects.toMatchObject({ code: 'unknown-device' });
    const { deviceProfiles } = await openCollections(est.fixture.deps.store);
    expect(await deviceProfiles.get('acme/nobody')).toBeUndefined();
  });
});
