import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { leaf, onboard, requestHandoff } from '@signet/agent';
import type { AuthorityDetails, Device } from '@signet/contracts';
import { type DevEnv, startDevEnv, trustAnchors } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { manufacturing, told, toldAll } from './manufacturer.ts';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

let env: DevEnv;
let terminal: Terminal;
let trust: string;
let line: Line;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
  trust = await trustAnchors(env.operator);
  line = manufacturing(env, terminal, trust);
});
afterAll(() => stack.disposeAsync());

const signet = (...args: string[]) => terminal.signet(...args);
const at = (...path: string[]) => join(terminal.folder, ...path);

type Line = ReturnType<typeof manufacturing>;
const manufacturer: Line['manufacturer'] = (...given) => line.manufacturer(...given);
const device: Line['device'] = (...given) => line.device(...given);
const asks: Line['asks'] = (...given) => line.asks(...given);
const until: Line['until'] = (...given) => line.until(...given);
const registered: Line['registered'] = (...given) => line.registered(...given);

const REFUSED = /refused|403/;

const found = async (fingerprint: string) => {
  const { items } = await env.operator.get<{ items: Device[] }>('/v1/accounts/acme/factory/log?limit=1000');
  return items.find((one) => one.fingerprint === fingerprint);
};

describe('registering the CA of a manufacturer', () => {
  test('F48: needs a proof that whoever registers it has its key', async () => {
    const ca = await manufacturer('proof');
    const other = await manufacturer('other');
    const bare = await signet('factory', 'ca', 'add', 'proof.pem');
    expect(bare.err).toMatch(/^signet: give --key, or --ca-statement with --ca-signature, or --waive/);
    const direct = await env.operator.call('POST', '/v1/accounts/acme/factory/authorities', {
      certificate: ca.certificate.pem(),
    });
    expect(direct).toMatchObject({ status: 403, body: { code: 'statement-missing' } });
    const wrong = await signet('factory', 'ca', 'add', 'proof.pem', '--key', `${other.name}.key`);
    expect(wrong.err).toMatch(/^signet: statement-invalid: /);
    expect(await registered(ca)).toMatchObject({
      kind: 'factory',
      custody: 'elsewhere',
      firstContact: 'waits',
      state: 'active',
    });
    expect((await registered(ca)).authorityId).toBe((await registered(ca)).authorityId);
    const again = await terminal.signetWith(
      { SIGNET_ACCOUNT: 'globex' },
      ...['factory', 'ca', 'add', 'proof.pem', '--key', 'proof.key'],
    );
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining('only a claim decides') });
    const mine = toldAll<AuthorityDetails>(await signet('factory', 'ca', 'list', '--json'));
    expect(mine).toContainEqual(expect.objectContaining({ name: 'proof CA', isShared: true }));
  });

  test('F48: an administrator may waive the proof, and the audit log says that and why', async () => {
    await manufacturer('waived');
    const reason = 'the supplier cannot sign statements';
    told(await signet('factory', 'ca', 'add', 'waived.pem', '--waive', reason, '--json'));
    const audit = await env.operator.get<{ items: { path: string; note?: string; operator: string }[] }>(
      '/v1/accounts/acme/audit',
    );
    expect(audit.items).toContainEqual(
      expect.objectContaining({
        path: '/v1/accounts/acme/factory/authorities',
        status: 201,
        note: `proof of possession waived: ${reason}`,
      }),
    );
    const { token } = told<{ token: string }>(
      await signet('tokens', 'create', 'op', '--role', 'operator', '--for', 'acme', '--json'),
    );
    const args = ['factory', 'ca', 'add', 'waived.pem', '--waive', 'I say so'];
    const tried = await terminal.signetWith({ SIGNET_TOKEN: token }, ...args);
    expect(tried).toMatchObject({ code: 1, err: expect.stringMatching(/^signet: forbidden: /) });
  });

  test('a certificate that is no CA is refused, and so is a private key', async () => {
    const ca = await manufacturer('shape');
    const { identity } = await device(ca, 'leaf-1');
    await writeFile(at('leaf.pem'), identity.certificate);
    const tried = await signet('factory', 'ca', 'add', 'leaf.pem', '--waive', 'x');
    expect(tried.err).toBe('signet: bad-certificate: certificate: basicConstraints: CA:true is missing\n');
    const secret = await env.operator.call('POST', '/v1/accounts/acme/factory/authorities', {
      certificate: identity.key,
      waiver: 'x',
    });
    expect(secret).toMatchObject({ status: 422, body: { code: 'bad-certificate' } });
  });
});

describe('a device that was made offline', () => {
  test('F48, F56: is taken up at its first contact, waits for its claim, and onboards; a reset changes nothing of what it is', async () => {
    const ca = await manufacturer('waits');
    const { folder, identity, fingerprint } = await device(ca, 'off-1', 'SN-77');
    expect(await asks(identity)).toMatch(REFUSED);
    expect(await found(fingerprint)).toBeUndefined();
    const { authorityId } = await registered(ca);
    await until(identity, 'wait');
    expect(await asks(identity)).toBe('wait');
    expect(await found(fingerprint)).toMatchObject({
      ...{ deviceId: 'off-1', deviceSerialNumber: 'SN-77', state: 'manufactured', factoryAccount: 'acme' },
    });
    const seen = env.events.all.filter(({ type }) => type === 'DEVICE_FIRST_SEEN');
    expect(seen).toMatchObject([
      { account: 'acme', source: '/bootstrap', data: { deviceId: 'off-1', fingerprint, authorityId } },
    ]);
    expect((await signet('devices', 'claim', fingerprint)).code).toBe(0);
    const operational = leaf(await onboard(folder, { report: () => {} }));
    expect(operational.subject).toMatchObject({ commonName: 'off-1', organization: 'acme' });
    await env.operator.post('/v1/accounts/acme/devices/actions/reset', { deviceIds: ['off-1'] });
    expect(await found(fingerprint)).toMatchObject({
      ...{ deviceId: 'off-1', deviceSerialNumber: 'SN-77', state: 'claimed', factoryAccount: 'acme' },
    });
    expect(await asks(identity)).toBe('bundle');
  });

  test('F48: is claimed at its first contact where the account wants that; once given up it is not claimed again', async () => {
    const ca = await manufacturer('auto');
    const { authorityId } = await registered(ca, '--first-contact', 'claimed');
    const { folder, identity, fingerprint } = await device(ca, 'auto-1');
    await until(identity, 'bundle');
    await onboard(folder, { report: () => {} });
    expect(await found(fingerprint)).toMatchObject({ account: 'acme', state: 'enrolled' });
    const claimed = env.events.all.filter(
      ({ type, subject }) => type === 'DEVICE_CLAIMED' && subject === 'auto-1',
    );
    expect(claimed).toMatchObject([{ data: { by: `first contact, CA ${authorityId}` } }]);
    await env.operator.post('/v1/accounts/acme/devices/actions/unclaim', { deviceIds: ['auto-1'] });
    expect(await asks(identity)).toBe('wait');
    expect((await found(fingerprint))?.account).toBeUndefined();
  });

  test('F48: with an id that the account has already, it is not claimed but waits', async () => {
    const ca = await manufacturer('taken');
    await registered(ca, '--first-contact', 'claimed');
    const first = await device(ca, 'same-1', 'T-1');
    await until(first.identity, 'bundle');
    const second = await device(ca, 'same-1', 'T-2');
    expect(await asks(second.identity)).toBe('wait');
    const claim = await signet('devices', 'claim', second.fingerprint, '--id', 'same-2');
    expect(claim.code).toBe(0);
    expect(await asks(second.identity)).toBe('bundle');
  });

  test('F48: is refused where the account does not want unannounced devices, until its log is uploaded', async () => {
    const ca = await manufacturer('strict');
    const { authorityId } = await registered(ca, '--first-contact', 'refused');
    const { identity, fingerprint } = await device(ca, 'strict-1');
    await vi.waitFor(async () => {
      await asks(identity);
      const { items } = await env.operator.get<{ items: { code: string; fingerprint?: string }[] }>(
        '/v1/accounts/signet/refusals',
      );
      expect(items).toContainEqual(expect.objectContaining({ code: 'unknown-device', fingerprint }));
    }, 10_000);
    expect(await asks(identity)).toMatch(REFUSED);
    await writeFile(
      at('log.jsonl'),
      `${JSON.stringify({ certificate: identity.certificate, model: 'P9' })}\n`,
    );
    expect(told(await signet('factory', 'upload', 'log.jsonl', '--json'))).toEqual({
      ...{ made: 1, before: 0, failed: [] },
    });
    expect(told(await signet('factory', 'upload', 'log.jsonl', '--json'))).toMatchObject({
      made: 0,
      before: 1,
    });
    expect(await asks(identity)).toBe('wait');
    expect(await found(fingerprint)).toMatchObject({ model: 'P9' });
    const other = await device(ca, 'strict-2');
    expect(await asks(other.identity)).toMatch(REFUSED);
    told(await signet('factory', 'ca', 'first-contact', authorityId, 'waits', '--json'));
    await until(other.identity, 'wait');
  });

  test('F55, F56: with the serial number of another is refused; what was recorded first stays', async () => {
    const ca = await manufacturer('twins');
    await registered(ca);
    const first = await device(ca, 'twin-1', 'SN-1');
    await until(first.identity, 'wait');
    const second = await device(ca, 'twin-2', 'SN-1');
    expect(await asks(second.identity)).toMatch(REFUSED);
    expect(await found(second.fingerprint)).toBeUndefined();
    expect(await found(first.fingerprint)).toMatchObject({ deviceSerialNumber: 'SN-1', deviceId: 'twin-1' });
    await writeFile(at('twin.pem'), second.identity.certificate);
    const uploaded = await signet('factory', 'upload', 'twin.pem');
    expect(uploaded).toMatchObject({ code: 1, err: 'signet: 1 of 1 were rejected\n' });
    expect(uploaded.out).toContain(
      '1: serial-number-taken: deviceSerialNumber: "SN-1" was made before, with another certificate',
    );
  });

  test('F48: is refused within seconds when its CA is disabled, comes back with it, and is out for good when it is removed', async () => {
    const ca = await manufacturer('switched');
    const { authorityId } = await registered(ca);
    const { identity } = await device(ca, 'switch-1');
    await until(identity, 'wait');
    expect((await signet('factory', 'ca', 'disable', authorityId, '--reason', 'audit')).code).toBe(0);
    await until(identity, REFUSED);
    expect((await signet('factory', 'ca', 'enable', authorityId)).code).toBe(0);
    await until(identity, 'wait');
    expect((await signet('factory', 'ca', 'remove', authorityId)).code).toBe(0);
    await until(identity, REFUSED);
    const back = await signet('factory', 'ca', 'enable', authorityId);
    expect(back.err).toMatch(/^signet: illegal-transition: /);
    const list = toldAll<AuthorityDetails>(await signet('factory', 'ca', 'list', '--json'));
    expect(list.find((one) => one.authorityId === authorityId)).toMatchObject({ state: 'revoked' });
  });

  test('F58: does not open the device gateway with its bootstrap certificate', async () => {
    const ca = await manufacturer('listeners');
    await registered(ca);
    const { identity } = await device(ca, 'site-1');
    await until(identity, 'wait');
    const url = `https://localhost:${env.ports.gateway}`;
    const tried = await requestHandoff({ url, identity, trust }).catch((error: Error) => error.message);
    expect(tried).toMatch(REFUSED);
  });

  test('of a CA of another account is not taken up from a log', async () => {
    const ca = await manufacturer('theirs');
    await registered(ca);
    const { identity } = await device(ca, 'theirs-1');
    await until(identity, 'wait');
    const answer = await env.operator.post<{ results: object[] }>('/v1/accounts/globex/factory/log', {
      items: [{ certificate: identity.certificate }, { certificate: 'nonsense' }],
    });
    expect(answer.results).toMatchObject([
      { error: { code: 'unknown-issuer', message: 'issuer: is no factory CA of account "globex"' } },
      { error: { code: 'bad-pem' } },
    ]);
  });
});
