import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import {
  createAuthorities,
  describeAuthorities,
  finishRootReplacement,
  PLATFORM_ACCOUNT,
  registerRoot,
  replaceRoot,
  requestAuthority,
  rootReplacement,
  uploadAuthority,
} from '@signet/contracts';
import {
  type Certificate,
  decodeCertsOnly,
  issueCross,
  issueRoot,
  keySigner,
  parseCertificate,
  parseCertificatePem,
} from '@signet/pki';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { call } from './support/est-client.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { openOwnRoot } from './support/own-root.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';
import { signAuthority } from './support/sign-authority.ts';

let est: EstFixture;
let folder: string;
beforeEach(async () => {
  est = await openEstFixture();
  folder = await mkdtemp(join(tmpdir(), 'signet-replacement-'));
});
afterEach(async () => {
  await est?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
  est.fixture.deps.bus.request(...args);
const by = 'ada';
const account = 'acme';

async function opensslVerify(leaf: string, between: string, anchor: string): Promise<string> {
  await writeFile(join(folder, 'leaf.pem'), leaf);
  await writeFile(join(folder, 'between.pem'), between);
  await writeFile(join(folder, 'anchor.pem'), anchor);
  const args = ['verify', '-x509_strict', '-CAfile', 'anchor.pem', '-untrusted', 'between.pem', 'leaf.pem'];
  return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8' });
}

/** What a device gets from cacerts with its operational certificate. */
async function cacerts({ operational }: EnrolledDevice): Promise<readonly Certificate[]> {
  const asked = { path: `/.well-known/est/${account}/cacerts`, identity: operational };
  const reply = await call(est, asked);
  expect(reply.status).toBe(200);
  return decodeCertsOnly(new Uint8Array(Buffer.from(reply.body, 'base64'))).map((der) =>
    parseCertificate(der),
  );
}

async function admitted({ operational }: EnrolledDevice, status: number): Promise<void> {
  const asked = { path: '/.well-known/est/cacerts', identity: operational };
  await vi.waitFor(async () => expect((await call(est, asked)).status).toBe(status), { timeout: 10_000 });
}

describe('a root that Signet keeps', () => {
  it('F85: cacerts gives the four, the cut-over waits for the fleet, and devices go on with what they have', async () => {
    const { authorities } = await request(createAuthorities, { account, by });
    const [old, , issuing] = authorities;
    const fetches = await enrolledDevice(est, 'dev-fetches', account);
    const sleeps = await enrolledDevice(est, 'dev-sleeps', account);
    await admitted(fetches, 200);

    const { authority: next, waiting } = await request(replaceRoot, { account, by });
    expect(waiting).toEqual([]);
    expect((await request(replaceRoot, { account, by })).authority.authorityId).toBe(next.authorityId);
    const given = await cacerts(fetches);
    const oldRoot = parseCertificatePem(old?.certificate ?? '');
    const newRoot = parseCertificatePem(next.certificate);
    const ofName = given.filter(({ subjectDer }) => Buffer.compare(subjectDer, oldRoot.subjectDer) === 0);
    const pairs = ofName.map(({ subjectKeyId, authorityKeyId }) => `${subjectKeyId} by ${authorityKeyId}`);
    const [o, n] = [oldRoot.subjectKeyId, newRoot.subjectKeyId];
    expect(pairs.toSorted()).toEqual(
      [`${o} by ${o}`, `${o} by ${n}`, `${n} by ${n}`, `${n} by ${o}`].toSorted(),
    );
    const newWithOld = ofName.find((c) => c.subjectKeyId === n && c.authorityKeyId === o)?.pem() ?? '';
    const oldWithNew = ofName.find((c) => c.subjectKeyId === o && c.authorityKeyId === n)?.pem() ?? '';
    const leaf = sleeps.issued.pem();
    const between = issuing?.certificate ?? '';
    expect(await opensslVerify(leaf, between + oldWithNew, next.certificate)).toContain('OK');

    const fresh = await enrolledDevice(est, 'dev-fresh', account);
    const status = await request(rootReplacement, { account });
    expect(status.adoption).toEqual([{ account, devices: 3, adopted: 2 }]);
    expect(status.without).toEqual(['acme/dev-sleeps']);
    await expect(request(finishRootReplacement, { account, by })).rejects.toMatchObject({
      code: 'fleet-not-ready',
      message: expect.stringContaining('acme/dev-sleeps'),
    });

    await cacerts(sleeps);
    const done = await request(finishRootReplacement, { account, by });
    expect(done).toMatchObject({ strandedDevices: [], strandedAuthorities: [], strandedCount: 0 });
    const { authorities: after } = await request(describeAuthorities, { account });
    expect(after.find(({ authorityId }) => authorityId === old?.authorityId)?.state).toBe('disabled');
    const moved = after.find(({ kind }) => kind === 'issuing');
    expect(moved).toMatchObject({ parent: next.authorityId, subjectKeyId: issuing?.subjectKeyId });
    expect(await opensslVerify(leaf, moved?.certificate ?? '', next.certificate)).toContain('OK');
    expect(await opensslVerify(leaf, (moved?.certificate ?? '') + newWithOld, oldRoot.pem())).toContain('OK');
    for (const device of [fetches, sleeps, fresh]) await admitted(device, 200);
    const later = await enrolledDevice(est, 'dev-later', account);
    await admitted(later, 200);
    expect((await cacerts(later)).map(({ subjectKeyId }) => subjectKeyId)).not.toContain(o);
    const event = await est.event(
      'CA_CHANGED',
      ({ subject, data }) => subject === old?.authorityId && data.state === 'disabled',
    );
    expect(event.data.reason).toContain(next.authorityId);
    await expect(request(rootReplacement, { account })).rejects.toMatchObject({ code: 'no-replacement' });
  });

  it('F85: forced, it names who is stranded', async () => {
    await request(createAuthorities, { account, by });
    await enrolledDevice(est, 'dev-lost', account);
    await request(replaceRoot, { account, by });
    const done = await request(finishRootReplacement, { account, force: true, by });
    expect(done).toMatchObject({ strandedDevices: ['acme/dev-lost'], strandedCount: 1 });
  });

  it('F85: the platform’s own: servers change over, and who knows only the old root still reaches them', async () => {
    const device = await enrolledDevice(est, 'dev-platform', 'tenant');
    const other = await enrolledDevice(est, 'dev-platform', 'another');
    const oldAnchors = est.anchors;
    const { authority: next } = await request(replaceRoot, { account: PLATFORM_ACCOUNT, by });
    for (const { operational } of [device])
      expect(
        (await call(est, { path: '/.well-known/est/tenant/cacerts', identity: operational })).status,
      ).toBe(200);
    const { adoption } = await request(rootReplacement, { account: PLATFORM_ACCOUNT });
    expect(adoption.toSorted((a, b) => (a.account < b.account ? -1 : 1))).toEqual([
      { account: 'another', devices: 1, adopted: 0 },
      { account: 'tenant', devices: 1, adopted: 1 },
    ]);
    const cut = { account: PLATFORM_ACCOUNT, force: true, by };
    expect((await request(finishRootReplacement, cut)).strandedDevices).toEqual(['another/dev-platform']);
    const reaches = async (ca: string) =>
      new Promise<boolean>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port: est.service.estPort, ca }, () => {
          resolve(socket.authorized);
          socket.destroy();
        });
        socket.on('error', () => resolve(false));
      });
    await vi.waitFor(async () => expect(await reaches(next.certificate)).toBe(true), { timeout: 15_000 });
    expect(await reaches(oldAnchors)).toBe(true);
    for (const one of [device, other]) await admitted(one, 200);
  });
});

describe('a root that the account keeps', () => {
  it('F44 F85: the new root, the ways between and the CAs certified anew come from the owner, signed by the old root', async () => {
    await using own = await openOwnRoot('unused');
    const now = Date.now();
    const make = async (file: string, subject = { commonName: 'Owner root', organization: 'acme' }) => {
      own.openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file);
      const signer = keySigner(createPrivateKey(await readFile(join(own.folder, file), 'utf8')));
      const notAfter = now + 3650 * 86_400_000;
      return {
        signer,
        certificate: await issueRoot({ subject, signer, issuedAt: now, notAfter, pathLen: 1 }),
      };
    };
    const old = await make('root.key');
    await writeFile(join(own.folder, 'root.pem'), old.certificate.pem());
    const next = await make('next.key');
    const state = (
      action: 'register-root' | 'upload' | 'replace-root' | 'finish-replacement',
      subject: string,
    ) => own.state({ action, account, subject });
    const statement = await state('register-root', old.certificate.fingerprint);
    await request(registerRoot, { account, certificate: old.certificate.pem(), statement, by });
    const asked = await request(requestAuthority, { account, kind: 'issuing', by });
    const issuing = await signAuthority(old, asked.csr);
    const upload = { account, certificate: issuing.pem(), by };
    await request(uploadAuthority, { ...upload, statement: await state('upload', issuing.fingerprint) });
    const device = await enrolledDevice(est, 'dev-owner', account);

    const material = {
      certificate: next.certificate.pem(),
      oldWithNew: (await issueCross(next, old.certificate, now)).pem(),
      newWithOld: (await issueCross(old, next.certificate, now)).pem(),
      recertified: [
        { authorityId: asked.requestId, certificate: (await signAuthority(next, asked.csr)).pem() },
      ],
    };
    await expect(request(replaceRoot, { account, own: material, by })).rejects.toMatchObject({
      code: 'statement-missing',
    });
    await expect(request(replaceRoot, { account, by })).rejects.toMatchObject({ code: 'root-elsewhere' });
    const swapped = { ...material, oldWithNew: material.newWithOld };
    await expect(request(replaceRoot, { account, own: swapped, by })).rejects.toMatchObject({
      code: 'bad-certificate',
      message: expect.stringContaining('oldWithNew'),
    });
    const proof = await state('replace-root', next.certificate.fingerprint);
    const begun = await request(replaceRoot, { account, own: material, statement: proof, by });
    expect(begun.waiting).toEqual([]);
    await cacerts(device);
    const { authorityId } = begun.authority;
    const finish = { account, by };
    await expect(request(finishRootReplacement, finish)).rejects.toMatchObject({ code: 'statement-missing' });
    await request(finishRootReplacement, {
      ...finish,
      statement: await state('finish-replacement', authorityId),
    });
    await admitted(device, 200);
    const later = await enrolledDevice(est, 'dev-owner-2', account);
    await admitted(later, 200);
  });
});
