import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { encryptConfigValue, openPkcs11Token, parsePkcs11Uri } from '@signet/pki';
import { createTestPki } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { openSoftHsm } from '@signet/tests/servers/softhsm';
import { type RunningTpm, startTpm, tpmVendor } from '@signet/tests/servers/tpm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type AgentError,
  applyConfig,
  DeviceFolder,
  type DeviceKeys,
  fetchCaCertificates,
  GatewayClient,
  type Identity,
  leaf,
  onboard,
  openMqttSession,
  parseKeys,
  plainValue,
  readStatus,
  repair,
  rotate,
} from '../src/index.ts';
import { requireKeySpec } from '../src/onboard.ts';
import { type Made, TestFactory } from './devices.ts';
import { Running } from './running.ts';

const swtpm = requireServer('swtpm');
const softhsm = requireServer('softhsm');
const engine = requireServer('pkcs11-engine');
const openssl = requireServer('openssl');

/** The labels of all private keys in the token. */
async function keysIn(uri: string): Promise<Set<string>> {
  const { pinSource = '', ...place } = parsePkcs11Uri(uri);
  const pin = (await readFile(pinSource.replace(/^file:/, ''), 'utf8')).trim();
  await using opened = await openPkcs11Token(place, { pin });
  return new Set(await opened.labels());
}

const fails = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('it went through'),
    (error: unknown) => error as AgentError,
  );

// a TPM, and each TLS connection by one, takes its time on a busy machine
vi.setConfig({ testTimeout: 180_000 });

describe.skipIf([swtpm, softhsm, engine, openssl].includes(''))('keys that do not leave their place', () => {
  const stack = new AsyncDisposableStack();
  let env: DevEnv;
  let factory: TestFactory;
  let tpm: RunningTpm;
  let otherTpm: RunningTpm;
  let token: string;
  beforeAll(async () => {
    const vendor = stack.use(tpmVendor());
    tpm = stack.use(await startTpm(swtpm, vendor));
    otherTpm = stack.use(await startTpm(swtpm, vendor));
    const hsm = stack.use(await openSoftHsm(softhsm));
    env = stack.use(await startDevEnv({ env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } }));
    factory = stack.use(await TestFactory.open(env));
    const pin = join((await factory.make('folder-of-the-pin')).folder.path, 'pin');
    await writeFile(pin, `${hsm.pin}\n`, { mode: 0o600 });
    token = `${hsm.uri}&pin-source=file:${pin}`;
  }, 180_000);
  afterAll(() => stack.disposeAsync());

  /** Whether the platform hears of the device what it says over MQTT. */
  async function speaks({ id, folder }: Made): Promise<void> {
    const identity = (await folder.operational()) ?? expect.unreachable();
    const bundle = (await folder.bundle()) ?? expect.unreachable();
    const heard: string[] = [];
    await using _listening = await env.deps.bus.listen(`signet.mqtt.acme.${id}.up.>`, ({ payload }) => {
      heard.push(Buffer.from(payload).toString());
    });
    await using session = await openMqttSession(bundle, identity);
    const said = `it is ${Date.now()}`;
    await session.publish(['status'], said);
    await vi.waitFor(() => expect(heard).toContain(said), 10_000);
  }

  const configOf = ({ id }: Made) => `/v1/accounts/acme/devices/${id}/config`;

  /** Gives the device a file that only its key reads, which it applies; the value as the platform has it. */
  async function hasSecret(made: Made, identity: Identity): Promise<string> {
    const value = encryptConfigValue(leaf(identity).spkiDer, Buffer.from('correct horse'));
    await env.operator.put(configOf(made), { files: [{ name: 'wifi', value }] });
    const gateway = new GatewayClient((await made.folder.bundle()) ?? expect.unreachable());
    const handlers = { folder: join(made.folder.path, 'handlers'), deadlineMs: 1000 };
    const applied = await applyConfig(made.folder, gateway, identity, { handlers, now: Date.now });
    expect(applied).toMatchObject({ changed: ['wifi'], failed: [] });
    expect(await readFile(join(made.folder.path, 'config', 'wifi'), 'utf8')).toBe('correct horse');
    return value;
  }

  describe.each<{ kind: string; keys: () => DeviceKeys; text: RegExp }>([
    { kind: 'file', keys: () => parseKeys('file:'), text: /^-----BEGIN PRIVATE KEY-----\n/ },
    { kind: 'tpm', keys: () => parseKeys(`tpm:${tpm.tcti}`), text: /^-----BEGIN TSS2 PRIVATE KEY-----\n/ },
    {
      kind: 'pkcs11',
      keys: () => parseKeys(token),
      text: /^pkcs11:token=signet%20test;object=device-[0-9a-f]{16}\n-----BEGIN PUBLIC KEY-----\n/,
    },
  ])('--key $kind:', ({ kind, keys, text }) => {
    it(`F70, F36: onboards, enrols, speaks MQTT, reads its encrypted config and renews with keys of ${kind}, the factory's among them`, async () => {
      const made = await factory.claimed(`all-${kind}`, { keys: keys(), bootstrap: true });
      const steps: string[] = [];
      const identity = await onboard(made.folder, { report: ({ step }) => steps.push(step) });
      expect(steps).toEqual(['handed-over', 'enrolled']);
      expect(identity.key).toMatch(text);
      expect((await made.folder.factoryFiles()).identity.key).toMatch(text);
      const secret = await hasSecret(made, identity);

      const renewed = await rotate(made.folder);
      expect(renewed.key).toMatch(text);
      expect(renewed.key).not.toBe(identity.key);
      expect(leaf(renewed).serialNumber).not.toBe(leaf(identity).serialNumber);
      await speaks(made);
      expect(await readStatus(made.folder)).toMatchObject({
        deviceId: made.id,
        pending: { enrolment: false },
      });

      const kept = (await made.folder.config())?.body.wifi?.Value ?? expect.unreachable();
      const { files } = await env.operator.get<{ files: { value: string }[] }>(configOf(made));
      for (const Value of [kept, files[0]?.value ?? expect.unreachable()]) {
        expect(Value).not.toBe(secret);
        expect((await plainValue('wifi', { Value }, renewed)).toString()).toBe('correct horse');
      }
      await expect(plainValue('wifi', { Value: kept }, identity)).rejects.toMatchObject(
        kind === 'pkcs11'
          ? // the old key has left the token
            { code: 'key-holder', message: expect.stringMatching(/the token has no key "device-[0-9a-f]+"$/) }
          : { code: 'bad-config', message: 'wifi: value: it is for another key, or was changed' },
      );
    });

    it(`F24: the certificate is for the key that was made by ${kind}`, async () => {
      const made = await factory.claimed(`matches-${kind}`, { keys: keys() });
      const identity = await onboard(made.folder);
      const spki = made.folder.keys.publicKey(identity.key).export({ type: 'spki', format: 'der' });
      expect(Buffer.from(leaf(identity).spkiDer)).toEqual(spki);
    });

    it(`goes on with the key of ${kind} that it had made before the power was cut`, async () => {
      const made = await factory.claimed(`cut-${kind}`, { keys: keys() });
      const pending = await made.folder.keys.create();
      await made.folder.putPendingKey(pending);
      expect((await onboard(made.folder)).key.trim()).toBe(pending.trim());
      const again = new DeviceFolder(made.folder.path, keys());
      expect((await again.operational())?.key.trim()).toBe(pending.trim());
    });

    it(`verifies the server, with its key by ${kind}: its root and its name`, async () => {
      const made = await factory.make(`verifies-${kind}`, { keys: keys(), bootstrap: true });
      const { identity, trust } = await made.folder.factoryFiles();
      const server = { url: `https://localhost:${env.ports.est}`, label: 'acme', trust };
      expect((await fetchCaCertificates(server, identity)).length).toBeGreaterThan(0);
      const foreign = { ...server, trust: createTestPki().root.certificate.pem() };
      expect(await fails(fetchCaCertificates(foreign, identity))).toMatchObject({ code: 'unreachable' });
      const misnamed = { ...server, url: `https://[::ffff:127.0.0.1]:${env.ports.est}` };
      expect(await fails(fetchCaCertificates(misnamed, identity))).toMatchObject({ code: 'unreachable' });
    });
  });

  it('leaves in a token the key in force alone, however often it renews, and what a kill left goes at the next start', async () => {
    const made = await factory.claimed('tidy-token', { keys: parseKeys(token) });
    const others = (await keysIn(token)).size;
    await onboard(made.folder);
    for (let times = 0; times < 2; times++) await rotate(made.folder);
    expect((await keysIn(token)).size).toBe(others + 1);
    // made, and cut before the folder had it
    const note = async (name: string) => made.folder.putTokenKeys([...(await made.folder.tokenKeys()), name]);
    await made.folder.keys.create(note);
    expect((await keysIn(token)).size).toBe(others + 2);
    await using running = new Running(made, { identity: false, messages: false });
    await running.until('connected');
    const { key } = (await made.folder.operational()) ?? expect.unreachable();
    expect((await keysIn(token)).size).toBe(others + 1);
    const { object } = parsePkcs11Uri(key.split('\n')[0] ?? '');
    expect(await keysIn(token)).toContain(object);
  });

  describe('a profile that certifies keys of TPMs alone', () => {
    beforeAll(async () => {
      await env.operator.put('/v1/accounts/acme/profiles/default', { settings: { attestation: 'tpm' } });
      await env.operator.post('/v1/accounts/acme/attestation-cas', { certificate: tpm.vendorCa });
    });

    it('F81: the agent has its TPM vouch for the key, at the first enrolment and at each renewal', async () => {
      const made = await factory.claimed('attested', { keys: parseKeys(`tpm:${tpm.tcti}`), bootstrap: true });
      const { serialNumber } = leaf(await onboard(made.folder));
      expect(leaf(await rotate(made.folder)).serialNumber).not.toBe(serialNumber);
      await speaks(made);
    });

    it.each([
      ['file', () => parseKeys('file:')],
      ['pkcs11', () => parseKeys(token)],
    ] as const)('F6: a key by %s is refused, and the operator sees why', async (kind, keys) => {
      const made = await factory.claimed(`software-${kind}`, { keys: keys() });
      const error = await fails(onboard(made.folder, { maxWaitMs: 50 }));
      expect(error).toMatchObject({ code: 'refused', status: 403 });
      expect(error.message).toContain(
        'simpleenroll: 403 attestation: missing; profile "acme" certifies only keys',
      );
      const event = await env.events.find('ENROLLMENT_REFUSED', ({ data }) => data.deviceId === made.id);
      expect(event.data.code).toBe('no-attestation');
    });

    it('one start with the wrong --key leaves nothing that keeps the right one from enrolling, and repair says so', async () => {
      const made = await factory.claimed('wrong-key', { keys: parseKeys(`tpm:${tpm.tcti}`) });
      const wrong = new DeviceFolder(made.folder.path, parseKeys('file:'));
      await fails(onboard(wrong, { maxWaitMs: 50 }));
      expect(await wrong.pendingKey()).toMatch(/^-----BEGIN PRIVATE KEY/);
      expect(await repair(made.folder)).toMatchObject([
        {
          file: 'pending.key',
          reason: 'the key of an enrolment lies in the folder; by --key a new one is in a TPM',
          done: false,
        },
      ]);
      expect((await onboard(made.folder)).key).toMatch(/^-----BEGIN TSS2 PRIVATE KEY-----/);
      expect(await repair(made.folder)).toEqual([]);
      // nor does a start without --key take the key out of the TPM
      const implied = new DeviceFolder(made.folder.path, parseKeys(undefined));
      expect(await fails(requireKeySpec(implied))).toMatchObject({ code: 'bad-key-spec' });

      const elsewhere = new DeviceFolder(made.folder.path, parseKeys(`tpm:${otherTpm.tcti}`));
      expect(await repair(elsewhere)).toMatchObject([
        { file: 'operational.pem', reason: 'its key is one of another TPM', done: false },
      ]);
      const absent = new DeviceFolder(made.folder.path, parseKeys('tpm:device:/nowhere/tpm0'));
      expect(await repair(absent)).toMatchObject([
        {
          file: 'operational.pem',
          reason: expect.stringMatching(/^its key cannot be looked for: tpm: \/nowhere\/tpm0: ENOENT/),
          advice: expect.stringMatching(/^bring back the TPM or token/),
        },
      ]);
    });

    it('F5, F15: a copied folder whose factory key is a file enrols with no second TPM, until an operator resets the device', async () => {
      const made = await factory.claimed('first-tpm', { keys: parseKeys(`tpm:${tpm.tcti}`) });
      const copy = `${made.folder.path}-copy`;
      await cp(made.folder.path, copy, { recursive: true });
      await onboard(made.folder);
      const thief = new DeviceFolder(copy, parseKeys(`tpm:${otherTpm.tcti}`));
      const error = await fails(onboard(thief, { maxWaitMs: 50 }));
      expect(error).toMatchObject({ code: 'refused', status: 403, refusal: undefined });
      expect(error.message).toMatch(/by another TPM than the first one of the device/);
      const event = await env.events.find('ENROLLMENT_REFUSED', ({ data }) => data.deviceId === made.id);
      expect(event.data.code).toBe('other-tpm');
      // what "signet devices show" prints: the newest refusal first
      await vi.waitFor(async () => {
        const { refusals } = await env.operator.get<{ refusals: { code: string }[] }>(
          `/v1/accounts/acme/devices/${made.id}`,
        );
        expect(refusals[0]).toMatchObject({ code: 'other-tpm', listener: 'est' });
      }, 20_000);
      // the true one goes on
      const { serialNumber } = leaf((await made.folder.operational()) ?? expect.unreachable());
      expect(leaf(await rotate(made.folder)).serialNumber).not.toBe(serialNumber);

      // its board was replaced
      await env.operator.post('/v1/accounts/acme/devices/actions/reset', {
        deviceIds: [made.id],
        reason: 'another board',
      });
      await vi.waitFor(
        async () => expect((await onboard(thief, { maxWaitMs: 50 })).key).toMatch(/TSS2/),
        20_000,
      );
    });

    it('F5, F15: a copied device folder is of no use with a second TPM', async () => {
      const made = await factory.claimed('copied', { keys: parseKeys(`tpm:${tpm.tcti}`), bootstrap: true });
      await onboard(made.folder);
      const thief = new DeviceFolder(made.folder.path, parseKeys(`tpm:${otherTpm.tcti}`));
      const identity = (await thief.operational()) ?? expect.unreachable();
      const bundle = (await thief.bundle()) ?? expect.unreachable();
      expect(await fails(openMqttSession(bundle, identity))).toMatchObject({ code: 'unreachable' });
      expect(await fails(rotate(thief))).toMatchObject({ code: 'unreachable' });
      await speaks(made);
    });
  });

  it('a TPM that is not there is named; --key is one of three', async () => {
    const keys = parseKeys('tpm:device:/nowhere/tpm0');
    expect(await fails(keys.create())).toMatchObject({
      code: 'key-holder',
      message: expect.stringMatching(/^tpm: \/nowhere\/tpm0: ENOENT/),
    });
    expect(() => parseKeys('cloud:')).toThrow('--key: "cloud:" is none of file:, tpm:[<tcti>], pkcs11:<uri>');
    expect(() => parseKeys('pkcs11:token=x')).toThrow('key URI: module-path is missing');
  });
});
