import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  describeAuthorities,
  finishRootReplacement,
  issueServerCertificate,
  PLATFORM_ACCOUNT,
  registerRoot,
  replaceRoot,
  requestAuthority,
  uploadAuthority,
} from '@signet/contracts';
import {
  createCsr,
  encodePem,
  generateKeyPair,
  issueCross,
  issueRoot,
  keySigner,
  parseCertificatePem,
  recertify,
} from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authorities as collection } from '../src/domain/authority/authority.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { openOwnRoot } from './support/own-root.ts';
import { enrolledDevice } from './support/scene.ts';
import { allGood, openVerifiers, type Verifiers, verifiersAreHere } from './support/verifiers.ts';

const by = 'ada';

describe.skipIf(!verifiersAreHere)('chains while a root is replaced', { timeout: 300_000 }, () => {
  let verifiers: Verifiers;
  beforeAll(async () => {
    verifiers = await openVerifiers();
  }, 300_000);
  afterAll(() => verifiers?.[Symbol.asyncDispose]());

  /** What a service gets now, under each of these anchors: those of a device that knows one root only. */
  async function serverVerifies(est: EstFixture, anchors: Readonly<Record<string, string>>, stage: string) {
    const { privateKey } = generateKeyPair('P-256');
    const csr = encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName: 'svc' }, privateKey }));
    const { certificate, chain } = await est.fixture.deps.bus.request(issueServerCertificate, {
      ...{ service: 'svc', csr, names: ['localhost'] },
    });
    for (const [name, anchor] of Object.entries(anchors)) {
      const shown = { leaf: certificate, between: chain, anchors: [anchor], as: 'server' } as const;
      expect(await verifiers.verify(shown), `${stage}, ${name}`).toEqual(allGood);
    }
  }

  it('F85: through two replacements, openssl, Go, Java and GnuTLS verify servers and devices with any root alone', async () => {
    await using est = await openEstFixture();
    const { bus, store } = est.fixture.deps;
    const account = PLATFORM_ACCOUNT;
    const documents = await store.collection(collection);
    const before = (await documents.get('issuing'))?.certificate ?? '';
    const device = await enrolledDevice(est, 'dev-chains', 'tenant');
    const leaf = device.issued.pem();
    const first = (await documents.get('root'))?.certificate ?? '';
    await serverVerifies(est, { first }, 'before');

    const second = (await bus.request(replaceRoot, { account, by })).authority;
    const anchors = { first, second: second.certificate };
    await serverVerifies(est, anchors, 'both given');
    await bus.request(finishRootReplacement, { account, force: true, by });
    await serverVerifies(est, anchors, 'cut over');
    const cross = (await documents.get(second.authorityId))?.crossCertificates;
    const after = (await documents.get('issuing'))?.certificate ?? '';
    expect(after).not.toBe(before);
    for (const [between, anchor] of [
      [[before], first],
      [[before, cross?.oldWithNew ?? ''], second.certificate],
      [[after], second.certificate],
      [[after, cross?.newWithOld ?? ''], first],
    ] as const)
      expect(await verifiers.verify({ leaf, between, anchors: [anchor] })).toEqual(allGood);

    const third = (await bus.request(replaceRoot, { account, by })).authority;
    await serverVerifies(est, anchors, 'third given');
    await bus.request(finishRootReplacement, { account, force: true, by });
    await serverVerifies(est, { ...anchors, third: third.certificate }, 'third in force');
  });

  it('F85: a root of pathlen 1 by openssl, as earlier releases had them, is replaced, and Go and GnuTLS go on by the bridge', async () => {
    const account = 'acme';
    await using est = await openEstFixture({ env: { SIGNET_EST_SERVER_ACCOUNT: account } });
    const { bus } = est.fixture.deps;
    await using own = await openOwnRoot('Owner root');
    const old = {
      certificate: parseCertificatePem(own.certificate),
      signer: keySigner(own.privateKey),
    };
    const registered = await bus.request(registerRoot, {
      ...{ account, certificate: own.certificate, by },
      statement: await own.state({ action: 'register-root', account, subject: own.fingerprint }),
    });
    for (const kind of ['issuing', 'server'] as const) {
      const asked = await bus.request(requestAuthority, { account, kind, by });
      const certificate = await own.sign(asked.csr, { days: 3000 });
      const { fingerprint: subject } = parseCertificatePem(certificate);
      const statement = await own.state({ action: 'upload', account, subject });
      await bus.request(uploadAuthority, { account, certificate, statement, by });
    }
    const device = await enrolledDevice(est, 'dev-owner', account);
    const leaf = device.issued.pem();
    await serverVerifies(est, { old: own.certificate }, 'before');

    own.openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'next.key');
    const signer = keySigner(createPrivateKey(await readFile(join(own.folder, 'next.key'), 'utf8')));
    const { subjectDer: subject, notAfter } = old.certificate;
    const now = Date.now();
    const next = { signer, certificate: await issueRoot({ subject, signer, issuedAt: now, notAfter }) };
    const { authorities } = await bus.request(describeAuthorities, { account });
    const below = authorities.filter(({ kind }) => kind !== 'root');
    const material = {
      certificate: next.certificate.pem(),
      oldWithNew: (await issueCross(next, old.certificate, now)).pem(),
      newWithOld: (await issueCross(old, next.certificate, now)).pem(),
      recertified: await Promise.all(
        below.map(async ({ authorityId, certificate }) => ({
          authorityId,
          certificate: (await recertify(next, parseCertificatePem(certificate), now)).pem(),
        })),
      ),
    };
    expect(parseCertificatePem(material.oldWithNew).subjectKeyId).toBe(old.certificate.subjectKeyId);
    const proof = { action: 'replace-root', account, subject: next.certificate.fingerprint } as const;
    const begun = await bus.request(replaceRoot, {
      ...{ account, own: material, statement: await own.state(proof), by },
    });
    expect(begun.waiting).toEqual([]);
    const anchors = { old: own.certificate, next: material.certificate };
    await serverVerifies(est, anchors, 'both given');
    const { authorityId } = begun.authority;
    const finish = { action: 'finish-replacement', account, subject: authorityId } as const;
    await bus.request(finishRootReplacement, {
      ...{ account, force: true, by, statement: await own.state(finish) },
    });
    await serverVerifies(est, anchors, 'cut over');

    const issuing = below.find(({ kind }) => kind === 'issuing');
    const former = issuing?.certificate ?? '';
    const current =
      material.recertified.find((one) => one.authorityId === issuing?.authorityId)?.certificate ?? '';
    for (const [between, anchor] of [
      [[former], anchors.old],
      [[former, material.oldWithNew], anchors.next],
      [[current], anchors.next],
    ] as const)
      expect(await verifiers.verify({ leaf, between, anchors: [anchor] })).toEqual(allGood);
    // what pathlen 1 leaves no room for by the count of Go and GnuTLS; nothing of ours sends it
    const counted = await verifiers.verify({
      leaf,
      between: [current, material.newWithOld],
      anchors: [anchors.old],
    });
    expect(counted).toMatchObject({ openssl: 'good', java: 'good' });
    expect(counted.go).toMatch(/too many intermediates/);
    expect(counted.gnutls).toMatch(/constraints/);
    expect(registered.authority.authorityId).not.toBe(authorityId);
  });
});
