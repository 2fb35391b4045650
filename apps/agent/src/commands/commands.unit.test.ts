import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bundle, COMMAND_TYPE, type CommandStatement, uuidv7 } from '@signet/contracts';
import {
  type Certificate,
  createTemplate,
  exportSpki,
  generateKeyPair,
  issue,
  issueRoot,
  keySigner,
  prepare,
  type Signer,
  signStatement,
} from '@signet/pki';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DeviceFolder } from '../device-folder.ts';
import { SeenCommands } from './seen-commands.ts';
import { verifyCommand } from './verify-command.ts';

const now = Date.parse('2026-12-01T12:00:00Z');
const day = 86_400_000;
const iat = now / 1000;
const newSigner = () => keySigner(generateKeyPair('P-256').privateKey);

type Held = { readonly signer: Signer; readonly certificate: Certificate };
let root: Certificate;
let ca: Held;
let handedOver: Held;

async function certified(options: {
  kind?: 'statements' | 'operational';
  account?: string;
  uri?: string;
  issuedAt?: number;
  signer?: Signer;
}): Promise<Held> {
  const { kind = 'statements', account = 'acme', issuedAt = now, signer = newSigner() } = options;
  const linted = prepare(createTemplate({ kind, issuer: ca.certificate }), {
    subject: { commonName: 'commands', organization: account },
    spkiDer: exportSpki(signer.publicKey),
    sans: { uris: [options.uri ?? `spiffe://signet.test/${account}/commands`] },
    issuedAt,
    notAfter: issuedAt + 90 * day,
  });
  return { signer, certificate: await issue(linted, ca.signer) };
}

beforeAll(async () => {
  const rootSigner = newSigner();
  const issuedAt = now - 30 * day;
  const notAfter = now + 3000 * day;
  root = await issueRoot({ signer: rootSigner, subject: { commonName: 'Root' }, issuedAt, notAfter });
  const signer = newSigner();
  const template = createTemplate({ kind: 'authority', issuer: root, pathLen: 0 });
  const request = { subject: { commonName: 'CA' }, spkiDer: exportSpki(signer.publicKey), issuedAt };
  const linted = prepare(template, { ...request, notAfter: now + 2000 * day });
  ca = { signer, certificate: await issue(linted, rootSigner) };
  handedOver = await certified({ issuedAt: now - day });
});

function bundle(changes: Partial<Bundle> = {}): Bundle {
  return {
    account: 'acme',
    deviceId: 'pump-1',
    instance: 'test',
    trustAnchors: [root.pem()],
    est: { url: 'https://x.test', label: 'x', username: 'x', grant: 'x', expiresAt: '2026-12-01T12:00:00Z' },
    mqtt: { url: 'mqtts://x.test', clientId: 'pump-1' },
    gateway: { url: 'https://x.test' },
    config: {},
    commands: { certificate: handedOver.certificate.pem(), chain: [ca.certificate.pem(), root.pem()] },
    ...changes,
  };
}

const claims = (changes: Partial<CommandStatement> = {}): CommandStatement => ({
  ...{ account: 'acme', deviceId: 'pump-1', id: uuidv7(now), name: 'reboot', payload: { in: 5 } },
  ...{ iat, exp: iat + 300 },
  ...changes,
});

const signed = (payload: unknown, { signer, certificate } = handedOver, type = COMMAND_TYPE) =>
  signStatement(signer, {
    type,
    payload: Buffer.from(JSON.stringify(payload)),
    chain: [certificate, ca.certificate],
  });

const refusal = (jws: string, at: number | undefined = now, of = bundle()) => {
  try {
    verifyCommand(jws, of, at);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return expect.unreachable('it was taken');
};

describe('F22: a command', () => {
  it('is believed as it was signed', async () => {
    const said = claims();
    expect(verifyCommand(await signed(said), bundle(), now)).toEqual(said);
  });

  it('is refused with its payload or its signature changed', async () => {
    const [head = '', body = '', tail = ''] = (await signed(claims())).split('.');
    const other = Buffer.from(JSON.stringify(claims({ name: 'format' }))).toString('base64url');
    expect(refusal(`${head}.${other}.${tail}`)).toBe('bad-signature');
    const flipped = Buffer.from(tail, 'base64url');
    flipped[7] = (flipped[7] ?? 0) ^ 1;
    expect(refusal(`${head}.${body}.${flipped.toString('base64url')}`)).toBe('bad-signature');
  });

  it('is refused where it is another device’s, another account’s, or another kind of statement', async () => {
    expect(refusal(await signed(claims({ deviceId: 'pump-2' })))).toBe('other-device');
    expect(refusal(await signed(claims({ account: 'globex' })))).toBe('other-account');
    expect(refusal(await signed(claims({ account: 'globex' }), await certified({ account: 'globex' })))).toBe(
      'wrong-signer',
    );
    expect(refusal(await signed(claims(), handedOver, 'signet-redirect+jws'))).toBe('malformed');
  });

  it.each([
    ['a device’s own name', { kind: 'operational', uri: 'spiffe://signet.test/acme/device/pump-2' }],
    ['the name of the commands', { kind: 'operational' }],
    ['another trust domain', { uri: 'spiffe://other.test/acme/commands' }],
    ['a key that was replaced since', { issuedAt: now - 10 * day }],
  ] as const)('is refused of another signer below the same root: %s', async (_, options) => {
    expect(refusal(await signed(claims(), await certified(options)))).toBe('wrong-signer');
  });

  it('is believed by the command certificate after the one delivered, and by any of the same key', async () => {
    const next = await certified({ issuedAt: now });
    const older = await certified({ issuedAt: now - 10 * day, signer: handedOver.signer });
    for (const held of [next, older])
      expect(verifyCommand(await signed(claims(), held), bundle(), now).name).toBe('reboot');
  });

  it('is refused below a root that is not trusted, and where no command certificate was delivered', async () => {
    const subject = { commonName: 'Other' };
    const times = { issuedAt: now - day, notAfter: now + 90 * day };
    const other = await issueRoot({ signer: newSigner(), subject, ...times });
    const jws = await signed(claims());
    expect(refusal(jws, now, bundle({ trustAnchors: [other.pem()] }))).toBe('untrusted');
    const { commands: _, ...without } = bundle();
    expect(refusal(jws, now, without)).toBe('no-command-certificate');
  });

  it('is refused out of its time, and where it would be good for too long', async () => {
    const jws = await signed(claims());
    expect(refusal(jws, now + 300_000)).toBe('expired');
    expect(refusal(jws, now - 301_000)).toBe('bad-time');
    expect(refusal(await signed(claims({ exp: iat + 8 * 86_400 })))).toBe('bad-time');
    expect(refusal(await signed(claims({ exp: iat })))).toBe('bad-time');
  });

  it.each([
    ['no JWS', 'reboot'],
    ['nothing', ''],
  ])('is none: %s', (_, text) => expect(refusal(text)).toBe('malformed'));

  it.each([
    ['a path for a name', { name: '../sh' }],
    ['no id', { id: undefined }],
    ['a claim that is not known', { sudo: true }],
  ])('is none, though signed: %s', async (_, changes) => {
    expect(refusal(await signed({ ...claims(), ...changes }))).toBe('malformed');
  });
});

describe('F22: the memory of commands', () => {
  let path: string;
  let folder: DeviceFolder;
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'signet-commands-'));
    folder = new DeviceFolder(path);
  });
  afterEach(() => rm(path, { recursive: true, force: true }));
  const refused = (code: string) => expect.objectContaining({ name: 'CommandRefused', code });

  it('takes a command once, also after a restart', async () => {
    const command = claims();
    const seen = new SeenCommands(folder);
    await seen.take(command);
    await seen.take(claims());
    await expect(seen.take(command)).rejects.toEqual(refused('replayed'));
    await expect(new SeenCommands(folder).take(command)).rejects.toEqual(refused('replayed'));
  });

  it('needs no clock: what it forgot has expired by the commands that came since', async () => {
    const old = claims();
    const seen = new SeenCommands(folder);
    await seen.take(old);
    await seen.take(claims({ iat: iat + 301, exp: iat + 400 }));
    await seen.take(claims({ iat: iat + 302, exp: iat + 400 }));
    expect(await folder.files.read(join(path, 'commands.json'))).not.toContain(old.id);
    await expect(seen.take(old)).rejects.toEqual(refused('expired'));
  });

  it('is bounded: of too many it forgets those that end first, and takes none of them again', async () => {
    const seen = new SeenCommands(folder, 3);
    const sent = [1, 2, 3, 4, 5].map((n) => claims({ exp: iat + 300 + n }));
    for (const command of sent) await seen.take(command);
    const kept = JSON.parse((await folder.files.read(join(path, 'commands.json'))) ?? '{}');
    expect(Object.keys(kept.ids)).toHaveLength(3);
    for (const command of sent) await expect(seen.take(command)).rejects.toMatchObject({ id: command.id });
  });

  it('that is broken takes nothing', async () => {
    await folder.files.replace(join(path, 'commands.json'), '{"floor":');
    await expect(new SeenCommands(folder).take(claims())).rejects.toMatchObject({ code: 'broken-folder' });
  });
});
