import { once } from 'node:events';
import { connect } from 'node:tls';
import {
  createAuthorities,
  createProfile,
  describeAuthorities,
  finishRootReplacement,
  registerRoot,
  replaceRoot,
  requestAuthority,
  rotateServerCertificates,
  uploadAuthority,
} from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { openOwnRoot } from './support/own-root.ts';
import { enrolledDevice } from './support/scene.ts';

const DAY = 86_400_000;
const by = 'ada';

describe('an account’s CAs', () => {
  let est: EstFixture;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    est = stack.use(await openEstFixture({ env: { SIGNET_EST_ACCOUNT_CAS: '6' } }));
  });
  afterAll(() => stack.disposeAsync());
  const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
    est.fixture.deps.bus.request(...args);

  it('are no more than the deployment allows, open requests among them', async () => {
    const account = 'many';
    await request(createAuthorities, { account, by });
    await request(requestAuthority, { account, kind: 'issuing', by });
    const refused = { code: 'too-many-authorities', message: expect.stringContaining('at most 6') };
    await expect(
      request(createAuthorities, { account, kinds: ['factory', 'issuing'], by }),
    ).rejects.toMatchObject(refused);
    await request(requestAuthority, { account, kind: 'factory', by });
    await expect(request(requestAuthority, { account, kind: 'factory', by })).rejects.toMatchObject(refused);
    expect((await request(describeAuthorities, { account })).authorities).toHaveLength(4);
    await request(createAuthorities, { account: 'others', by });
  });

  it('outlast what their profiles give: an upload that ends sooner is refused, one whose end draws near is reported', async () => {
    const account = 'short';
    await using root = await openOwnRoot('Short Root');
    const certificate = root.certificate;
    const statement = await root.state({ action: 'register-root', account, subject: root.fingerprint });
    await request(registerRoot, { account, certificate, statement, by });
    const upload = async (days: number) => {
      const { csr } = await request(requestAuthority, { account, kind: 'issuing', by });
      const signed = await root.sign(csr, { days });
      const subject = parseCertificatePem(signed).fingerprint;
      const proof = await root.state({ action: 'upload', account, subject });
      return request(uploadAuthority, { account, certificate: signed, statement: proof, by });
    };
    await expect(upload(89)).rejects.toMatchObject({
      code: 'bad-certificate',
      message: expect.stringMatching(/sooner than the 90 days that profile "default" gives/),
    });
    const { authority } = await upload(400);
    const { issued } = await enrolledDevice(est, 'dev-short', account);
    expect(issued.notAfter).toBeGreaterThan(Date.now() + 89 * DAY);
    await request(createProfile, { account, name: 'long', settings: { validityDays: 300 }, by });
    await expect(upload(250)).rejects.toMatchObject({
      message: expect.stringContaining('the 300 days that profile "long" gives'),
    });
    await using replica = await est.startReplica();
    expect(replica.estPort).toBeGreaterThan(0);
    const event = await est.event(
      'CA_CHANGED',
      ({ subject, data }) => subject === authority.authorityId && data.reason !== undefined,
    );
    expect(event.data.reason).toMatch(/its end draws near.*profile "long" gives 300 days/);
    await vi.waitFor(async () => {
      const { checks } = await est.fixture.deps.health.report();
      expect(checks['est-ca.ends']).toMatchObject({
        ok: true,
        reason: expect.stringContaining(authority.authorityId),
      });
    });
    await using again = await est.startReplica();
    expect(again.estPort).toBeGreaterThan(0);
    const said = est.events.filter(
      ({ type, subject, data }) =>
        type === 'CA_CHANGED' && subject === authority.authorityId && 'reason' in data,
    );
    expect(said).toHaveLength(1);
  });
});

describe('the server CA of an account', () => {
  it('F43: signs the TLS certificates of the services where the deployment says so: create, rotate-tls, and its root alone is enough, after a new root too', async () => {
    const account = 'acme';
    await using est = await openEstFixture({ env: { SIGNET_EST_SERVER_ACCOUNT: account } });
    const { bus } = est.fixture.deps;
    const reaches = async (ca: string): Promise<string | undefined> => {
      const socket = connect({ host: '127.0.0.1', port: est.service.estPort, ca, servername: 'localhost' });
      try {
        await once(socket, 'secureConnect');
        return socket.getPeerX509Certificate()?.issuer;
      } catch {
        return undefined;
      } finally {
        socket.destroy();
      }
    };
    expect(await reaches(est.anchors)).toContain('Signet Server CA');
    const { authorities } = await bus.request(createAuthorities, { account, by });
    const root = authorities.find(({ kind }) => kind === 'root');
    expect(await reaches(root?.certificate ?? '')).toBeUndefined();
    const done = await bus.request(rotateServerCertificates, { by });
    const server = authorities.find(({ kind }) => kind === 'server');
    expect(done.authorityIds).toContain(server?.authorityId);
    await vi.waitFor(async () => expect(await reaches(root?.certificate ?? '')).toContain('acme server CA'), {
      timeout: 20_000,
    });

    const { authority: next } = await bus.request(replaceRoot, { account, by });
    await bus.request(finishRootReplacement, { account, force: true, by });
    await vi.waitFor(async () => expect(await reaches(next.certificate)).toContain('acme server CA'), {
      timeout: 20_000,
    });
    expect(await reaches(root?.certificate ?? '')).toContain('acme server CA');
  });
});
