import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuthorityDetails,
  certifyDevice,
  createAuthorities,
  createProfile,
  describeAuthorities,
  issueServerCertificate,
  type OperationOutput,
  PLATFORM_ACCOUNT,
  registerRoot,
  requestAuthority,
  setAuthorityState,
  uploadAuthority,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { Ticks } from '@signet/service';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { openOwnRoot } from './support/own-root.ts';

const DAY = 86_400_000;
const YEAR = 365.25 * DAY;
const by = 'ada';

type Years = EstFixture & {
  readonly request: EstFixture['fixture']['deps']['bus']['request'];
  /** Moves the clock; services look at it at the next tick. */
  advance(ms: number): void;
  pass(ms: number): Promise<void>;
  now(): number;
  checks(): Promise<Readonly<Record<string, { ok: boolean; reason?: string }>>>;
  ofKind(account: string, kind: string): Promise<readonly AuthorityDetails[]>;
};

async function openYears(env: Record<string, string> = {}): Promise<Years> {
  let ahead = 0;
  const now = () => Date.now() + ahead;
  const ticks = new Ticks();
  const est = await openEstFixture({ now, ticks, env });
  onTestFinished(() => est[Symbol.asyncDispose]());
  const { bus, health } = est.fixture.deps;
  const request: Years['request'] = (...args) => bus.request(...args);
  const advance = (ms: number) => {
    ahead += ms;
  };
  return {
    ...est,
    request,
    advance,
    async pass(ms) {
      advance(ms);
      await ticks.fire();
      await ticks.fire();
    },
    now,
    checks: async () => (await health.report()).checks,
    async ofKind(account, kind) {
      const { authorities } = await request(describeAuthorities, { account });
      return authorities
        .filter((authority) => authority.kind === kind)
        .toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    },
  };
}

const csrOf = () =>
  encodePem('CERTIFICATE REQUEST', createCsr({ privateKey: generateKeyPair('P-256').privateKey }));

function certify({ request }: Years, account: string, deviceId: string, profile = 'default') {
  const serialNumber = `1${randomBytes(15).toString('hex')}1`.slice(0, 32);
  return request(certifyDevice, { account, deviceId, csr: csrOf(), serialNumber, profile });
}

/** What openssl says at a time of the clock that was moved. */
async function opensslVerify(leaf: string, chain: readonly string[], at: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'signet-succession-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [root = '', ...between] = chain.toReversed();
  await writeFile(join(folder, 'root.pem'), root);
  await writeFile(join(folder, 'between.pem'), between.join(''));
  await writeFile(join(folder, 'leaf.pem'), leaf);
  const args = ['verify', '-x509_strict', '-attime', `${Math.floor(at / 1000)}`, '-CAfile', 'root.pem'];
  return execFileSync('openssl', [...args, '-untrusted', 'between.pem', 'leaf.pem'], {
    cwd: folder,
    encoding: 'utf8',
  });
}

async function verified(est: Years, made: OperationOutput<typeof certifyDevice>): Promise<void> {
  expect(await opensslVerify(made.certificate, made.chain, est.now())).toContain('OK');
}

describe('CAs whose root is kept here', () => {
  it('have a successor in force long before they end: enrolments go on through 30 years, and openssl verifies what they give', async () => {
    const est = await openYears();
    await est.request(createAuthorities, { account: 'acme', by });
    const issuers = new Set<string | undefined>();
    for (let year = 0; year < 30; year += 2) {
      for (const account of ['acme', 'umbrella']) {
        const made = await certify(est, account, `dev-${year}`);
        await verified(est, made);
        issuers.add(parseCertificatePem(made.certificate).authorityKeyId);
      }
      const checks = await est.checks();
      expect(checks['est-ca.ends']).toEqual({ ok: true });
      await est.pass(2 * YEAR);
    }
    expect(issuers.size).toBeGreaterThan(6);
    const [first, second] = await est.ofKind(PLATFORM_ACCOUNT, 'issuing');
    expect(first).toMatchObject({ authorityId: 'issuing', successor: 'issuing-r2', state: 'active' });
    expect(second).toMatchObject({
      authorityId: 'issuing-r2',
      name: 'Signet Issuing CA r2',
      state: 'active',
    });
    const event = await est.event('CA_CREATED', ({ subject }) => subject === 'issuing-r2');
    expect(event.data).toMatchObject({ kind: 'issuing', state: 'active' });
  });

  it('have a successor that lives for as long as a profile of ten years needs, and then rest', async () => {
    const est = await openYears({ SIGNET_EST_VALIDITY_DAYS: '3650' });
    await certify(est, 'acme', 'dev-1');
    await est.pass(5 * YEAR);
    const made = await certify(est, 'acme', 'dev-2');
    await verified(est, made);
    expect(await est.ofKind(PLATFORM_ACCOUNT, 'issuing')).toHaveLength(2);
  });

  it('have one successor, however many replicas look at once', async () => {
    const est = await openYears();
    await using _replica = await est.startReplica();
    est.advance(9.5 * YEAR);
    await Promise.all(
      [est.startReplica(), est.startReplica(), est.pass(0)].map(async (started) => {
        const service = await started;
        if (service !== undefined) onTestFinished(() => service[Symbol.asyncDispose]());
      }),
    );
    for (const kind of ['issuing', 'server'])
      expect(await est.ofKind(PLATFORM_ACCOUNT, kind)).toHaveLength(2);
    await verified(est, await certify(est, 'acme', 'dev-1'));
  });

  it('have a successor at a start after everything has ended, before anything is asked of them', async () => {
    const est = await openYears();
    est.advance(30 * YEAR);
    await using replica = await est.startReplica();
    expect(replica.estPort).toBeGreaterThan(0);
    await verified(est, await certify(est, 'acme', 'dev-1'));
    const given = await est.request(issueServerCertificate, {
      ...{ service: 'bootstrap', csr: csrOf(), names: ['localhost'] },
    });
    const root = (await est.ofKind(PLATFORM_ACCOUNT, 'root')).map(({ certificate }) => certificate);
    expect(await opensslVerify(given.certificate, [...given.chain, ...root], est.now())).toContain('OK');
  });

  it('have none where an operator put them out of force: nothing issues in their place', async () => {
    const est = await openYears();
    const account = 'acme';
    await est.request(createAuthorities, { account, by });
    const [issuing] = await est.ofKind(account, 'issuing');
    const authorityId = issuing?.authorityId ?? '';
    await est.request(setAuthorityState, { account, authorityId, state: 'disabled', by });
    await est.pass(9 * YEAR);
    expect(await est.ofKind(account, 'issuing')).toHaveLength(1);
    await expect(certify(est, account, 'dev-1')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('out of force'),
    });
  });

  it('are said to be about to end where the key of their root is not at hand, and the start goes on without it', async () => {
    const est = await openYears();
    const keys = join(est.fixture.dataDir, 'est-ca', 'keys');
    await rename(join(keys, 'root.key.pem'), join(keys, 'root.key.pem.elsewhere'));
    est.advance(30 * YEAR);
    await using replica = await est.startReplica();
    expect(replica.estPort).toBeGreaterThan(0);
    await est.pass(0);
    const checks = await est.checks();
    expect(checks['est-ca.ends']).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/CA "issuing" ended at .*the key of its root "root" is not at hand/),
    });
    await expect(
      est.request(issueServerCertificate, { service: 'bootstrap', csr: csrOf(), names: ['localhost'] }),
    ).rejects.toMatchObject({ code: 'authority-ended' });
    await rename(join(keys, 'root.key.pem.elsewhere'), join(keys, 'root.key.pem'));
    await est.pass(2 * DAY);
    await verified(est, await certify(est, 'acme', 'dev-1'));
    expect((await est.checks())['est-ca.ends']).toEqual({ ok: true });
  });
});

describe('the CA below a root that its owner keeps', () => {
  it('gets an order to sign from twice the longest validity on, said louder as the end comes, and its upload ends that', async () => {
    const est = await openYears();
    const account = 'owner';
    await using root = await openOwnRoot('Owner Root', { days: 20_000 });
    const { certificate, fingerprint } = root;
    const issuedAt = () => ({ issuedAt: new Date(est.now()).toISOString() });
    const state = (action: 'register-root' | 'upload', subject: string) =>
      root.state({ action, account, subject }, issuedAt());
    const statement = await state('register-root', fingerprint);
    await est.request(registerRoot, { account, certificate, statement, by });
    const upload = async (csr: string, days: number) => {
      const signed = await root.sign(csr, { days });
      const proof = await state('upload', parseCertificatePem(signed).fingerprint);
      return est.request(uploadAuthority, { account, certificate: signed, statement: proof, by });
    };
    const requests = async () => (await est.request(describeAuthorities, { account })).requests;
    const { csr } = await est.request(requestAuthority, { account, kind: 'issuing', by });
    const { authority } = await upload(csr, 1000);
    await est.request(createProfile, { account, name: 'long', settings: { validityDays: 300 }, by });
    const reasons = () =>
      est.events.flatMap(({ type, subject, data }) =>
        type === 'CA_CHANGED' && subject === authority.authorityId && 'reason' in data ? [data.reason] : [],
      );

    await est.pass(390 * DAY);
    expect(await requests()).toEqual([]);
    expect((await est.checks())['est-ca.ends']).toEqual({ ok: true });

    await est.pass(20 * DAY);
    const [order, ...others] = await requests();
    expect(others).toEqual([]);
    expect(order?.requestId).toBe(`${authority.authorityId}-r2`);
    expect((await est.checks())['est-ca.ends']).toMatchObject({
      ok: true,
      reason: expect.stringMatching(/profile "long" gives 300 days; sign request ".*-r2" with the root/),
    });
    await certify(est, account, 'dev-1', 'long');

    await est.pass(300 * DAY);
    expect((await est.checks())['est-ca.ends']).toMatchObject({
      reason: expect.stringMatching(/sooner than the 300 days .*: enrolments and renewals are refused/),
    });
    await expect(certify(est, account, 'dev-2', 'long')).rejects.toMatchObject({ code: 'unavailable' });
    await certify(est, account, 'dev-3');

    await est.pass(400 * DAY);
    expect((await est.checks())['est-ca.ends']).toMatchObject({
      reason: expect.stringMatching(/ ended at /),
    });
    await est.event('CA_CHANGED', ({ data }) => data.reason?.startsWith('it ended') === true);
    expect(reasons()).toEqual([
      expect.stringMatching(/^its end draws near.*sign request/),
      expect.stringMatching(/^its end draws near.*is sooner than what it is to give/),
      expect.stringMatching(/^it ended/),
    ]);
    expect(await requests()).toHaveLength(1);

    await upload(order?.csr ?? '', 3000);
    expect(await requests()).toEqual([]);
    await est.pass(0);
    expect((await est.checks())['est-ca.ends']).toEqual({ ok: true });
    const made = await certify(est, account, 'dev-4', 'long');
    await verified(est, made);
  });
});
