import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DeviceFolder, leaf, onboard } from '@signet/agent';
import { claimCodeOf } from '@signet/contracts';
import { startDevEnv, trustAnchors } from '@signet/dev-env';
import { createCsr, encodePem, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Child } from './support/child.ts';
import { runner, succeed } from './support/tools.ts';

const root = resolve(import.meta.dirname, '../..');
const server = join(root, 'examples', 'factory-server', 'server.ts');
const signet = join(root, 'apps', 'cli', 'src', 'main.ts');
const [openssl, curl] = [requireServer('openssl'), requireServer('curl')];

describe.skipIf(openssl === '' || curl === '')(
  'F91: the registration server of a line without a network',
  () => {
    let folder: string;
    let line: Record<string, string>;
    let factory: Child;
    let url: string;

    const start = async () => {
      factory = new Child(process.execPath, [server, 'serve', '0'], { env: line });
      url = `http://${(await factory.line(/^listening on /)).replace('listening on ', '')}`;
    };
    const files = () => runner(folder, line);
    const run = (...args: string[]) => succeed(files(), process.execPath, server, ...args);
    const log = async () => (await readFile(join(folder, 'factory', 'log.jsonl'), 'utf8')).trim().split('\n');

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'signet-factory-'));
      line = {
        FACTORY_DIR: join(folder, 'factory'),
        FACTORY_PASSPHRASE: 'of the line',
        FACTORY_NAME: 'Line 7',
      };
      await run('init');
      await start();
    });
    afterAll(async () => {
      await factory?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });

    const ask = (body: string, query = '') => fetch(`${url}/devices${query}`, { method: 'POST', body });
    const csrOf = (commonName: string, keys = generateKeyPair('P-256')) =>
      encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName }, privateKey: keys.privateKey }));

    it('makes devices offline; its log is uploaded, and they are claimed and onboard', async () => {
      const device = new DeviceFolder(join(folder, 'device'));
      const key = join(folder, 'bootstrap.key');
      await succeed(files(), openssl, 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key);
      await succeed(
        files(),
        openssl,
        'req',
        '-new',
        '-key',
        key,
        '-subj',
        '/CN=pump-17',
        '-out',
        'bootstrap.csr',
      );
      const target = `${url}/devices?serial=SN-0017&model=P200`;
      const post = ['--silent', '--fail', '--data-binary', '@bootstrap.csr', target, '-o', 'bootstrap.crt'];
      await succeed(files(), curl, ...post);

      await using platform = await startDevEnv();
      const pkcs8 = await succeed(files(), openssl, 'pkcs8', '-topk8', '-nocrypt', '-in', key);
      const certificate = await readFile(join(folder, 'bootstrap.crt'), 'utf8');
      const identity = { key: pkcs8.stdout.toString(), certificate };
      await device.putFactoryFiles({
        ...identity,
        trust: await trustAnchors(platform.operator),
        url: `https://localhost:${platform.ports.bootstrap}`,
      });
      const { fingerprint } = leaf(identity);

      const operator = {
        SIGNET_URL: platform.operator.url,
        SIGNET_TOKEN: platform.operator.token,
        SIGNET_ACCOUNT: 'acme',
      };
      await writeFile(join(folder, 'passphrase'), `${line.FACTORY_PASSPHRASE}\n`);
      const cli = (...args: string[]) => succeed(runner(folder, operator), process.execPath, signet, ...args);
      const ca = ['--key', 'factory/ca.key', '--key-passphrase-file', 'passphrase'];
      await cli('accounts', 'create', 'acme');
      await cli('factory', 'ca', 'add', 'factory/ca.pem', ...ca, '--first-contact', 'refused');
      const made = await cli('tokens', 'create', 'line-7', '--role', 'factory', '--for', 'acme', '--json');
      const { token } = JSON.parse(made.stdout.toString()) as { token: string };
      const upload = () =>
        succeed(
          runner(folder, { ...line, ...operator, SIGNET_TOKEN: token }),
          process.execPath,
          server,
          'upload',
        );
      expect((await upload()).stdout.toString()).toBe('1 sent, 0 refused\n');
      expect((await upload()).stdout.toString()).toBe('0 sent, 0 refused\n');
      await rm(join(folder, 'factory', 'uploaded'));
      expect((await upload()).stdout.toString()).toBe('1 sent, 0 refused\n');

      const { items } = await platform.operator.get<{ items: object[] }>('/v1/accounts/acme/factory/log');
      expect(items).toMatchObject([
        { fingerprint, deviceId: 'pump-17', deviceSerialNumber: 'SN-0017', model: 'P200' },
      ]);
      await platform.operator.post('/v1/accounts/acme/devices', { code: claimCodeOf(fingerprint) });
      const operational = leaf(await onboard(device, { report: () => {} }));
      expect(operational.subject).toMatchObject({ commonName: 'pump-17', organization: 'acme' });
    });

    it('gives the same certificate to the same key, whenever it asks, and nothing to another', async () => {
      const keys = generateKeyPair('P-256');
      const first = await (await ask(csrOf('twice-1', keys))).text();
      expect(await (await ask(csrOf('twice-1', keys))).text()).toBe(first);
      const other = await ask(csrOf('twice-1'));
      expect(other.status).toBe(409);
      expect(await other.text()).toBe('serial: "twice-1" was made before, with another key\n');
      factory.kill();
      expect(await factory.exited).toBe(0);
      await start();
      expect(await (await ask(csrOf('twice-1', keys))).text()).toBe(first);
      expect((await ask(csrOf('twice-1'))).status).toBe(409);
    });

    it('makes one device of each serial number, however many ask at once', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(csrOf('race-1'))));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
      expect((await log()).filter((entry) => entry.includes('"race-1"'))).toHaveLength(1);
    });

    it('is killed at its work and loses no device whose certificate left; half a line is cut off', async () => {
      const left: string[] = [];
      const asking = Array.from({ length: 40 }, async (_, i) => {
        const answer = await ask(csrOf(`kill-${i}`)).catch(() => undefined);
        if (answer?.ok !== true) return;
        const text = await answer.text().catch(() => '');
        const [certificate = ''] = text.split(/(?<=-----END CERTIFICATE-----\n)/);
        if (certificate.endsWith('-----END CERTIFICATE-----\n')) left.push(certificate);
        if (left.length === 10) factory.kill('SIGKILL');
      });
      await Promise.all(asking);
      await factory.exited;
      await appendFile(join(folder, 'factory', 'log.jsonl'), '{"at":"2026-');
      await start();
      const logged = (await log()).map((entry) => (JSON.parse(entry) as { certificate: string }).certificate);
      expect(left.length).toBeGreaterThanOrEqual(10);
      for (const certificate of left) expect(logged).toContain(certificate);
      const serials = logged.map((certificate) => parseCertificatePem(certificate).serialNumber);
      expect(new Set(serials).size).toBe(serials.length);
      expect((await ask(csrOf('kill-after'))).status).toBe(200);
    });

    it.each([
      ['no CSR', 'nothing', '', 422],
      ['a CN that is no device id', undefined, '', 422],
      ['a serial number that is none', csrOf('ok-1'), '?serial=../x', 422],
      ['a body that is too long', 'x'.repeat(20_000), '', 413],
    ])('refuses %s', async (_, body, query, status) => {
      expect((await ask(body ?? csrOf('not an id'), query)).status).toBe(status);
    });

    it('keeps the key of its CA encrypted, for its owner alone, and never makes another over it', async () => {
      const keyFile = join(folder, 'factory', 'ca.key');
      expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
      expect(await readFile(keyFile, 'utf8')).toContain('BEGIN ENCRYPTED PRIVATE KEY');
      const again = await files()(process.execPath, [server, 'init']);
      expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('exists already') });
    });
  },
);
