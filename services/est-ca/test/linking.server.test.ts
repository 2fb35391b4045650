import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProfile, type ProfileChanges, setDeviceProfile } from '@signet/contracts';
import { createCsr, generateKeyPair } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boundCall } from './support/bound-call.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { enrolledDevice, expectRefusal } from './support/scene.ts';

const openssl = requireServer('openssl');

let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture();
  const create = (name: string, settings: ProfileChanges) =>
    est.fixture.deps.bus.request(createProfile, { account: ACCOUNT, name, settings, by: 'ada' });
  await create('linked', { popLinking: true });
  await create('loose', {});
});
afterAll(() => est?.[Symbol.asyncDispose]());

const path = (profile: string, operation = 'simpleenroll') =>
  `/.well-known/est/${ACCOUNT}.${profile}/${operation}`;
const newKey = () => generateKeyPair('P-256').privateKey;

async function granted(deviceId: string, profile: string) {
  const device = await est.bootstrapDevice(deviceId);
  return [deviceId, await est.grantFor(device, { profile })] as const;
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'linking of identity and proof of possession on %s (RFC 7030 §3.5)',
  (version) => {
    const id = (name: string) => `${name}-${version.slice(-1)}`;

    it.each(['linked', 'loose'])(
      'takes the channel binding of the connection: profile "%s"',
      async (profile) => {
        const basic = await granted(id(`dev-${profile}`), profile);
        const privateKey = newKey();
        const reply = await boundCall(est, version, (challengePassword) =>
          enrolment({ privateKey, challengePassword }, { basic, path: path(profile) }),
        );
        expect(issuedIn(reply).subject.commonName).toBe(id(`dev-${profile}`));
      },
    );

    it('refuses another one, naming the requirement', async () => {
      const basic = await granted(id('dev-mismatch'), 'linked');
      const reply = await boundCall(est, version, (binding) =>
        enrolment(
          {
            privateKey: newKey(),
            challengePassword: `${binding.startsWith('A') ? 'B' : 'A'}${binding.slice(1)}`,
          },
          { basic, path: path('linked') },
        ),
      );
      await expectRefusal(est, reply, {
        status: 400,
        code: 'wrong-binding',
        text: /is not the channel binding.*requires linking of identity and proof of possession/,
        deviceId: id('dev-mismatch'),
      });
    });

    it('verifies it in a renewal as well, where it is required and where it is not', async () => {
      const device = await enrolledDevice(est, id('dev-renew'));
      const csr = { subjectDer: device.issued.subjectDer, privateKey: device.operational.privateKey };
      const renew = (profile: string | undefined, make: (binding: string) => string | undefined) =>
        boundCall(est, version, (binding) => {
          const challengePassword = make(binding);
          return enrolment(challengePassword === undefined ? csr : { ...csr, challengePassword }, {
            identity: device.operational,
            path: profile === undefined ? '/.well-known/est/simplereenroll' : path(profile, 'simplereenroll'),
          });
        });
      for (const profile of [undefined, 'linked']) {
        if (profile !== undefined)
          await est.fixture.deps.bus.request(setDeviceProfile, {
            ...{ account: ACCOUNT, deviceId: device.deviceId, profile, by: 'ada' },
          });
        issuedIn(await renew(profile, (binding) => binding));
        expect(await renew(profile, () => 'c3RhbGU=')).toMatchObject({
          status: 400,
          body: expect.stringMatching(/channel binding/),
        });
      }
      expect(await renew('linked', () => undefined)).toMatchObject({
        status: 400,
        body: expect.stringMatching(/challengePassword: missing; profile "acme.linked" requires linking/),
      });
    });
  },
);

describe('where a profile requires linking', () => {
  it('a CSR without it is refused, naming the requirement', async () => {
    const basic = await granted('dev-absent', 'linked');
    const reply = await call(est, enrolment({ privateKey: newKey() }, { basic }));
    await expectRefusal(est, reply, {
      status: 400,
      code: 'wrong-binding',
      text: /challengePassword: missing.*RFC 7030 §3\.5|challengePassword: missing.*RFC 7030 \?3\.5/,
      deviceId: 'dev-absent',
    });
  });

  it('a grant in its place is not it', async () => {
    const [deviceId, grant] = await granted('dev-grant', 'linked');
    const csr = { privateKey: newKey(), challengePassword: grant };
    expect((await call(est, enrolment(csr, { basic: [deviceId, grant] }))).status).toBe(400);
    expect((await call(est, enrolment(csr, { path: path('linked') }))).status).toBe(401);
  });
});

describe('where a profile does not', () => {
  it('a challengePassword that is neither grant nor binding is refused anyway', async () => {
    const basic = await granted('dev-stale', 'loose');
    const reply = await call(est, enrolment({ privateKey: newKey(), challengePassword: 'stale' }, { basic }));
    await expectRefusal(est, reply, { status: 401, code: 'wrong-grant', text: /^challengePassword: / });
  });
});

describe.skipIf(openssl === '')('openssl s_client', () => {
  it('agrees on what the channel binding of TLS 1.3 is', async () => {
    const [deviceId, grant] = await granted('dev-s-client', 'linked');
    const folder = await mkdtemp(join(tmpdir(), 'signet-linking-'));
    try {
      await writeFile(join(folder, 'root.pem'), est.anchors);
      const client = spawn(
        openssl,
        ['s_client', '-connect', `127.0.0.1:${est.service.estPort}`, '-tls1_3', '-CAfile', 'root.pem'].concat(
          ['-keymatexport', 'EXPORTER-Channel-Binding', '-keymatexportlen', '32', '-ign_eof'],
        ),
        { cwd: folder },
      );
      let output = '';
      for await (const chunk of client.stdout) {
        const before = output;
        output += String(chunk);
        const keying = /Keying material: ([0-9A-F]{64})/.exec(output)?.[1];
        if (keying !== undefined && !/Keying material: [0-9A-F]{64}/.test(before)) {
          const challengePassword = Buffer.from(keying, 'hex').toString('base64');
          const body = Buffer.from(createCsr({ privateKey: newKey(), challengePassword })).toString('base64');
          client.stdin.write(
            [
              `POST ${path('linked')} HTTP/1.1`,
              'Host: localhost',
              `Authorization: Basic ${btoa(`${deviceId}:${grant}`)}`,
              'Content-Type: application/pkcs10',
              `Content-Length: ${body.length}`,
              'Connection: close',
              '',
              body,
            ].join('\r\n'),
          );
        }
      }
      expect(output).toMatch(/HTTP\/1\.1 200 OK/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
