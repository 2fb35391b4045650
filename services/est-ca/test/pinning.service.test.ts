import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  describeAuthorities,
  registerFactoryAuthority,
  type StatementAction,
  setAuthorityState,
  setFirstContact,
} from '@signet/contracts';
import { encodePem } from '@signet/pki';
import { makeCertificate, newTestKey, testKeyId } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';

const DAY = 86_400_000;
const by = 'ada';

type Maker = { readonly key: KeyObject; readonly pem: string; readonly fingerprint: string };

/** The CA of a manufacturer, under whatever key id. */
function maker(key = newTestKey(), subjectKeyId = testKeyId(createPublicKey(key)), name = 'Maker CA'): Maker {
  const subject = { commonName: name };
  const certificate = makeCertificate({
    ...{ subject, issuer: subject, subjectKeyId, ca: true, keyUsage: ['keyCertSign', 'cRLSign'] },
    publicKey: createPublicKey(key),
    signingKey: key,
    notBefore: Date.now() - DAY,
    notAfter: Date.now() + 365 * DAY,
  });
  return { key, pem: encodePem('CERTIFICATE', certificate.der), fingerprint: certificate.fingerprint };
}

function proof(key: KeyObject, facts: { action: StatementAction; account: string; subject: string }) {
  const nonce = randomBytes(16).toString('hex');
  const statement = JSON.stringify({ ...facts, nonce, issuedAt: new Date().toISOString() });
  return { statement, signature: sign('sha256', Buffer.from(statement), key).toString('base64') };
}

describe('who may pin the CA of a manufacturer', () => {
  let est: EstFixture;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    est = stack.use(await openEstFixture({ env: { SIGNET_EST_ACCOUNT_CAS: '4' } }));
  });
  afterAll(() => stack.disposeAsync());
  const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
    est.fixture.deps.bus.request(...args);

  const register = (account: string, { key, pem, fingerprint }: Maker, more: object = {}) =>
    request(registerFactoryAuthority, {
      ...{ account, certificate: pem, firstContact: 'waits', by },
      statement: proof(key, { action: 'register-factory', account, subject: fingerprint }),
      ...more,
    });

  it('is several accounts that prove to have its key, each with a state and a first contact of its own', async () => {
    const ca = maker();
    const one = await register('one', ca, { firstContact: 'claimed' });
    expect(one.authority).toMatchObject({ possession: 'proven', isShared: false });
    const other = await register('other', ca);
    expect(other.authority).toMatchObject({ possession: 'proven', isShared: true, firstContact: 'waits' });
    const { authorityId } = one.authority;
    await request(setAuthorityState, { account: 'one', authorityId, state: 'disabled', by });
    const { authorities } = await request(describeAuthorities, { account: 'other' });
    expect(authorities).toMatchObject([{ state: 'active', isShared: false }]);
    await expect(
      request(setAuthorityState, {
        account: 'one',
        authorityId: other.authority.authorityId,
        state: 'revoked',
        by,
      }),
    ).rejects.toMatchObject({ code: 'unknown-authority' });
  });

  it('is nobody whose proof is waived but by the platform, nor may a first contact count as a claim without', async () => {
    const { pem: certificate } = maker();
    const waived = { account: 'waived', certificate, firstContact: 'waits', waiver: 'trust me', by } as const;
    await expect(request(registerFactoryAuthority, waived)).rejects.toMatchObject({ code: 'platform-only' });
    const { authority } = await request(registerFactoryAuthority, { ...waived, byPlatform: true });
    expect(authority.possession).toBe('waived');
    const claimed = {
      account: 'waived',
      authorityId: authority.authorityId,
      firstContact: 'claimed',
      by,
    } as const;
    await expect(request(setFirstContact, claimed)).rejects.toMatchObject({ code: 'platform-only' });
    await request(setFirstContact, { ...claimed, byPlatform: true });
  });

  it('is who waived it first and proves it later: a first contact may count as a claim then', async () => {
    const ca = maker();
    const account = 'later';
    const { authority } = await register(account, ca, {
      statement: undefined,
      waiver: 'moving',
      byPlatform: true,
    });
    expect((await register(account, ca)).authority.possession).toBe('proven');
    await request(setFirstContact, {
      account,
      authorityId: authority.authorityId,
      firstContact: 'claimed',
      by,
    });
  });

  it('is no account twice: the same key under another key id is refused', async () => {
    const ca = maker();
    await register('twice', ca);
    await expect(register('twice', maker(ca.key, 'ab'.repeat(20)))).rejects.toMatchObject({
      code: 'authority-exists',
      message: expect.stringContaining('its key is that of CA'),
    });
  });

  it('is nobody under a key id that is another key’s, or another than the key has elsewhere', async () => {
    const ca = maker();
    await register('honest', ca);
    await expect(
      register('thief', maker(newTestKey(), testKeyId(createPublicKey(ca.key)))),
    ).rejects.toMatchObject({
      code: 'authority-exists',
      message: expect.stringContaining('with another key'),
    });
    await expect(register('thief', maker(ca.key, 'cd'.repeat(20)))).rejects.toMatchObject({
      code: 'authority-exists',
      message: expect.stringContaining('is known by'),
    });
  });

  it('is not kept out by whoever was there first, under the key id that its key has', async () => {
    const ca = maker();
    const squatters = maker(newTestKey(), testKeyId(createPublicKey(ca.key)));
    await expect(register('thief', squatters)).rejects.toMatchObject({
      code: 'bad-certificate',
      message: expect.stringContaining('is none of its key'),
    });
    await register('honest-late', ca);
  });

  it('is one of two that pin different keys under one key id at once', async () => {
    const id = randomBytes(16).toString('hex');
    const tried = await Promise.allSettled(
      ['left', 'right'].map((account) => register(account, maker(newTestKey(), id))),
    );
    expect(tried.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it('may have whatever key id its CA has, as long as that is its own', async () => {
    const { authority } = await register('unusual', maker(newTestKey(), '0102'));
    expect(authority.subjectKeyId).toBe('0102');
  });

  it('pins no more CAs than the deployment allows', async () => {
    for (let i = 0; i < 4; i++) await register('greedy', maker(undefined, undefined, `Maker ${i}`));
    await expect(register('greedy', maker())).rejects.toMatchObject({ code: 'too-many-authorities' });
  });
});
