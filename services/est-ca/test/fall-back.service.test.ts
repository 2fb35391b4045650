import { createAuthorities, describeAuthorities, setAuthorityState, setFallBack } from '@signet/contracts';
import { generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { authorities as collection } from '../src/domain/authority/authority.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { enrolledDevice, expectRefusal } from './support/scene.ts';

const by = 'ada';
const kind = 'issuing';
let est: EstFixture;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  est = stack.use(await openEstFixture());
});
afterAll(() => stack.disposeAsync());

const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
  est.fixture.deps.bus.request(...args);

async function enrol(account: string, deviceId: string) {
  const device = await est.bootstrapDevice(deviceId);
  const grant = await est.grantFor(device, { account });
  const identity = { certificate: device.certificate, privateKey: device.keys.privateKey };
  const { privateKey } = generateKeyPair('P-256');
  return call(est, enrolment({ privateKey }, { basic: [deviceId, grant], identity }));
}

async function ownCa(account: string) {
  const { authorities } = await request(createAuthorities, { account, kinds: [kind], by });
  const own = authorities.find((authority) => authority.kind === kind);
  if (own === undefined) throw new Error('no CA');
  return own;
}

/** Puts it out of force in one of the ways there are. */
const ways = {
  disabled: (account: string, authorityId: string) =>
    request(setAuthorityState, { account, authorityId, state: 'disabled', by }),
  revoked: (account: string, authorityId: string) =>
    request(setAuthorityState, { account, authorityId, state: 'revoked', by }),
  ended: async (_account: string, authorityId: string) => {
    const documents = await est.fixture.deps.store.collection(collection);
    const notAfter = new Date(Date.now() - 1000).toISOString();
    await documents.update(authorityId, (current) => ({ document: { ...current, notAfter } }));
    // whatever makes the service read its CAs anew
    await request(createAuthorities, { account: 'somebody', kinds: ['factory'], by });
  },
  'below a root that is disabled': (account: string) =>
    request(setAuthorityState, { account, authorityId: `root-${account}-1`, state: 'disabled', by }),
} as const;

describe('an account whose own issuing CA is out of force', { timeout: 60_000 }, () => {
  it.each(Object.keys(ways) as (keyof typeof ways)[])(
    'F46: (%s) gets no certificate of the platform’s hierarchy until an operator says so, and the operator sees why',
    async (way) => {
      const account = `way-${Object.keys(ways).indexOf(way)}`;
      const own = await ownCa(account);
      const { issued } = await enrolledDevice(est, 'dev-before', account);
      expect(issued.authorityKeyId).toBe(own.subjectKeyId);
      const early = request(setFallBack, { account, kind, allowed: true, by });
      await expect(early).rejects.toMatchObject({ code: 'illegal-transition' });

      await ways[way](account, own.authorityId);
      const refused = { status: 503, code: 'own-ca-out-of-force', text: /is out of force/ } as const;
      await expectRefusal(est, await enrol(account, 'dev-refused'), { ...refused, deviceId: 'dev-refused' });
      const { shared } = await request(describeAuthorities, { account });
      expect(shared.map((authority) => authority.kind)).not.toContain(kind);

      const { authorities } = await request(setFallBack, {
        ...{ account, kind, allowed: true, reason: 'moved', by },
      });
      expect(authorities[0]?.fallBack).toMatchObject({ by, reason: 'moved' });
      const told = await est.event(
        'CA_CHANGED',
        ({ subject, data }) =>
          subject === own.authorityId && /may issue in its place/.test(data.reason ?? ''),
      );
      expect(told.account).toBe(account);
      const served = issuedIn(await enrol(account, 'dev-served'));
      expect(served.authorityKeyId).not.toBe(own.subjectKeyId);

      await request(setFallBack, { account, kind, allowed: false, by });
      await expectRefusal(est, await enrol(account, 'dev-again'), { ...refused, deviceId: 'dev-again' });
      await request(createAuthorities, { account, kinds: [kind], by });
      await vi.waitFor(async () => expect((await enrol(account, 'dev-own')).status).toBe(200));
    },
  );

  it('F46: enabling its CA ends the word that was given, which does not hold for the next time', async () => {
    const account = 'enabled';
    const { authorityId } = await ownCa(account);
    const put = (state: 'active' | 'disabled') =>
      request(setAuthorityState, { account, authorityId, state, by });
    await put('disabled');
    await request(setFallBack, { account, kind, allowed: true, by });
    expect((await enrol(account, 'dev-1')).status).toBe(200);
    expect((await put('active')).authority.fallBack).toBeUndefined();
    await put('disabled');
    expect((await enrol(account, 'dev-2')).status).toBe(503);
  });
});
