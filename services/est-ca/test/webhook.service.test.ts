import { changeProfile, createProfile, newEvent, revokeCertificates } from '@signet/contracts';
import { generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { webhookCaller } from '../src/adapters/ask-webhook.ts';
import { openCollections } from '../src/collections.ts';
import { type BackEnd, isSigned, json, startBackEnd } from './support/back-end.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { expectRefusal } from './support/scene.ts';

const stack = new AsyncDisposableStack();
let est: EstFixture;
let backEnd: BackEnd;
let secret = '';
beforeAll(async () => {
  backEnd = stack.use(await startBackEnd());
  est = stack.use(await openEstFixture({ env: { SIGNET_OUTWARD_PRIVATE: 'true' } }));
  const made = await est.fixture.deps.bus.request(createProfile, {
    account: ACCOUNT,
    name: 'asked',
    settings: { webhook: { url: backEnd.url } },
    by: 'ada',
  });
  secret = made.webhookSecret ?? '';
  expect(JSON.stringify(made.profile)).not.toContain(secret);
});
afterAll(() => stack.disposeAsync());
beforeEach(() => {
  backEnd.answer = json({ allow: true });
});

async function asking(deviceId: string) {
  const device = await est.bootstrapDevice(deviceId);
  const basic = [deviceId, await est.grantFor(device, { profile: 'asked' })] as const;
  const { privateKey } = generateKeyPair('P-256');
  const identity = { certificate: device.certificate, privateKey: device.keys.privateKey };
  return { device, privateKey, ask: () => call(est, enrolment({ privateKey }, { basic, identity })) };
}
const about = (deviceId: string) =>
  backEnd.received.filter(({ message }) => message.data.deviceId === deviceId);
const isIssued = (deviceId: string) =>
  est.events.some(({ type, subject }) => type === 'CERT_ISSUED' && subject === deviceId);

/** By its events: issued or renewed, and not revoked. */
const isInForce = (deviceId: string) => {
  const serials = new Set<string>();
  for (const event of est.events) {
    if (event.subject !== deviceId) continue;
    if (event.type === 'CERT_ISSUED' || event.type === 'CERT_RENEWED') serials.add(event.data.serialNumber);
    if (event.type === 'CERT_REVOKED') serials.delete(event.data.serialNumber);
  }
  return serials.size > 0;
};

describe("F52: the owner's back end", () => {
  it('receives each certificate before it is signed, with the facts of the CSR and the device, signed', async () => {
    const { device, ask } = await asking('dev-yes');
    let issuedBefore: boolean | undefined;
    backEnd.answer = (response) => {
      issuedBefore = isIssued('dev-yes');
      json({ allow: true })(response);
    };
    const issued = issuedIn(await ask());
    const [received, ...more] = about('dev-yes');
    if (received === undefined) throw new Error('nothing was asked');
    expect([issuedBefore, more]).toEqual([false, []]);
    expect(received.message).toMatchObject({
      type: 'enrollment.asked',
      data: {
        account: ACCOUNT,
        deviceId: 'dev-yes',
        profile: 'acme.asked',
        renewal: false,
        shownCertificate: device.fingerprint,
        csr: expect.stringMatching(/^-----BEGIN CERTIFICATE REQUEST-----/),
        certificate: {
          serialNumber: issued.serialNumber,
          subject: { commonName: 'dev-yes', organization: ACCOUNT },
          publicKeyHash: issued.publicKeyHash,
          keyType: 'P-256',
          notAfter: new Date(issued.notAfter).toISOString(),
        },
      },
    });
    expect(isSigned(received, secret)).toBe(true);
    expect(isSigned(received, `whsec_${Buffer.from('another').toString('base64')}`)).toBe(false);
    expect(received.headers['webhook-id']).toBe(`enrollment_${issued.serialNumber}`);
  });

  it('is asked about a renewal too, and not again for a certificate that was issued', async () => {
    const { ask, privateKey } = await asking('dev-renew');
    const first = issuedIn(await ask());
    backEnd.answer = json({ allow: false });
    expect(issuedIn(await ask()).serialNumber).toBe(first.serialNumber);
    const renew = () =>
      call(
        est,
        enrolment(
          { subjectDer: first.subjectDer, privateKey },
          { path: '/.well-known/est/simplereenroll', identity: { certificate: first.pem(), privateKey } },
        ),
      );
    expect((await renew()).status).toBe(403);
    backEnd.answer = json({ allow: true });
    issuedIn(await renew());
    expect(about('dev-renew').map(({ message }) => message.data.renewal)).toEqual([false, true, true]);
  });

  it('refuses by its "no": nothing is issued, and the same key may come again', async () => {
    const { ask } = await asking('dev-no');
    backEnd.answer = json({ allow: false, reason: 'not on the delivery note' });
    await expectRefusal(est, await ask(), {
      status: 403,
      code: 'hook-refused',
      text: /refused: not on the delivery note/,
      deviceId: 'dev-no',
    });
    expect(isIssued('dev-no')).toBe(false);
    backEnd.answer = json({ allow: true });
    issuedIn(await ask());
  });

  it.each<[string, BackEnd['answer']]>([
    ['an error', (response) => response.writeHead(500).end()],
    ['204 without an answer', (response) => response.writeHead(204).end()],
    ['what is no JSON', (response) => response.end('yes')],
    ['JSON that says neither yes nor no', json({ allow: 'yes' })],
    ['an answer without end', (response) => response.end(`{"allow": true, "x": "${'x'.repeat(20_000)}"}`)],
    ['a connection that breaks', (response) => response.destroy()],
    ['201', (response) => response.writeHead(201).end('{"allow":true}')],
  ])('fails closed on %s', async (what, answer) => {
    const deviceId = `dev-${what.replace(/[^a-z0-9]/gi, '-')}`;
    const { ask } = await asking(deviceId);
    backEnd.answer = answer;
    const reply = await ask();
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '5']);
    expect(isIssued(deviceId)).toBe(false);
  });

  it('fails closed on silence, after three seconds', async () => {
    const { ask } = await asking('dev-silence');
    backEnd.answer = () => {};
    const startedAt = performance.now();
    const reply = await ask();
    const seconds = (performance.now() - startedAt) / 1000;
    expect(reply.status).toBe(503);
    expect(seconds).toBeGreaterThan(2.9);
    expect(seconds).toBeLessThan(6);
    expect(isIssued('dev-silence')).toBe(false);
    await est.event(
      'ENROLLMENT_REFUSED',
      ({ data }) => data.code === 'unavailable' && data.deviceId === 'dev-silence',
    );
  });

  it('is not followed elsewhere: a redirect is no answer', async () => {
    const { ask } = await asking('dev-redirect');
    backEnd.answer = (response) => response.writeHead(307, { location: `${backEnd.url}/elsewhere` }).end();
    expect((await ask()).status).toBe(503);
    expect(about('dev-redirect')).toHaveLength(1);
  });

  it('is called with a new key once the operator asks for one', async () => {
    const changed = await est.fixture.deps.bus.request(changeProfile, {
      account: ACCOUNT,
      name: 'asked',
      settings: {},
      newSecrets: true,
      by: 'ada',
    });
    const { ask } = await asking('dev-new-secret');
    issuedIn(await ask());
    const [received] = about('dev-new-secret');
    if (received === undefined) throw new Error('nothing was asked');
    expect([isSigned(received, secret), isSigned(received, changed.webhookSecret ?? '')]).toEqual([
      false,
      true,
    ]);
  });
});

describe('what happens while the back end thinks', () => {
  /** Answers yes, after `meanwhile`. */
  const yesAfter = (meanwhile: () => Promise<unknown>): BackEnd['answer'] => {
    return (response) => void meanwhile().then(() => json({ allow: true })(response));
  };

  it('a certificate that is revoked meanwhile is not renewed: whoever stole its key gets no other', async () => {
    const { ask, privateKey } = await asking('dev-stolen');
    const first = issuedIn(await ask());
    backEnd.answer = yesAfter(() =>
      est.fixture.deps.bus.request(revokeCertificates, {
        ...{ account: ACCOUNT, serialNumber: first.serialNumber, reason: 'keyCompromise', by: 'ada' },
      }),
    );
    const identity = { certificate: first.pem(), privateKey };
    const renewal = { path: '/.well-known/est/simplereenroll', identity };
    const thiefs = { subjectDer: first.subjectDer, privateKey: generateKeyPair('P-256').privateKey };
    await expectRefusal(est, await call(est, enrolment(thiefs, renewal)), {
      status: 403,
      code: 'revoked',
      text: /was revoked at .* \(keyCompromise\)/,
      deviceId: 'dev-stolen',
    });
    expect(isInForce('dev-stolen')).toBe(false);
  });

  it('a device that is reset meanwhile enrols no more by the grant that it had', async () => {
    const { device, ask } = await asking('dev-reset');
    const { fingerprint, deviceId } = device;
    const { store, bus } = est.fixture.deps;
    const { grants } = await openCollections(store);
    const data = {
      ...{ deviceId, fingerprint, deviceSerialNumber: deviceId },
      ...({ from: 'bootstrapped', to: 'claimed', by: 'ada' } as const),
    };
    backEnd.answer = yesAfter(async () => {
      const facts = { account: ACCOUNT, subject: deviceId, time: Date.now() };
      await bus.publish([newEvent('DEVICE_RESET', { ...facts, data })]);
      await vi.waitFor(async () => {
        expect((await grants.get(`${ACCOUNT}/${deviceId}`))?.voided).toBe('device reset');
      });
    });
    await expectRefusal(est, await ask(), {
      status: 401,
      code: 'wrong-grant',
      text: /void, device reset/,
      deviceId,
    });
    expect(isInForce(deviceId)).toBe(false);
  });
});

describe('private addresses', () => {
  const hook = (url: string) => ({ url, secret: 'whsec_AAAA' });
  const message = { id: 'x', type: 'enrollment.asked', timestamp: '', data: {} } as const;

  it.each([
    'https://127.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://10.1.2.3/',
    'https://169.254.169.254/latest/meta-data/',
    'https://0x7f000001/',
    'https://2130706433/',
    'https://[fd00::1]/',
    'https://localhost/',
    'http://example.com/',
  ])('are not called unless allowed: %s', async (url) => {
    const ask = webhookCaller({ deadlineMs: 3000, allowPrivate: false, now: Date.now });
    await expect(ask(hook(url), message)).rejects.toThrow(/private address|https: expected/);
  });

  it('are called where they are allowed', async () => {
    const ask = webhookCaller({ deadlineMs: 3000, allowPrivate: true, now: Date.now });
    await expect(ask(hook(backEnd.url), message)).resolves.toEqual({ allow: true });
  });
});
