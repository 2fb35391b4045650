import { generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCollections } from '../src/collections.ts';
import { defaultProfile, type Profile } from '../src/domain/profile/profile.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { expectRefusal } from './support/scene.ts';

const DAY = 86_400_000;
let time = Date.now();
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture({ now: () => time });
  const { profiles } = await openCollections(est.fixture.deps.store);
  const profile = (name: string, changes: Partial<Profile>): Profile => ({
    ...defaultProfile(ACCOUNT, { validityDays: 90 }),
    id: `${ACCOUNT}.${name}`,
    name,
    ...changes,
  });
  await profiles.insert(profile('strict', { authentication: 'certificate+grant', keyKinds: ['P-384'] }));
  await profiles.insert(
    profile('year', { validityDays: 365, renewalWindowDays: 30, responseWrapping: 'unwrapped' }),
  );
  await profiles.insert(profile('kept', { subject: 'keep' }));
  await profiles.insert(profile('eternal', { validityDays: 36_500 }));
});
afterAll(() => est?.[Symbol.asyncDispose]());

async function handedOver(deviceId: string, profile: string) {
  const device = await est.bootstrapDevice(deviceId);
  const basic = [deviceId, await est.grantFor(device, { profile })] as const;
  return { basic, identity: { certificate: device.certificate, privateKey: device.keys.privateKey } };
}

describe('a profile of its own', () => {
  it('wants the certificate besides the grant, and the key that it names', async () => {
    const { basic, identity } = await handedOver('dev-strict', 'strict');
    const { privateKey } = generateKeyPair('P-384');
    const without = await call(est, enrolment({ privateKey }, { basic }));
    await expectRefusal(est, without, {
      status: 403,
      code: 'no-certificate',
      text: /besides the grant/,
      deviceId: 'dev-strict',
    });
    const otherKey = await call(
      est,
      enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { basic, identity }),
    );
    await expectRefusal(est, otherKey, {
      status: 400,
      code: 'weak-key',
      text: /P-256 is not allowed; allowed are P-384/,
    });
    issuedIn(await call(est, enrolment({ privateKey }, { basic, identity })));
  });

  it('that keeps the Subject refuses one that no certificate may have, by name; the grant is good for a better one', async () => {
    const { basic } = await handedOver('dev-kept', 'kept');
    const { privateKey } = generateKeyPair('P-256');
    const path = `/.well-known/est/${ACCOUNT}.kept/simpleenroll`;
    const csr = (organizationalUnit: string) => ({
      subject: { commonName: 'dev-kept', organization: ACCOUNT, organizationalUnit },
      privateKey,
    });
    const refused = await call(est, enrolment(csr('x'.repeat(65)), { basic, path }));
    await expectRefusal(est, refused, {
      status: 400,
      code: 'not-certifiable',
      text: /^certificate: subject attributes: organizationalUnit is longer than 64 characters/,
      deviceId: 'dev-kept',
    });
    const issued = issuedIn(await call(est, enrolment(csr('hall 3'), { basic, path })));
    expect(issued.subject.organizationalUnit).toBe('hall 3');
  });

  it('F8: gives its own validity, unwrapped answers, and renews within its window only', async () => {
    const { basic } = await handedOver('dev-year', 'year');
    const { privateKey } = generateKeyPair('P-256');
    const reply = await call(
      est,
      enrolment({ privateKey }, { basic, path: `/.well-known/est/${ACCOUNT}.year/simpleenroll` }),
    );
    expect(reply.body).not.toContain('\n');
    const issued = issuedIn(reply);
    expect((issued.notAfter - time) / DAY).toBeCloseTo(365, 0);

    const renewal = enrolment(
      { subjectDer: issued.subjectDer, privateKey },
      { path: '/.well-known/est/simplereenroll', identity: { certificate: issued.pem(), privateKey } },
    );
    const early = await call(est, renewal);
    const earliest = new Date(issued.notAfter - 30 * DAY).toISOString();
    await expectRefusal(est, early, {
      status: 403,
      code: 'too-early',
      text: new RegExp(earliest.replaceAll('.', '\\.')),
    });
    time += 340 * DAY;
    const renewed = issuedIn(await call(est, renewal));
    expect((renewed.notAfter - time) / DAY).toBeCloseTo(365, 0);
    expect(issuedIn(await call(est, renewal)).serialNumber).toBe(renewed.serialNumber);
  });

  it('that its CA cannot give is refused, never shortened in silence', async () => {
    const { basic } = await handedOver('dev-eternal', 'eternal');
    const reply = await call(est, enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { basic }));
    await expectRefusal(est, reply, {
      status: 503,
      code: 'unavailable',
      text: /36500 days are past the end of CA "issuing"/,
    });
  });

  it('is not that of another label', async () => {
    const { basic } = await handedOver('dev-other-label', 'year');
    const path = `/.well-known/est/${ACCOUNT}/simpleenroll`;
    const reply = await call(
      est,
      enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { basic, path }),
    );
    await expectRefusal(est, reply, {
      status: 401,
      code: 'wrong-grant',
      text: /not one for profile "default"/,
    });
  });
});
