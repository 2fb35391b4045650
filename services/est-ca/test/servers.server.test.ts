import { writeFile } from 'node:fs/promises';
import {
  createAuthorities,
  describeAuthorities,
  describeRootCrl,
  finishRootReplacement,
  registerRoot,
  replaceRoot,
  requestAuthority,
  revokeCertificates,
  setAuthorityState,
  uploadAuthority,
  uploadRootCrl,
} from '@signet/contracts';
import {
  createCrl,
  encodePem,
  keySigner,
  parseCertificatePem,
  parseCrl,
  verifyCrlSignature,
} from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { startMongoJavaServer, startNats } from '@signet/tests/servers/start';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { EstCaService } from '../src/app.ts';
import { call } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { openOwnRoot } from './support/own-root.ts';
import { run } from './support/run.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';

const natsServer = requireServer('nats-server');
const mongo = requireServer('mongo-java-server');
const by = 'ada';

describe.skipIf(natsServer === '' || mongo === '')(
  'two replicas over NATS and MongoDB’s protocol',
  { timeout: 180_000 },
  () => {
    let est: EstFixture;
    let other: EstCaService;
    const stack = new AsyncDisposableStack();
    beforeAll(async () => {
      const nats = stack.use(await startNats(natsServer));
      const documents = stack.use(await startMongoJavaServer(mongo));
      const env = { SIGNET_EST_CRL_CACHE_SECONDS: '0', SIGNET_EST_OCSP_CACHE_SECONDS: '0' };
      est = stack.use(await openEstFixture({ bus: nats.url, store: `${documents.url}est_ca`, env }));
      other = stack.use(await est.startReplica());
    }, 120_000);
    afterAll(() => stack.disposeAsync());

    const request: EstFixture['fixture']['deps']['bus']['request'] = (operation, input) =>
      est.fixture.deps.bus.request(operation, input, { deadlineMs: 30_000 });
    const port = (i: number) => (i % 2 === 0 ? est.service.httpPort : other.httpPort);
    const crl = async (id: string, i = 0) => {
      const response = await fetch(`http://127.0.0.1:${port(i)}/crl/${id}.crl`);
      expect(response.status).toBe(200);
      return parseCrl(new Uint8Array(await response.arrayBuffer()));
    };

    it('race for a CRL: each number is published once, a higher one never lists less, and nothing is lost', async () => {
      const devices: EnrolledDevice[] = [];
      for (let i = 0; i < 8; i++) devices.push(await enrolledDevice(est, `dev-${i}`));
      const seen: Awaited<ReturnType<typeof crl>>[] = [];
      await Promise.all([
        ...devices.map(({ deviceId }) => request(revokeCertificates, { account: ACCOUNT, deviceId, by })),
        ...Array.from({ length: 24 }, async (_, i) => void seen.push(await crl('issuing', i))),
      ]);
      await vi.waitFor(async () => expect((await crl('issuing')).entries).toHaveLength(devices.length), {
        timeout: 30_000,
      });
      for (let i = 0; i < 4; i++) seen.push(await crl('issuing', i));
      const ordered = seen.toSorted((a, b) => Number((a.number ?? 0n) - (b.number ?? 0n)));
      for (const [i, list] of ordered.entries()) {
        const before = ordered[i - 1];
        const listed = new Set(before?.entries.map(({ serialNumber }) => serialNumber));
        expect(listed.isSubsetOf(new Set(list.entries.map(({ serialNumber }) => serialNumber)))).toBe(true);
        if (before?.number === list.number) expect(list.signature).toEqual(before?.signature);
      }
      const numbers = est.events.flatMap((event) =>
        event.type === 'CRL_PUBLISHED' && event.subject === 'issuing' && event.data.delta
          ? [event.data.number]
          : [],
      );
      expect(new Set(numbers).size).toBe(numbers.length);
    });

    it('F43 F49 F85: make an account’s CAs, list a disabled one, replace its root, and both answer alike', async () => {
      const account = 'owned';
      const { authorities } = await request(createAuthorities, { account, by });
      const [root, , issuing] = authorities;
      if (root === undefined || issuing === undefined) throw new Error('not made');
      const device = await enrolledDevice(est, 'dev-owned', account);
      expect(device.issued.authorityKeyId).toBe(issuing.subjectKeyId);
      const off = { account, authorityId: issuing.authorityId, by } as const;
      await request(setAuthorityState, { ...off, state: 'disabled' });
      const { serialNumber } = parseCertificatePem(issuing.certificate);
      for (const i of [0, 1])
        await vi.waitFor(
          async () => {
            const list = await crl(root.authorityId, i);
            expect(verifyCrlSignature(list, parseCertificatePem(root.certificate))).toBe(true);
            expect(list.entries).toMatchObject([{ serialNumber, reason: 'certificateHold' }]);
          },
          { timeout: 30_000 },
        );
      await request(setAuthorityState, { ...off, state: 'active' });

      const { authority: next } = await request(replaceRoot, { account, by });
      await expect(request(finishRootReplacement, { account, by })).rejects.toMatchObject({
        code: 'fleet-not-ready',
      });
      const asked = { path: `/.well-known/est/${account}/cacerts`, identity: device.operational };
      await vi.waitFor(async () => expect((await call(est, asked, other.estPort)).status).toBe(200), {
        timeout: 30_000,
      });
      await request(finishRootReplacement, { account, by });
      const { authorities: after } = await request(describeAuthorities, { account });
      expect(after.find(({ authorityId }) => authorityId === issuing.authorityId)?.parent).toBe(
        next.authorityId,
      );
    });

    it('F44 F46: take what an offline root signs: one of two CRLs at once, whichever replica each went to', async () => {
      const account = 'kept';
      await using root = await openOwnRoot('Kept root');
      const certificate = root.certificate;
      const statement = await root.state({ action: 'register-root', account, subject: root.fingerprint });
      const { authority } = await request(registerRoot, { account, certificate, statement, by });
      const { csr } = await request(requestAuthority, { account, kind: 'issuing', by });
      const signed = await root.sign(csr);
      const subject = parseCertificatePem(signed).fingerprint;
      const proof = await root.state({ action: 'upload', account, subject });
      await request(uploadAuthority, { account, certificate: signed, statement: proof, by });
      const which = { account, authorityId: authority.authorityId };
      const { request: wanted } = await request(describeRootCrl, which);
      const made = async (days: number) =>
        encodePem(
          'X509 CRL',
          await createCrl({
            issuer: parseCertificatePem(certificate),
            signer: keySigner(root.privateKey),
            number: wanted.number,
            thisUpdate: Date.now(),
            nextUpdate: Date.now() + days * 86_400_000,
            entries: [],
          }),
        );
      const done = await Promise.allSettled(
        [30, 31].map(async (days) => request(uploadRootCrl, { ...which, crl: await made(days), by })),
      );
      expect(done.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect((await crl(authority.authorityId, 1)).number).toBe(BigInt(wanted.number));
    });

    it('answer OCSP alike, as soon as a certificate is revoked', async () => {
      const device = await enrolledDevice(est, 'dev-ocsp');
      await using files = await openOwnRoot('unused');
      const issuing = est.fixture.deps.admission.trust
        .authorities()
        .find(({ kind, account }) => kind === 'issuing' && account === 'signet');
      await writeFile(`${files.folder}/issuer.pem`, issuing?.certificate ?? '');
      await writeFile(`${files.folder}/anchors.pem`, est.anchors);
      await writeFile(`${files.folder}/dev.pem`, device.issued.pem());
      const ask = async (i: number) => {
        const url = `http://127.0.0.1:${port(i)}/ocsp`;
        const args = ['-issuer', 'issuer.pem', '-cert', 'dev.pem', '-CAfile', 'anchors.pem', '-url', url];
        const { stdout } = await run('openssl', ['ocsp', ...args], { cwd: files.folder });
        return stdout.toString();
      };
      for (const i of [0, 1]) expect(await ask(i)).toMatch(/dev\.pem: good/);
      await request(revokeCertificates, { account: ACCOUNT, deviceId: 'dev-ocsp', by });
      for (const i of [0, 1])
        await vi.waitFor(async () => expect(await ask(i)).toMatch(/dev\.pem: revoked/), { timeout: 10_000 });
    });
  },
);
