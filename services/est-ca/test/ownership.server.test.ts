import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import {
  type AuthorityDetails,
  addAuthority,
  createAuthorities,
  describeAuthorities,
  listAuthorities,
  registerRoot,
  requestAuthority,
  rotateServerCertificates,
  setAuthorityState,
  signBootstrap,
  uploadAuthority,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { intermediate, type OwnRoot, openOwnRoot } from './support/own-root.ts';
import { enrolledDevice } from './support/scene.ts';

let est: EstFixture;
let folder: string;
beforeAll(async () => {
  est = await openEstFixture();
  folder = await mkdtemp(join(tmpdir(), 'signet-ownership-'));
});
afterAll(async () => {
  await est?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
  est.fixture.deps.bus.request(...args);
const by = 'ada';

/** What openssl says of a leaf below a chain of CAs, root last. */
async function opensslVerify(leaf: string, chain: readonly string[]): Promise<string> {
  const [root = '', ...between] = chain.toReversed();
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return name;
  };
  const untrusted = between.length === 0 ? [] : ['-untrusted', await file('between.pem', between.join(''))];
  const args = ['verify', '-x509_strict', '-CAfile', await file('root.pem', root), ...untrusted];
  return execFileSync('openssl', [...args, await file('leaf.pem', leaf)], { cwd: folder, encoding: 'utf8' });
}

function ofKind(authorities: readonly AuthorityDetails[], kind: string): AuthorityDetails {
  const found = authorities.find((authority) => authority.kind === kind);
  if (found === undefined) throw new Error(`no ${kind}`);
  return found;
}

/** A TLS session with a device certificate; `ended` resolves when it is closed. */
async function session(certificate: string, privateKey: ReturnType<typeof generateKeyPair>['privateKey']) {
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port: est.service.estPort,
    ca: est.anchors,
    cert: certificate,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  });
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  return { socket, ended };
}

describe('CAs that Signet keeps for an account', () => {
  it('F43: one call builds root, factory, issuing and server CA, and openssl verifies what they sign', async () => {
    const account = 'hosted';
    const { authorities } = await request(createAuthorities, { account, by });
    expect(authorities.map(({ kind }) => kind)).toEqual(['root', 'factory', 'issuing', 'server']);
    const root = ofKind(authorities, 'root');
    for (const { certificate, kind } of authorities)
      if (kind !== 'root') expect(await opensslVerify(certificate, [root.certificate])).toContain('OK');
    for (const { authorityId, kind } of authorities) {
      const event = await est.event('CA_CREATED', ({ subject }) => subject === authorityId);
      expect(event).toMatchObject({ account, data: { kind, state: 'active' } });
    }
    const { authorities: pinned } = await request(listAuthorities, {});
    expect(pinned.filter((authority) => authority.account === account)).toHaveLength(4);
    expect(JSON.stringify(await request(describeAuthorities, { account }))).not.toContain('PRIVATE');
  });

  it('F47: registration issues from the account’s own issuing CA, other accounts from the platform’s', async () => {
    const account = 'online';
    const { authorities } = await request(createAuthorities, { account, by });
    const issuing = ofKind(authorities, 'issuing');
    const { issued } = await enrolledDevice(est, 'dev-online', account);
    expect(issued.authorityKeyId).toBe(issuing.subjectKeyId);
    const chain = [issuing.certificate, ofKind(authorities, 'root').certificate];
    expect(await opensslVerify(issued.pem(), chain)).toContain('OK');
    const other = await enrolledDevice(est, 'dev-other', 'others');
    expect(other.issued.authorityKeyId).not.toBe(issuing.subjectKeyId);
  });

  it('sign bootstrap certificates of their account only', async () => {
    const account = 'factories';
    const { authorities } = await request(createAuthorities, { account, kinds: ['factory'], by });
    const sign = async (whose: string) => {
      const csr = createCsr({
        subject: { commonName: 'dev-1' },
        privateKey: generateKeyPair('P-256').privateKey,
      });
      const items = [{ csr: encodePem('CERTIFICATE REQUEST', csr) }];
      return request(signBootstrap, { account: whose, items });
    };
    const own = await sign(account);
    expect(own.authorityId).toBe(ofKind(authorities, 'factory').authorityId);
    const [first] = own.results;
    if (first === undefined || 'error' in first) throw new Error('not signed');
    expect(await opensslVerify(first.certificate, own.chain)).toContain('OK');
    expect((await sign('others')).authorityId).toBe('factory');
  });

  it('are as many of a kind as are made: the newest in force issues, and below one root', async () => {
    const account = 'several';
    const first = (await request(createAuthorities, { account, by })).authorities;
    const second = (await request(createAuthorities, { account, kinds: ['issuing'], by })).authorities;
    expect(second.map(({ kind }) => kind)).toEqual(['issuing']);
    expect(ofKind(second, 'issuing').parent).toBe(ofKind(first, 'root').authorityId);
    const newest = ofKind(second, 'issuing');
    expect((await enrolledDevice(est, 'dev-several', account)).issued.authorityKeyId).toBe(
      newest.subjectKeyId,
    );
    const off = { account, authorityId: newest.authorityId, state: 'disabled', by } as const;
    await request(setAuthorityState, off);
    const { issued } = await enrolledDevice(est, 'dev-several-2', account);
    expect(issued.authorityKeyId).toBe(ofKind(first, 'issuing').subjectKeyId);
  });

  it('F49: a session of a disabled CA ends within seconds, its devices are refused, and nobody issues in its place', async () => {
    const account = 'cutoff';
    const { authorities } = await request(createAuthorities, { account, by });
    const { authorityId } = ofKind(authorities, 'issuing');
    const device = await enrolledDevice(est, 'dev-cutoff', account);
    const { certificate, privateKey } = device.operational;
    const asked = { path: '/.well-known/est/cacerts', identity: device.operational };
    await vi.waitFor(async () => expect((await call(est, asked)).status).toBe(200), { timeout: 10_000 });
    const live = await session(certificate, privateKey);
    const startedAt = performance.now();
    const change = { account, authorityId, state: 'disabled', reason: 'audit', by } as const;
    const { authority } = await request(setAuthorityState, change);
    expect(authority).toMatchObject({ state: 'disabled', reason: 'audit' });
    await live.ended;
    expect(performance.now() - startedAt).toBeLessThan(5000);
    const event = await est.event('CA_CHANGED', ({ subject }) => subject === authorityId);
    expect(event.data).toMatchObject({ state: 'disabled', reason: 'audit' });
    expect((await call(est, asked)).status).toBe(403);
    const next = await est.bootstrapDevice('dev-cutoff-2');
    const grant = await est.grantFor(next, { account });
    const csr = { privateKey: generateKeyPair('P-256').privateKey };
    const refused = await call(est, enrolment(csr, { basic: ['dev-cutoff-2', grant] }));
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5']);

    await request(setAuthorityState, { account, authorityId, state: 'active', by });
    await vi.waitFor(async () => expect((await call(est, asked)).status).toBe(200), { timeout: 10_000 });
  });

  it('F47: another replica issues from a CA as soon as it is made', async () => {
    const account = 'replicas';
    await using replica = await est.startReplica();
    const { authorities } = await request(createAuthorities, { account, by });
    const device = await est.bootstrapDevice('dev-replica');
    const grant = await est.grantFor(device, { account });
    const csr = { privateKey: generateKeyPair('P-256').privateKey };
    const { subjectKeyId } = ofKind(authorities, 'issuing');
    await vi.waitFor(async () => {
      const reply = await call(est, enrolment(csr, { basic: ['dev-replica', grant] }), replica.estPort);
      expect(issuedIn(reply).authorityKeyId).toBe(subjectKeyId);
    });
  });

  it('F49: revoked is final', async () => {
    const account = 'final';
    const { authorities } = await request(createAuthorities, { account, by });
    const { authorityId } = ofKind(authorities, 'issuing');
    await request(setAuthorityState, { account, authorityId, state: 'revoked', by });
    await expect(
      request(setAuthorityState, { account, authorityId, state: 'active', by }),
    ).rejects.toMatchObject({ code: 'illegal-transition', message: expect.stringContaining('revoked') });
    await expect(
      request(setAuthorityState, { account: 'other', authorityId, state: 'active', by }),
    ).rejects.toMatchObject({ code: 'unknown-authority' });
  });
});

describe('CAs below a root that the account keeps itself', () => {
  const account = 'acme';
  let root: OwnRoot;
  beforeAll(async () => {
    root = await openOwnRoot('Acme Root');
    const subject = root.fingerprint;
    const statement = await root.state({ action: 'register-root', account, subject });
    await request(registerRoot, { account, certificate: root.certificate, statement, by });
  });
  afterAll(() => root?.[Symbol.asyncDispose]());

  const uploadOf = async (certificate: string, signer = root) => ({
    account,
    certificate,
    statement: await signer.state({
      action: 'upload',
      account,
      subject: parseCertificatePem(certificate).fingerprint,
    }),
    by,
  });

  it('F54: of the root only the certificate is stored, and what looks like a private key is refused', async () => {
    const key = await readFile(join(root.folder, 'root.key'), 'utf8');
    await expect(
      request(registerRoot, { account: 'leaky', certificate: key + root.certificate, by }),
    ).rejects.toMatchObject({ code: 'bad-certificate', message: expect.stringContaining('private key') });
    const { authorities } = await request(describeAuthorities, { account });
    const registered = ofKind(authorities, 'root');
    expect(registered.custody).toBe('elsewhere');
    const keys = await readdir(join(est.fixture.dataDir, 'est-ca', 'keys'));
    expect(keys.filter((name) => name.startsWith(registered.authorityId))).toEqual([]);
  });

  it('F46 F47: a request is signed offline with openssl, uploaded, and issues', async () => {
    const asked = await request(requestAuthority, { account, kind: 'issuing', by });
    expect(asked.csr).toContain('BEGIN CERTIFICATE REQUEST');
    const certificate = await root.sign(asked.csr);
    const { authority } = await request(uploadAuthority, await uploadOf(certificate));
    expect(authority).toMatchObject({ authorityId: asked.requestId, kind: 'issuing', custody: 'file' });
    const { issued } = await enrolledDevice(est, 'dev-own', account);
    expect(await opensslVerify(issued.pem(), [certificate, root.certificate])).toContain('OK');
    const after = await request(describeAuthorities, { account });
    expect(after.requests.map(({ requestId }) => requestId)).not.toContain(asked.requestId);
    const again = await request(uploadAuthority, { account, certificate, by });
    expect(again.authority.authorityId).toBe(asked.requestId);
  });

  it.each([
    ['does not bear CA:true', ['basicConstraints=critical,CA:FALSE'], 'bad-certificate', /CA:true/],
    ['allows CAs below it', ['basicConstraints=critical,CA:TRUE'], 'bad-certificate', /pathLen must be 0/],
    [
      'may not sign CRLs',
      ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'],
      'bad-certificate',
      /cRLSign/,
    ],
    [
      'names another purpose',
      [...intermediate, 'extendedKeyUsage=serverAuth'],
      'bad-certificate',
      /extKeyUsage/,
    ],
  ])('F46: a certificate is refused that %s', async (_, extensions, code, message) => {
    const { csr } = await request(requestAuthority, { account, kind: 'issuing', by });
    const complete = [...new Map([...intermediate, ...extensions].map((l) => [l.split('=')[0], l])).values()];
    const certificate = await root.sign(csr, { extensions: complete });
    await expect(request(uploadAuthority, await uploadOf(certificate))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it('F46: a certificate is refused that another root signed, whatever name that bears', async () => {
    await using namesake = await openOwnRoot('Acme Root');
    await using stranger = await openOwnRoot('Stranger Root');
    const { csr } = await request(requestAuthority, { account, kind: 'issuing', by });
    const byNamesake = await namesake.sign(csr, {
      extensions: intermediate.filter((line) => !line.startsWith('authorityKeyIdentifier')),
    });
    await expect(request(uploadAuthority, await uploadOf(byNamesake))).rejects.toMatchObject({
      code: 'does-not-chain',
      message: expect.stringMatching(/signature|KeyIdentifier/),
    });
    await expect(request(uploadAuthority, await uploadOf(await stranger.sign(csr)))).rejects.toMatchObject({
      code: 'does-not-chain',
      message: expect.stringContaining('issuer'),
    });
  });

  it('F46: a certificate is refused whose key was not requested by this account', async () => {
    const csr = createCsr({ subject: { commonName: 'x' }, privateKey: generateKeyPair('P-256').privateKey });
    const certificate = await root.sign(encodePem('CERTIFICATE REQUEST', csr));
    await expect(request(uploadAuthority, await uploadOf(certificate))).rejects.toMatchObject({
      code: 'foreign-key',
    });
  });

  it('F44: a change without a statement, with a forged, foreign, old or used one is refused', async () => {
    const { csr } = await request(requestAuthority, { account, kind: 'issuing', by });
    const certificate = await root.sign(csr);
    const upload = { account, certificate, by };
    const facts = {
      action: 'upload',
      account,
      subject: parseCertificatePem(certificate).fingerprint,
    } as const;
    const refused = (input: object, code: string, message: RegExp) =>
      expect(request(uploadAuthority, { ...upload, ...input })).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    await refused({}, 'statement-missing', /signed with the key of its root/);
    await using other = await openOwnRoot('Acme Root');
    await refused({ statement: await other.state(facts) }, 'statement-invalid', /signature/);
    const good = await root.state(facts);
    const tampered = { ...good, statement: good.statement.replace('upload', 'revoke') };
    await refused({ statement: tampered }, 'statement-invalid', /action/);
    await refused(
      { statement: await root.state({ ...facts, account: 'rival' }) },
      'statement-invalid',
      /account/,
    );
    await refused(
      { statement: await root.state({ ...facts, subject: 'x' }) },
      'statement-invalid',
      /subject/,
    );
    const old = new Date(Date.now() - 25 * 3_600_000).toISOString();
    await refused({ statement: await root.state(facts, { issuedAt: old }) }, 'statement-expired', /24 hours/);

    const { authority } = await request(uploadAuthority, { ...upload, statement: good });
    const off = { account, authorityId: authority.authorityId, state: 'disabled', by } as const;
    await expect(request(setAuthorityState, off)).rejects.toMatchObject({ code: 'statement-missing' });
    const disable = await root.state({ action: 'disable', account, subject: authority.authorityId });
    await request(setAuthorityState, { ...off, statement: disable });
    const activate = await root.state({ action: 'activate', account, subject: authority.authorityId });
    await request(setAuthorityState, { ...off, state: 'active', statement: activate });
    await expect(request(setAuthorityState, { ...off, statement: disable })).rejects.toMatchObject({
      code: 'statement-used',
    });
  });

  it('F44: nobody registers a second root beside the first, nor one whose key they do not hold', async () => {
    await using other = await openOwnRoot('Other Root');
    const facts = { action: 'register-root', account, subject: other.fingerprint } as const;
    const input = { account, certificate: other.certificate, by };
    await expect(
      request(registerRoot, { ...input, statement: await other.state(facts) }),
    ).rejects.toMatchObject({ code: 'root-exists' });
    const elsewhere = { ...facts, account: 'thief', subject: root.fingerprint };
    const stolen = { account: 'thief', certificate: root.certificate, by };
    await expect(request(registerRoot, stolen)).rejects.toMatchObject({ code: 'statement-missing' });
    await expect(
      request(registerRoot, { ...stolen, statement: await other.state(elsewhere) }),
    ).rejects.toMatchObject({ code: 'statement-invalid' });
  });

  it('F48 F49: a CA that the owner keeps is added: a certificate made offline is admitted, until the CA is revoked', async () => {
    const keys = generateKeyPair('P-256');
    const local = await openOwnRoot('unused');
    try {
      await writeFile(join(local.folder, 'ca.key'), keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
      const csr = createCsr({ subject: { commonName: 'Acme line 7' }, privateKey: keys.privateKey });
      const certificate = await root.sign(encodePem('CERTIFICATE REQUEST', csr));
      const subject = parseCertificatePem(certificate).fingerprint;
      const statement = await root.state({ action: 'add', account, subject });
      const add = { account, kind: 'issuing', certificate, statement, by } as const;
      // the root alone would let anybody certify, and take, the key of somebody else's CA
      await expect(request(addAuthority, add)).rejects.toMatchObject({ code: 'statement-missing' });
      const text = await root.state({ action: 'add', account, subject });
      const signature = sign('sha256', Buffer.from(text.statement), keys.privateKey).toString('base64');
      const possession = { ...text, signature };
      const waived = { ...add, waiver: 'mine' };
      await expect(request(addAuthority, waived)).rejects.toMatchObject({ code: 'platform-only' });
      const added = await request(addAuthority, { ...add, possession });
      expect(added.authority.custody).toBe('elsewhere');

      await writeFile(join(local.folder, 'ca.pem'), certificate);
      const extensions = [
        'basicConstraints=critical,CA:FALSE',
        'keyUsage=critical,digitalSignature',
        'extendedKeyUsage=clientAuth',
        'subjectKeyIdentifier=hash',
        'authorityKeyIdentifier=keyid',
        'subjectAltName=URI:spiffe://signet.local/acme/device/dev-offline',
      ];
      await writeFile(join(local.folder, 'leaf.ext'), extensions.join('\n'));
      local.openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'leaf.key');
      local.openssl('req', '-new', '-key', 'leaf.key', '-subj', '/O=acme/CN=dev-offline', '-out', 'leaf.csr');
      local.openssl(
        ...['x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '30'],
        ...['-set_serial', '0x1234567890abcdef', '-sha256', '-extfile', 'leaf.ext', '-out', 'leaf.pem'],
      );
      const identity = {
        certificate: await readFile(join(local.folder, 'leaf.pem'), 'utf8'),
        privateKey: createPrivateKey(await readFile(join(local.folder, 'leaf.key'), 'utf8')),
      };
      const asked = { path: '/.well-known/est/cacerts', identity };
      await vi.waitFor(async () => expect((await call(est, asked)).status).toBe(200), { timeout: 10_000 });
      const live = await session(identity.certificate, identity.privateKey);
      const { authorityId } = added.authority;
      const proof = await root.state({ action: 'revoke', account, subject: authorityId });
      await request(setAuthorityState, { account, authorityId, state: 'revoked', statement: proof, by });
      await live.ended;
      expect((await call(est, asked)).status).toBe(403);
    } finally {
      await local[Symbol.asyncDispose]();
    }
  });

  it('F49: nobody takes the key identifier of another CA, by which the deny list would name both', async () => {
    await using rival = await openOwnRoot('Rival Root');
    const whose = 'rival';
    const statement = await rival.state({
      action: 'register-root',
      account: whose,
      subject: rival.fingerprint,
    });
    await request(registerRoot, { account: whose, certificate: rival.certificate, statement, by });
    const { authorities } = await request(listAuthorities, {});
    const victim = authorities.find(({ authorityId }) => authorityId === 'issuing');
    const { csr } = await request(requestAuthority, { account: whose, kind: 'issuing', by });
    const certificate = await rival.sign(csr, {
      extensions: intermediate.map((line) =>
        line.startsWith('subjectKeyIdentifier') ? `subjectKeyIdentifier=${victim?.subjectKeyId}` : line,
      ),
    });
    const subject = parseCertificatePem(certificate).fingerprint;
    const proof = await rival.state({ action: 'upload', account: whose, subject });
    await expect(
      request(uploadAuthority, { account: whose, certificate, statement: proof, by }),
    ).rejects.toMatchObject({ code: 'authority-exists' });
  });
});

describe('TLS certificates of the services', () => {
  it('are replaced, with a new key, when that is asked for', async () => {
    const shown = async () => {
      const socket = connect({ host: '127.0.0.1', port: est.service.estPort, ca: est.anchors });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const before = await shown();
    const done = await request(rotateServerCertificates, { by });
    expect(done.authorityIds).toContain('server');
    await vi.waitFor(async () => expect(await shown()).not.toBe(before), { timeout: 15_000 });
  });
});
