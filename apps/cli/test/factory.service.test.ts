import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { DeviceFolder, leaf, onboard } from '@signet/agent';
import { claimCodeOf, type Device } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createCsr, encodePem, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { parseCsv } from '../src/factory/csv.ts';
import { type Done, Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

const signet = (...args: string[]) => terminal.signet(...args);
const at = (...path: string[]) => join(terminal.folder, ...path);

function told<T>({ code, out, err }: Done): T {
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out.trim()) as T;
}

async function logged(prefix: string): Promise<Device[]> {
  const { out } = await signet('factory', 'log', '--format', 'json');
  const all = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Device);
  return all.filter(({ deviceSerialNumber }) => deviceSerialNumber.startsWith(prefix));
}

const columns = ['serial', 'id', 'model', 'fingerprint', 'code', 'certificate serial'];
async function listed(folder: string) {
  const text = await readFile(at(folder, 'devices.csv'), 'utf8');
  return parseCsv('devices.csv', text, { required: columns, optional: [] }).map(({ values }) => values);
}

/** Starts a batch and ends it by a signal as soon as so many devices lie in its folder. */
async function cutOff(signal: 'SIGINT' | 'SIGKILL', after: number, folder: string, args: string[]) {
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const child = spawn(process.execPath, [main, ...args], { cwd: terminal.folder, env: terminal.env });
  let err = '';
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const closed = once(child, 'close');
  await vi.waitFor(
    async () => expect((await readdir(at(folder)).catch(() => [])).length).toBeGreaterThanOrEqual(after),
    { timeout: 60_000, interval: 5 },
  );
  child.kill(signal);
  await closed;
  return { code: child.exitCode, signal: child.signalCode, err };
}

describe('a batch', () => {
  test.each(['SIGINT', 'SIGKILL'] as const)(
    'F55, F57: cut off by %s it goes on where it was, with nothing made twice',
    async (signal) => {
      const folder = `cut-${signal}`;
      const prefix = `${signal}-`;
      const args = ['factory', 'batch', `${prefix}0001..${prefix}0900`, '--make-keys', '--out', folder];
      const cut = await cutOff(signal, 300, folder, args);
      if (signal === 'SIGINT') {
        expect(cut).toMatchObject({ code: 130, signal: null });
        expect(cut.err).toContain('signet: interrupted; the same command goes on where it was');
      } else expect(cut).toMatchObject({ code: null, signal: 'SIGKILL' });
      const keys = new Map<string, string>();
      for (const serial of await readdir(at(folder)))
        if (serial.startsWith(prefix))
          keys.set(serial, await readFile(at(folder, serial, 'bootstrap.key'), 'utf8').catch(() => ''));
      const { made, before, failed } = told<{ made: number; before: number; failed: unknown[] }>(
        await signet(...args, '--json'),
      );
      expect(failed).toEqual([]);
      expect(made + before).toBe(900);
      expect(made).toBeGreaterThan(0);
      const log = await logged(prefix);
      expect(log).toHaveLength(900);
      expect(new Set(log.map(({ fingerprint }) => fingerprint)).size).toBe(900);
      const list = await listed(folder);
      expect(new Map(list.map(({ serial, fingerprint }) => [serial, fingerprint]))).toEqual(
        new Map(log.map(({ deviceSerialNumber, fingerprint }) => [deviceSerialNumber, fingerprint])),
      );
      expect(list.every(({ fingerprint = '', code }) => claimCodeOf(fingerprint) === code)).toBe(true);
      for (const [serial, key] of keys) {
        if (key !== '') expect(await readFile(at(folder, serial, 'bootstrap.key'), 'utf8')).toBe(key);
        const { identity } = await new DeviceFolder(at(folder, serial)).factoryFiles();
        expect(list.find((row) => row.serial === serial)?.fingerprint).toBe(leaf(identity).fingerprint);
      }
    },
  );

  test('F55: run once more it makes nothing, and keys are readable for their owner alone', async () => {
    const args = ['factory', 'batch', 'R-1..R-5', '--make-keys', '--out', 'again', '--json'];
    expect(told(await signet(...args))).toEqual({ made: 5, before: 0, failed: [] });
    expect(told(await signet(...args))).toEqual({ made: 0, before: 5, failed: [] });
    expect(await logged('R-')).toHaveLength(5);
    expect((await stat(at('again', 'R-1', 'bootstrap.key'))).mode & 0o777).toBe(0o600);
    expect((await stat(at('again', 'R-1'))).mode & 0o777).toBe(0o700);
  });

  test('takes a CSV list, and requests of devices that keep their keys', async () => {
    await mkdir(at('line', 'requests'), { recursive: true });
    for (const [serial, id] of [
      ['C-1', 'pump-1'],
      ['C-2', 'pump-2'],
    ] as const) {
      const csr = createCsr({ subject: { commonName: id }, privateKey: generateKeyPair('P-256').privateKey });
      await writeFile(at('line', 'requests', `${serial}.csr`), encodePem('CERTIFICATE REQUEST', csr));
    }
    await writeFile(
      at('line', 'list.csv'),
      '\uFEFFserial,model,csr\r\nC-1,P200,requests/C-1.csr\r\nC-2,,\r\n',
    );
    const args = ['factory', 'batch', 'line/list.csv', '--csrs', 'line/requests', '--model', 'P100'];
    expect(told(await signet(...args, '--out', 'line/out', '--json'))).toEqual({
      made: 2,
      before: 0,
      failed: [],
    });
    expect((await readdir(at('line', 'out'))).toSorted()).toEqual([
      'C-1.crt',
      'C-2.crt',
      'devices.csv',
      'trust.pem',
    ]);
    expect(await listed('line/out')).toMatchObject([
      { serial: 'C-1', id: 'pump-1', model: 'P200' },
      { serial: 'C-2', id: 'pump-2', model: 'P100' },
    ]);
    // what one call makes is made at the same time, and has no order
    const models = new Map((await logged('C-')).map((made) => [made.deviceSerialNumber, made.model]));
    expect(models).toEqual(
      new Map([
        ['C-1', 'P200'],
        ['C-2', 'P100'],
      ]),
    );
  });

  test('says of each device why it was not made, and goes on with the others', async () => {
    await writeFile(at('some.csv'), 'serial\nD-1\nD-2\n');
    const csr = createCsr({
      subject: { commonName: 'D-2' },
      privateKey: generateKeyPair('P-256').privateKey,
    });
    await mkdir(at('some'), { recursive: true });
    await writeFile(at('some', 'D-2.csr'), encodePem('CERTIFICATE REQUEST', csr));
    const done = await signet('factory', 'batch', 'some.csv', '--csrs', 'some', '--out', 'some-out');
    expect(done).toMatchObject({ code: 1, err: 'signet: 1 devices were not made\n' });
    expect(done.out).toBe(
      'D-1: no-request: some/D-1.csr: does not exist\n1 devices made, listed in some-out/devices.csv\n',
    );
  });

  test('F87: ends where its budget ends, and says so', async () => {
    const made = await signet(
      ...['tokens', 'create', 'line-1', '--role', 'factory', '--for', 'acme', '--count', '300', '--json'],
    );
    const { token } = told<{ token: string }>(made);
    const args = ['factory', 'batch', 'Q-0001..Q-0900', '--make-keys', '--out', 'budget', '--json'];
    const done = await terminal.signetWith({ SIGNET_TOKEN: token }, ...args);
    expect(done.code).toBe(1);
    expect(done.err).toMatch(/^signet: \d+ devices were not made, and the rest were not tried\n$/);
    const { made: count, failed } = JSON.parse(done.out) as { made: number; failed: { code: string }[] };
    expect(count).toBe(300);
    expect(new Set(failed.map(({ code }) => code))).toEqual(new Set(['budget-exhausted']));
    expect(await logged('Q-')).toHaveLength(300);
  });

  test.each([
    [['SN-1..SN-10'], 'signet: serial range "SN-1..SN-10": the numbers of its ends differ in width'],
    [['nowhere.csv'], 'signet: nowhere.csv: no such file or folder'],
    [['twice.csv'], 'signet: twice.csv:3: serial "A" is in line 2 already'],
    [['bad.csv'], 'signet: bad.csv:2: serial "../x": letters, digits'],
    [['A-1..A-2'], 'signet: the devices have no CSRs: give --csrs <folder>'],
    [['A-1..A-2', '--csrs', 'x', '--make-keys'], 'signet: give either --csrs or --make-keys'],
  ])('refuses %j', async (args, message) => {
    await writeFile(at('twice.csv'), 'serial\nA\nA\n');
    await writeFile(at('bad.csv'), 'serial\n../x\n');
    const done = await signet('factory', 'batch', ...args, '--out', 'none');
    expect(done.code).toBe(1);
    expect(done.err.startsWith(message)).toBe(true);
  });
});

describe('the factory log', () => {
  test('F57: its export is what was made, as CSV and as JSON', async () => {
    told(await signet('factory', 'batch', 'L-01..L-40', '--make-keys', '--out', 'log', '--json'));
    const made = new Map<string, string>();
    for (const serial of (await readdir(at('log'))).filter((name) => name.startsWith('L-'))) {
      const { identity } = await new DeviceFolder(at('log', serial)).factoryFiles();
      made.set(serial, leaf(identity).pem());
    }
    expect(made.size).toBe(40);
    const log = await logged('L-');
    expect(new Map(log.map((one) => [one.deviceSerialNumber, one.certificate]))).toEqual(made);

    expect((await signet('factory', 'log', '--format', 'csv', '--out', 'log.csv')).code).toBe(0);
    const rows = parseCsv('log.csv', await readFile(at('log.csv'), 'utf8'), {
      required: [...columns, 'made', 'state', 'account'],
      optional: [],
    }).filter(({ values }) => values.serial?.startsWith('L-'));
    expect(
      rows.map(({ values }) => [values.serial, values.fingerprint, values['certificate serial']]),
    ).toEqual(
      log.map(({ deviceSerialNumber, certificate }) => {
        const { fingerprint, serialNumber } = parseCertificatePem(certificate);
        return [deviceSerialNumber, fingerprint, serialNumber];
      }),
    );
    const wrong = await signet('factory', 'log', '--format', 'xml');
    expect(wrong).toMatchObject({ code: 1, err: 'signet: --format: csv or json\n' });
  });
});

describe('labels', () => {
  test('are made of a batch without the platform, or of the log', async () => {
    told(await signet('factory', 'batch', 'E-01..E-30', '--make-keys', '--out', 'labels', '--json'));
    const offline = { SIGNET_TOKEN: '', SIGNET_URL: 'http://127.0.0.1:1' };
    const args = ['factory', 'labels', '--console', 'https://console.example', '--json'];
    const done = await terminal.signetWith(
      offline,
      ...[...args, '--list', 'labels/devices.csv', '--out', 'labels.svg'],
    );
    expect(told(done)).toEqual({ labels: 30, sheets: 2, out: 'labels.svg' });
    expect(await readFile(at('labels-2.svg'), 'utf8')).toContain('>E-30</text>');
    const few = await signet(...args, '--serials', 'E-01..E-04', '--out', 'few.pdf');
    expect(told(few)).toEqual({ labels: 4, sheets: 1, out: 'few.pdf' });
    expect((await readFile(at('few.pdf'), 'latin1')).startsWith('%PDF-1.4')).toBe(true);
    expect(await signet(...args, '--serials', 'nobody', '--out', 'none.pdf')).toMatchObject({ code: 1 });
  });
});

describe('files for an image', () => {
  const image = (name: string) => at(name, 'device');

  async function ready(serial: string): Promise<void> {
    const made = await signet('factory', 'sign', '--new', serial, '--out', `made-${serial}`, '--json');
    const { fingerprint } = told<{ fingerprint: string }>(made);
    expect((await signet('devices', 'claim', fingerprint)).code).toBe(0);
  }

  async function onboards(folder: string, deviceId: string): Promise<void> {
    const identity = await onboard(new DeviceFolder(folder), { report: () => {} });
    expect(leaf(identity).subject).toMatchObject({
      commonName: deviceId,
      organization: 'acme',
    });
  }

  test('F2: what a kickstart puts into an image onboards unattended', async () => {
    await ready('ks-1');
    const done = await signet('factory', 'bundle', 'made-ks-1', '--kickstart', '--path', image('ks'));
    expect(done).toMatchObject({ code: 0, err: '' });
    const [, body = ''] = /^%post --erroronfail\n([\s\S]*)\n%end\n$/.exec(done.out) ?? [];
    // the installer's root is this machine's here: the unit goes elsewhere, and there is no systemd to tell
    const script = body
      .replaceAll('/etc/systemd/system', at('ks', 'units'))
      .replace('systemctl enable signet-agent.service', ':');
    await promisify(execFile)('sh', ['-c', script]);
    expect((await stat(join(image('ks'), 'bootstrap.key'))).mode & 0o777).toBe(0o600);
    const unit = await readFile(at('ks', 'units', 'signet-agent.service'), 'utf8');
    expect(unit).toContain(`ExecStart=/usr/local/bin/signet-agent --folder ${image('ks')} run`);
    await onboards(image('ks'), 'ks-1');
  });

  test('F2: what cloud-init writes onboards unattended', async () => {
    await ready('ci-1');
    const done = await signet('factory', 'bundle', 'made-ci-1', '--cloud-init', '--path', image('ci'));
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out.startsWith('#cloud-config\n')).toBe(true);
    type File = { path: string; permissions: string; content: string };
    const config = parse(done.out) as { write_files: File[]; runcmd: string[][] };
    expect(config.runcmd).toEqual([['systemctl', 'enable', '--now', 'signet-agent.service']]);
    for (const { path, permissions, content } of config.write_files) {
      if (!path.startsWith(image('ci'))) continue;
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content, { mode: Number.parseInt(permissions, 8) });
    }
    await onboards(image('ci'), 'ci-1');
  });

  test('F2: a device that keeps its key gets the rest of the files', async () => {
    const { privateKey } = generateKeyPair('P-256');
    const csr = createCsr({ subject: { commonName: 'own-1' }, privateKey });
    await writeFile(at('own.csr'), encodePem('CERTIFICATE REQUEST', csr));
    const signed = await signet('factory', 'sign', '--csr', 'own.csr', '--out', 'signed/own.crt', '--json');
    const { fingerprint } = told<{ fingerprint: string }>(signed);
    await signet('devices', 'claim', fingerprint);
    const files = await signet(
      'factory',
      'bundle',
      'signed/own.crt',
      '--out',
      'own',
      '--path',
      '/device',
      '--json',
    );
    expect(
      files.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      '/device/bootstrap.crt',
      '/device/trust.pem',
      '/device/bootstrap.json',
      '/etc/systemd/system/signet-agent.service',
    ]);
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await writeFile(at('own', 'device', 'bootstrap.key'), key, { mode: 0o600 });
    await onboards(at('own', 'device'), 'own-1');
  });

  test('a path that a shell would misread is refused', async () => {
    const done = await signet(
      'factory',
      'bundle',
      'signed/own.crt',
      '--kickstart',
      '--path',
      "/x'; rm -rf /",
    );
    expect(done.code).toBe(1);
    expect(done.err).toMatch(/^signet: --path .*: a path of letters, digits/);
  });
});
