import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProfile, type ProfileChanges } from '@signet/contracts';
import { type CsrRequest, EKU, generateKeyPair } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';
import { expectRefusal } from './support/scene.ts';

const openssl = requireServer('openssl');
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture();
  const create = (name: string, settings: ProfileChanges) =>
    est.fixture.deps.bus.request(createProfile, { account: ACCOUNT, name, settings, by: 'ada' });
  await create('shaped', {
    keyKinds: ['P-384'],
    requiredExtensions: ['keyUsage', 'extKeyUsage'],
    requiredAttributes: ['1.3.6.1.1.1.1.22'],
  });
  await create('linked', { popLinking: true, csrAttributes: 'template' });
});
afterAll(() => est?.[Symbol.asyncDispose]());

const path = (profile: string, operation: string) => `/.well-known/est/${ACCOUNT}.${profile}/${operation}`;

async function granted(deviceId: string, profile: string) {
  const device = await est.bootstrapDevice(deviceId);
  return [deviceId, await est.grantFor(device, { profile })] as const;
}

describe('F80: csrattrs (RFC 7030 §4.5)', () => {
  it.each(['/.well-known/est/csrattrs', `/.well-known/est/${ACCOUNT}/csrattrs`])(
    '%s asks for nothing, with 200',
    async (plain) => {
      const reply = await call(est, { path: plain });
      expect([reply.status, reply.headers['content-type'], reply.body.trim()]).toEqual([
        200,
        'application/csrattrs',
        'MAA=',
      ]);
    },
  );

  it.skipIf(openssl === '')('says what the profile enforces, as openssl reads it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'signet-csrattrs-'));
    try {
      const texts: string[] = [];
      for (const profile of ['shaped', 'linked']) {
        const reply = await call(est, { path: path(profile, 'csrattrs') });
        expect(reply.status).toBe(200);
        await writeFile(join(folder, 'attrs.der'), Buffer.from(reply.body, 'base64'));
        const parsed = await run(openssl, ['asn1parse', '-inform', 'DER', '-in', 'attrs.der'], {
          cwd: folder,
        });
        expect(parsed.code).toBe(0);
        texts.push(parsed.stdout.toString());
      }
      const [shaped = '', linked = ''] = texts;
      for (const name of [
        'id-ecPublicKey',
        'secp384r1',
        'Extension Request',
        'X509v3 Key Usage',
        '1.3.6.1.1.1.1.22',
        'ecdsa-with-SHA384',
      ])
        expect(shaped).toContain(name);
      expect(shaped).not.toContain('challengePassword');
      expect(linked).toContain('1.2.840.113549.1.9.16.2.61');
      expect(linked).toContain('challengePassword');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('what it says is enforced: 400 that names what is missing; what follows it enrols', async () => {
    const basic = await granted('dev-shaped', 'shaped');
    const { privateKey } = generateKeyPair('P-384');
    const ask = (csr: CsrRequest) => call(est, enrolment(csr, { basic }));
    const extensions = { keyUsage: ['digitalSignature'], extKeyUsage: [EKU.clientAuth] } as const;
    const attributes = [{ oid: '1.3.6.1.1.1.1.22', value: new Uint8Array([0x16, 2, 0x61, 0x62]) }];
    await expectRefusal(est, await ask({ privateKey, attributes }), {
      status: 400,
      code: 'missing-attribute',
      text: /lacks keyUsage/,
      deviceId: 'dev-shaped',
    });
    expect(await ask({ privateKey, ...extensions })).toMatchObject({
      status: 400,
      body: expect.stringMatching(/lacks 1\.3\.6\.1\.1\.1\.1\.22/),
    });
    await expectRefusal(
      est,
      await ask({ privateKey: generateKeyPair('P-256').privateKey, ...extensions, attributes }),
      {
        status: 400,
        code: 'weak-key',
        text: /P-256 is not allowed/,
        deviceId: 'dev-shaped',
      },
    );
    expect(issuedIn(await ask({ privateKey, ...extensions, attributes })).subject.commonName).toBe(
      'dev-shaped',
    );
  });
});
