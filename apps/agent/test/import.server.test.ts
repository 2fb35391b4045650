import { execFile, spawn } from 'node:child_process';
import { createPrivateKey, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type DevEnv, startDevEnv, trustAnchors } from '@signet/dev-env';
import { createCsr, createCsrBy, EKU, encodePem, openPkcs11Token, parsePkcs11Uri } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { openSoftHsm } from '@signet/tests/servers/softhsm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { importDevice } from '../src/import/command.ts';
import { DeviceFolder, leaf, openMqttSession, parseKeys, type RunEvent, rotate, run } from '../src/index.ts';

const openssl = requireServer('openssl');
const softhsm = requireServer('softhsm');
const engine = requireServer('pkcs11-engine');
const exec = promisify(execFile);

let env: DevEnv;
let path: string;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  await env.operator.makeAccount('acme');
  path = await mkdtemp(join(tmpdir(), 'signet-import-'));
  stack.defer(() => rm(path, { recursive: true, force: true }));
});
afterAll(() => stack.disposeAsync());

const usages = { keyUsage: ['digitalSignature'], extKeyUsage: [EKU.clientAuth] } as const;
const servers = () => ({
  est: `https://localhost:${env.ports.est}`,
  mqtt: `mqtts://localhost:${env.ports.mqtt}`,
  bootstrap: `https://localhost:${env.ports.bootstrap}`,
});

/** Registers as lmp-device-register does, and writes what it gets into a folder of the device. */
async function registered(name: string, uuid: string, csr: string, overrides: object = {}): Promise<string> {
  const folder = join(path, name);
  await exec('mkdir', ['-p', folder]);
  const body = JSON.stringify({
    ...{ 'use-ostree-server': 'true', 'sota-config-dir': folder, 'hardware-id': 'intel-corei7-64' },
    ...{ name, uuid, csr, overrides },
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { 'OSF-TOKEN': env.operator.token, 'content-type': 'application/json' };
  const ca = await trustAnchors(env.operator);
  request(`https://localhost:${env.ports.bootstrap}/sign`, { method: 'POST', headers, ca }, (answer) => {
    let text = '';
    answer.on('data', (chunk) => (text += String(chunk)));
    answer.on('end', () => (answer.statusCode === 201 ? resolve(text) : reject(new Error(text))));
  })
    .on('error', reject)
    .end(body);
  const files = JSON.parse(await promise) as Record<string, string>;
  for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), content);
  return folder;
}

/** With a key as `openssl ecparam` writes it, which is what the client calls. */
async function withKeyFile(name: string): Promise<{ folder: string; uuid: string; key: string }> {
  const uuid = randomUUID();
  const { stdout: key } = await exec(openssl, ['ecparam', '-genkey', '-name', 'prime256v1']);
  const subject = { commonName: uuid, organizationalUnit: 'acme' };
  const csr = createCsr({ subject, privateKey: createPrivateKey(key), ...usages });
  const folder = await registered(name, uuid, encodePem('CERTIFICATE REQUEST', csr));
  await writeFile(join(folder, 'pkey.pem'), key);
  return { folder, uuid, key };
}

describe.skipIf(openssl === '')('signet-agent import', () => {
  it('makes a device folder of what lmp-device-register wrote, and the agent runs with it', async () => {
    const { folder, uuid } = await withKeyFile('registered');
    const target = join(path, 'imported');
    const lines = await importDevice(join(folder, 'sota.toml'), target, { ...servers(), isDry: false });
    expect(lines.join('\n')).toContain(`device       acme/${uuid}`);
    expect(lines.at(-1)).toMatch(/^ignored {6}.*provision\.primary_ecu_hardware_id.*pacman\.type/);
    for (const name of await readdir(target))
      expect((await stat(join(target, name))).mode & 0o777).toBe(0o600);

    const device = new DeviceFolder(target);
    const events: RunEvent[] = [];
    const over = new AbortController();
    await env.operator.put(`/v1/accounts/acme/devices/${uuid}/config`, {
      files: [{ name: 'greeting', value: 'hello', unencrypted: true }],
    });
    const running = run(device, { signal: over.signal, report: (event) => events.push(event) });
    try {
      await vi.waitFor(() => expect(events.map(({ step }) => step)).toContain('connected'), 20_000);
      await vi.waitFor(
        async () => expect(await readFile(join(target, 'config', 'greeting'), 'utf8')).toBe('hello'),
        20_000,
      );
    } finally {
      over.abort();
      await running;
    }
    const { serialNumber } = leaf((await device.operational()) ?? expect.unreachable());
    expect(leaf(await rotate(device)).serialNumber).not.toBe(serialNumber);
  });

  it('says with --dry-run what it would do, and does nothing; a second import is refused', async () => {
    const { folder, uuid } = await withKeyFile('tried');
    const target = join(path, 'dry');
    const main = join(import.meta.dirname, '..', 'src', 'main.ts');
    const cli = async (...args: string[]) => {
      const child = spawn(process.execPath, [main, '--folder', target, 'import', ...args]);
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk) => (text += String(chunk)));
      const [code] = await once(child, 'close');
      return `${code} ${text}`;
    };
    const file = join(folder, 'sota.toml');
    expect(await cli(file, '--dry-run')).toMatch(
      new RegExp(`^0 folder {7}${target} \\(nothing was written\\)\ndevice {7}acme/${uuid}\n`),
    );
    await expect(stat(target)).rejects.toThrow('ENOENT');
    expect(await cli(file)).toMatch(/^0 folder/);
    expect(await cli(file)).toBe(
      `1 signet-agent: bad-import: ${target}/bootstrap.key: the folder has a device already\n`,
    );
    expect(await cli(join(path, 'none.toml'))).toMatch(/^1 signet-agent: bad-import: ENOENT: /);
  });

  it('names the setting whose file is not there, or not of this certificate', async () => {
    const [one, other] = [await withKeyFile('one'), await withKeyFile('other')];
    const attempt = () =>
      importDevice(join(one.folder, 'sota.toml'), join(path, 'never'), { ...servers(), isDry: false });
    await writeFile(join(one.folder, 'pkey.pem'), other.key);
    await expect(attempt()).rejects.toThrow(
      'sota.toml: import.tls_pkey_path: not the key of the certificate',
    );
    await writeFile(join(one.folder, 'pkey.pem'), 'no key');
    await expect(attempt()).rejects.toThrow('sota.toml: import.tls_pkey_path: no private key in PEM: ');
    await rm(join(one.folder, 'root.crt'));
    await expect(attempt()).rejects.toThrow('sota.toml: import.tls_cacert_path: ENOENT');
  });
});

describe.skipIf([softhsm, engine].includes(''))('signet-agent import of a device with a token', () => {
  it('leaves the key where it is, and the agent uses and renews it there', async () => {
    await using hsm = await openSoftHsm(softhsm);
    const uri = `${hsm.uri}&pin-value=${hsm.pin}`;
    const uuid = randomUUID();
    await using token = await openPkcs11Token(parsePkcs11Uri(uri));
    const { signer } = await token.openOrCreate('tls', 'P-256', 'sign-and-agree');
    const subject = { commonName: uuid, organizationalUnit: 'acme' };
    const csr = encodePem('CERTIFICATE REQUEST', await createCsrBy(signer, { subject, ...usages }));
    const { modulePath = '', token: label = '' } = parsePkcs11Uri(uri);
    const folder = await registered('token', uuid, csr, {
      tls: { pkey_source: '"pkcs11"', cert_source: '"pkcs11"' },
      p11: {
        ...{ module: `"${modulePath}"`, pass: `"${hsm.pin}"`, label: `"${label}"` },
        ...{ tls_pkey_id: '"01"', tls_clientcert_id: '"03"' },
      },
    });
    const target = join(path, 'imported-token');
    const file = join(folder, 'sota.toml');
    await expect(importDevice(file, target, { ...servers(), isDry: false })).rejects.toThrow(
      'sota.toml: tls.cert_source: it lies in the token: give it as a file with --certificate',
    );
    const certificate = join(folder, 'client.pem');
    const lines = await importDevice(file, target, { ...servers(), certificate, isDry: false });
    const [, spec = ''] = /--key '([^']+)'/.exec(lines.join('\n')) ?? [];
    expect(spec).not.toContain(hsm.pin);
    const device = new DeviceFolder(target, parseKeys(spec));
    const identity = (await device.operational()) ?? expect.unreachable();
    expect(identity.key).toMatch(/^pkcs11:token=.*;object=tls\n-----BEGIN PUBLIC KEY-----/);
    const bundle = (await device.bundle()) ?? expect.unreachable();
    await using session = await openMqttSession(bundle, identity);
    await session.publish(['status'], 'from a token');
    expect((await rotate(device)).key).toMatch(/^pkcs11:/);
  });
});
