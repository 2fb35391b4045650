import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestPki, makeCertificate, newTestKey } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { openSoftHsm, type SoftHsm } from '@signet/tests/servers/softhsm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AgentError, DeviceFolder, type DeviceKeys, parseKeys, repair } from '../src/index.ts';
import { connectByOpenssl } from '../src/keys/openssl-tls.ts';

const softhsm = requireServer('softhsm');
const engine = requireServer('pkcs11-engine');
const openssl = requireServer('openssl');

const fails = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('it went through'),
    (error: unknown) => error as AgentError,
  );

describe.skipIf([softhsm, engine, openssl].includes(''))('the PIN of a token', () => {
  let hsm: SoftHsm;
  let folder: string;
  let pinFile: string;
  let stack: AsyncDisposableStack;
  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    hsm = stack.use(await openSoftHsm(softhsm));
    folder = await mkdtemp(join(tmpdir(), 'signet-token-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    pinFile = join(folder, 'pin');
  });
  afterEach(() => stack.disposeAsync());

  const keys = () => parseKeys(`${hsm.uri}&pin-source=file:${pinFile}`, folder);
  /** From now on the token takes this PIN alone. */
  const takes = (pin: string) =>
    execFileSync(
      softhsm,
      [
        ...['--init-token', '--token', 'signet test', '--label', 'signet test'],
        ...['--pin', pin, '--so-pin', '12345678'],
      ],
      { stdio: 'pipe' },
    );

  it('is tried once where the token refuses it, by whichever way and after a restart, until its file holds another', async () => {
    await writeFile(pinFile, `${hsm.pin}\n`);
    const key = await keys().create();
    await writeFile(pinFile, '9999-9999\n');
    const running = keys();
    expect(await fails(running.create())).toMatchObject({
      code: 'pin-refused',
      isPassing: true,
      message: `pkcs11: PIN refused by token "signet test" (CKR_PIN_INCORRECT); it is not tried again until ${pinFile} holds another`,
    });

    // a token that would take it now: that it is refused anyway shows that nobody asks
    takes('9999-9999');
    const ways: ((those: typeof running) => unknown)[] = [
      (those) => those.create(),
      (those) => those.signer(key).sign(Buffer.from('x')),
      (those) => those.holderOf(key)?.openssl(key),
    ];
    for (const those of [running, keys()])
      for (const way of ways)
        expect(await fails(Promise.resolve(way(those)))).toMatchObject({ code: 'pin-refused' });

    takes('1234-5678');
    await writeFile(pinFile, '1234-5678\n');
    expect(await running.create()).toMatch(/^pkcs11:token=signet%20test;object=device-/);
    expect(await keys().create()).toMatch(/^pkcs11:token=signet%20test;object=device-/);
    expect(await readdir(folder)).toEqual(['pin']);
  });

  it('lies in no file besides its own: neither refused, nor while a connection is made with it', async () => {
    await writeFile(pinFile, '9999-9999\n');
    await fails(keys().create());
    expect(await readFile(join(folder, 'pin-refused.json'), 'utf8')).not.toContain('9999');

    await writeFile(pinFile, `${hsm.pin}\n`);
    const text = await keys().create();
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    stack.defer(() => void silent.close());
    await once(silent, 'listening');
    const connected = once(silent, 'connection');
    const before = await readdir(tmpdir());
    const { root } = createTestPki();
    const name = { commonName: 'dev-1' };
    const certificate = makeCertificate({
      ...{ subject: name, issuer: name, signingKey: newTestKey(), publicKey: keys().publicKey(text) },
      ...{ notBefore: Date.now() - 1000, notAfter: Date.now() + 3_600_000 },
    }).pem();
    await using stream = await connectByOpenssl({
      ...{ host: '127.0.0.1', port: (silent.address() as AddressInfo).port, at: undefined },
      ...{ trust: root.certificate.pem(), identity: { certificate } },
      key: (await keys().holderOf(text)?.openssl(text)) ?? expect.unreachable(),
    });
    await Promise.race([connected, once(stream, 'close')]);
    const made = (await readdir(tmpdir())).filter(
      (name) => name.startsWith('signet-agent-tls-') && !before.includes(name),
    );
    expect(made).toHaveLength(1);
    for (const name of await readdir(join(tmpdir(), made[0] ?? '')))
      expect(await readFile(join(tmpdir(), made[0] ?? '', name), 'utf8')).not.toContain(hsm.pin);
    const [socket] = await connected;
    socket.destroy();
  });

  it('is missed by its file’s name, and an empty one is not tried', async () => {
    expect(await fails(keys().create())).toMatchObject({
      ...{ code: 'key-holder', isPassing: true },
      message: `pkcs11: PIN file ${pinFile}: no such file or folder (ENOENT)`,
    });
    await writeFile(pinFile, '\n');
    expect(await fails(keys().create())).toMatchObject({
      message: `pkcs11: PIN file ${pinFile}: it is empty`,
    });
    await writeFile(pinFile, hsm.pin);
    await vi.waitFor(async () => expect(await keys().create()).toMatch(/^pkcs11:/));
  });

  it('is not asked for by two uses at once, and a token without the key says which', async () => {
    await writeFile(pinFile, `${hsm.pin}\n`);
    const running = keys();
    const made = await Promise.all([running.create(), running.create(), running.create()]);
    expect(new Set(made).size).toBe(3);
    const gone = (made[0] ?? '').replace(/object=device-[0-9a-f]+/, 'object=device-0000');
    expect(await fails(Promise.resolve(running.holderOf(gone)?.openssl(gone)))).toMatchObject({
      message: 'pkcs11: token "signet test" has no key "device-0000"',
    });
  });

  it('and its token: repair tells a PIN that was refused, a token that is missing and a key that is not in it apart', async () => {
    await writeFile(pinFile, `${hsm.pin}\n`);
    const device = (those: DeviceKeys) => new DeviceFolder(folder, those);
    const key = await keys().create();
    const pki = createTestPki();
    const name = { commonName: 'dev-1' };
    const certificate = makeCertificate({
      ...{ subject: name, issuer: name, signingKey: newTestKey(), publicKey: keys().publicKey(key) },
      ...{ notBefore: Date.now() - 1000, notAfter: Date.now() + 3_600_000 },
    }).pem();
    const factory = pki.bootstrap('dev-1');
    const url = 'https://localhost:8444';
    await device(keys()).putFactoryFiles({
      ...{ key: factory.key, certificate: factory.cert, trust: pki.root.pem, url },
    });
    await device(keys()).putOperational({ key, certificate });
    expect(await repair(device(keys()))).toEqual([]);

    await hsm.unplug();
    expect(await repair(device(keys()))).toMatchObject([
      {
        file: 'operational.pem',
        reason: expect.stringMatching(
          /^its key cannot be looked for: pkcs11: token "signet test" does not answer/,
        ),
        advice: expect.stringMatching(/^bring back/),
      },
    ]);
    await hsm.plugIn();

    await writeFile(pinFile, '9999-9999\n');
    const reason = expect.stringMatching(/^pkcs11: PIN refused by token "signet test"/);
    expect(await repair(device(keys()))).toMatchObject([{ file: 'pin-refused.json', reason, done: false }]);
    takes('9999-9999');
    expect(await repair(device(keys()), { apply: true })).toMatchObject([{ reason, done: true }]);

    expect(await repair(device(keys()))).toMatchObject([
      { file: 'operational.pem', reason: 'the token that --key names does not have its key' },
    ]);
  });
});
