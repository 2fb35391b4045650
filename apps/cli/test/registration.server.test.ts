import { copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { parseCertificatePem } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { startTpm, tpmVendor } from '@signet/tests/servers/tpm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Done, Terminal } from './signet.ts';

const tools = {
  curl: requireServer('curl'),
  openssl: requireServer('openssl'),
  mosquitto: requireServer('mosquitto'),
};
const swtpm = requireServer('swtpm');

let platform: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  if (Object.values(tools).includes('')) return;
  platform = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(platform));
}, 60_000);
afterAll(() => stack.disposeAsync());

const file = (...path: string[]) => join(terminal.folder, ...path);
const run = (program: string, args: readonly string[], env: Record<string, string> = {}) =>
  terminal.execute(program, args, env);

async function signet<T>(...args: string[]): Promise<T[]> {
  const { code, out, err } = await terminal.signet('--json', ...args);
  if (code !== 0) throw new Error(err);
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** curl with the certificate and key of a folder; the status and the body. */
async function call(identity: string | undefined, url: string, ...args: string[]) {
  const shown =
    identity === undefined ? [] : ['--cert', file(`${identity}.crt`), '--key', file(`${identity}.key`)];
  const tls = ['-sS', '--cacert', file('image', 'ca.crt'), ...shown];
  const { out, err } = await run(tools.curl, [...tls, '-w', '\n%{http_code}', ...args, url]);
  const [, body = '', status = ''] = /^([\s\S]*)\n(\d+)$/.exec(out) ?? [];
  if (status === '') throw new Error(err);
  return { status: Number(status), body: body === '' ? undefined : JSON.parse(body) };
}

const at = (port: number, path: string) => `https://localhost:${port}${path}`;
const json = ['-H', 'Content-Type: application/json'];

async function newKey(name: string, commonName: string): Promise<string> {
  await run(tools.openssl, [
    ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', `/CN=${commonName}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)],
  ]);
  return readFile(file(`${name}.csr`), 'utf8');
}

async function register(name: string, identity: string, body: unknown) {
  await writeFile(file(`${name}.json`), JSON.stringify(body));
  const url = at(platform.ports.bootstrap, '/v1/register');
  return call(identity, url, ...json, '--data-binary', `@${file(`${name}.json`)}`);
}

describe.skipIf(Object.values(tools).includes(''))('registrations, with nothing but openssl and curl', () => {
  type Listed = { requestId: string; kind: string; deviceId: string; state: string };

  beforeAll(async () => {
    await signet('registration', 'certificate', 'create', 'image', '--limit', '10');
  });

  it('F1 F2: the files for an image: certificate, key of the owner alone, roots', async () => {
    expect((await stat(file('image', 'register.key'))).mode & 0o777).toBe(0o600);
    expect(await readFile(file('image', 'register.key'), 'utf8')).toMatch(/^-----BEGIN EC PRIVATE KEY/);
    const [certificate] = await signet<{ name: string; limit: number }>(
      'registration',
      'certificate',
      'list',
    );
    expect(certificate).toMatchObject({ name: 'image', limit: 10 });
  });

  it('F3 F4: a device registers, an operator approves, the device gets its handoff', async () => {
    const csr = await newKey('own', 'press-1');
    const details = { model: 'P200' };
    expect(await register('own', 'image/register', { csr, details })).toMatchObject({ status: 202 });
    const [request] = await signet<Listed>('requests', 'list', '--state', 'waiting');
    expect(request).toMatchObject({ kind: 'registration', deviceId: 'press-1', details });
    const { out } = await terminal.signet('requests', 'list');
    expect(out).toMatch(/registration │ press-1 │ P-256 │ image, model=P200/);
    await signet('requests', 'approve', request?.requestId ?? '');
    const { status, body } = await register('own', 'image/register', { csr });
    expect(status).toBe(200);
    await writeFile(file('own.crt'), body.certificate);
    const url = at(platform.ports.bootstrap, '/v1/bootstrap');
    expect(await call('own', url, '-X', 'POST')).toMatchObject({
      status: 200,
      body: { account: 'acme', deviceId: 'press-1' },
    });
    expect(await register('own', 'image/register', { csr })).toMatchObject({ status: 409 });
  });

  it('F1: a registration certificate is admitted by no other listener', async () => {
    const { bootstrap, est, gateway, mqtt, mqttProvisioning } = platform.ports;
    for (const [port, method, path] of [
      [bootstrap, 'POST', '/v1/bootstrap'],
      [bootstrap, 'GET', '/api/flotta-management/v1/control/press-1/in'],
      [est, 'GET', '/.well-known/est/cacerts'],
      [est, 'POST', '/.well-known/est/acme/simpleenroll'],
      [gateway, 'GET', '/config'],
    ] as const) {
      const tls = ['-sS', '--cacert', file('image', 'ca.crt'), '-X', method];
      const shown = ['--cert', file('image', 'register.crt'), '--key', file('image', 'register.key')];
      const { out } = await run(tools.curl, [
        ...[...tls, ...shown, '-o', file('refused'), '-w', '%{http_code}'],
        at(port, path),
      ]);
      expect(out, path).toBe('403');
    }
    for (const port of [mqtt, mqttProvisioning]) {
      const { code, err } = await run(tools.mosquitto, [
        ...['-h', 'localhost', '-p', String(port), '--cafile', file('image', 'ca.crt')],
        ...['--cert', file('image', 'register.crt'), '--key', file('image', 'register.key')],
        ...['-i', 'register', '-u', 'x', '-P', 'y', '-q', '1', '-t', 'd/acme/register/up/x', '-m', 'x'],
      ]);
      expect(code, err).not.toBe(0);
      expect(err).toMatch(/not authori[sz]ed/i);
    }
    const refusal = await platform.events.find(
      'DEVICE_REFUSED',
      ({ data }) => data.listener === 'gateway' && data.code === 'wrong-purpose',
    );
    expect(refusal.account).toBe('acme');
  });

  it('Flotta: enrolment, approval, registration and heartbeat against the real CA', async () => {
    const base = at(platform.ports.bootstrap, '/api/flotta-management/v1');
    const send = async (identity: string, directive: string, content: unknown) => {
      const message = { type: 'data', message_id: '1', response_to: '', version: 1, directive, content };
      await writeFile(file('message.json'), JSON.stringify(message));
      const data = [...json, '--data-binary', `@${file('message.json')}`];
      return call(identity, `${base}/data/edge-1/out`, ...data);
    };
    expect(await send('image/register', 'enrolment', { target_namespace: 'hall-3' })).toEqual({
      status: 200,
      body: undefined,
    });
    const [request] = await signet<Listed>('requests', 'list', '--state', 'waiting');
    await signet('requests', 'approve', request?.requestId ?? '');
    expect(await send('image/register', 'enrolment', {})).toMatchObject({ status: 208 });
    const csr = await newKey('edge', 'edge-1');
    const { status, body } = await send('image/register', 'registration', { certificate_request: csr });
    expect(status).toBe(200);
    const certificate = parseCertificatePem(body.content.certificate);
    expect(certificate.subject).toEqual({
      ...{ commonName: 'edge-1', organization: 'acme', organizationalUnit: 'hall-3' },
    });
    expect(certificate.serialNumber).toMatch(/^[0-9a-f]{32}$/);
    await writeFile(file('edge.crt'), body.content.certificate);
    expect(await send('edge', 'heartbeat', { status: 'up' })).toMatchObject({ status: 200 });
    expect(await send('image/register', 'enrolment', {})).toMatchObject({ status: 409 });
    const again = await send('edge', 'registration', { certificate_request: csr });
    expect(again.status).toBe(200);
    expect(parseCertificatePem(again.body.content.certificate).subjectDer).toEqual(certificate.subjectDer);
    await signet('devices', 'revoke', 'edge-1', '--reason', 'scrapped');
    await expect
      .poll(async () => (await call('edge', `${base}/control/edge-1/in`)).body?.content?.command, {
        timeout: 10_000,
      })
      .toBe('disconnect');
  });

  it('Flotta: once a device came with its renewed certificate, of the same key or another, the one before is superseded', async () => {
    const base = at(platform.ports.bootstrap, '/api/flotta-management/v1');
    const send = async (identity: string, directive: string, content: unknown) => {
      const message = { type: 'data', message_id: '1', response_to: '', version: 1, directive, content };
      await writeFile(file('message.json'), JSON.stringify(message));
      return call(identity, `${base}/data/edge-2/out`, ...json, '--data-binary', `@${file('message.json')}`);
    };
    /** Registers by one identity with the key of another, whose certificate is written. */
    const registerBy = async (by: string, as: string, csr: string) => {
      const { status, body } = await send(by, 'registration', { certificate_request: csr });
      expect(status).toBe(200);
      await writeFile(file(`${as}.crt`), body.content.certificate);
      return parseCertificatePem(body.content.certificate).serialNumber;
    };
    const beats = async (identity: string) => (await send(identity, 'heartbeat', { status: 'up' })).status;
    type Shown = { certificates: { serialNumber: string; revocationReason?: string }[] };
    const superseded = async () => {
      const [shown] = await signet<Shown>('devices', 'show', 'edge-2');
      const gone = shown?.certificates.filter(({ revocationReason }) => revocationReason === 'superseded');
      return gone?.map(({ serialNumber }) => serialNumber);
    };
    await send('image/register', 'enrolment', { target_namespace: 'hall-3' });
    const waiting = await signet<Listed>('requests', 'list', '--state', 'waiting');
    const requestId = waiting.find(({ deviceId }) => deviceId === 'edge-2')?.requestId ?? '';
    await signet('requests', 'approve', requestId);
    const csr = await newKey('first', 'edge-2');
    const first = await registerBy('image/register', 'first', csr);
    await copyFile(file('first.key'), file('second.key'));
    const second = await registerBy('first', 'second', csr);
    // until the device was seen with the next one it may have lost the answer
    expect([await beats('first'), await superseded()]).toEqual([200, []]);
    expect(await beats('second')).toBe(200);
    await expect.poll(superseded, { timeout: 10_000 }).toEqual([first]);
    await expect.poll(() => beats('first'), { timeout: 10_000 }).toBe(403);
    await registerBy('second', 'third', await newKey('third', 'edge-2'));
    expect(await beats('third')).toBe(200);
    await expect
      .poll(async () => (await superseded())?.sort(), { timeout: 10_000 })
      .toEqual([first, second].sort());
    expect(await beats('third')).toBe(200);
  });

  it('F51: a token of the role registrar registers; the gateway takes the certificate', async () => {
    const grants = [{ account: 'acme', role: 'registrar' }];
    const { id, token } = await platform.operator.post<{ id: string; token: string }>('/v1/tokens', {
      name: 'floor',
      grants,
      budget: { count: 1 },
    });
    const uuid = '7c3d7b70-0b4a-4b0c-9d3c-0d4e1a2b3c4d';
    await newKey('lmp', uuid);
    const subject = `/CN=${uuid}/OU=acme/businessCategory=production`;
    await run(tools.openssl, [
      ...['req', '-new', '-key', file('lmp.key'), '-subj', subject, '-out', file('lmp.csr')],
    ]);
    const csr = await readFile(file('lmp.csr'), 'utf8');
    const info = { 'use-ostree-server': 'true', 'hardware-id': 'intel-corei7-64', name: uuid, uuid, csr };
    await writeFile(file('lmp.json'), JSON.stringify(info));
    const url = at(platform.ports.bootstrap, '/sign');
    const data = ['-H', 'Content-type: application/json', '--data-binary', `@${file('lmp.json')}`];
    const { status, body } = await call(undefined, url, ...data, '-H', `OSF-TOKEN: ${token}`);
    expect(status).toBe(201);
    await writeFile(file('lmp.crt'), body['client.pem']);
    await writeFile(file('image', 'ca.crt'), body['root.crt']);
    const config = await call('lmp', at(platform.ports.gateway, '/config'));
    expect([200, 204]).toContain(config.status);
    const another = '7c3d7b70-0b4a-4b0c-9d3c-0d4e1a2b3c4e';
    const csrOf = async (subject: string) =>
      (await run(tools.openssl, ['req', '-new', '-key', file('lmp.key'), '-subj', subject])).out;
    const more = { ...info, uuid: another, name: another, csr: await csrOf(`/CN=${another}/OU=acme`) };
    await writeFile(file('lmp.json'), JSON.stringify(more));
    expect(await call(undefined, url, ...data, '-H', `OSF-TOKEN: ${token}`)).toMatchObject({
      status: 403,
      body: { code: 'limit-reached', detail: 'budget: all 1 devices are used up' },
    });
    expect(await signet('tokens', 'budget', id)).toMatchObject([{ budget: { count: 1 }, used: 1 }]);
    const rival = JSON.stringify({ ...info, csr: await csrOf(`/CN=${uuid}/OU=rival`) });
    await writeFile(file('lmp.json'), rival);
    expect(await call(undefined, url, ...data, '-H', `OSF-TOKEN: ${token}`)).toMatchObject({ status: 403 });
  });

  it('F51: a registered device that only polls the gateway was seen there, not "never connected"; the first time is an event', async () => {
    const uuid = '7c3d7b70-0b4a-4b0c-9d3c-0d4e1a2b3c4d';
    const shown = async () => {
      await call('lmp', at(platform.ports.gateway, '/config'));
      return (await terminal.signet('devices', 'show', uuid)).out;
    };
    await expect.poll(shown, { timeout: 10_000 }).toMatch(/^session +last seen \S+Z, at the gateway$/m);
    const { data } = await platform.events.find('DEVICE_FIRST_SEEN', ({ subject }) => subject === uuid);
    expect(await signet('devices', 'show', uuid)).toMatchObject([
      { device: { fingerprint: data.fingerprint }, keys: { gatewaySeenAt: expect.any(String) } },
    ]);
  });

  it.skipIf(swtpm === '')(
    'F5: a registration key in a TPM registers its device; its copied blob fails on another TPM',
    async () => {
      const vendor = stack.use(tpmVendor());
      const own = stack.use(await startTpm(swtpm, vendor));
      const other = stack.use(await startTpm(swtpm, vendor));
      const inTpm = ['-provider', 'tpm2', '-provider', 'default', '-propquery', '?provider=tpm2'];
      const openssl = (tcti: string, args: string[], input = ''): Promise<Done> =>
        terminal.execute(tools.openssl, args, { TPM2OPENSSL_TCTI: tcti }, input);
      const made = await openssl(own.tcti, [
        ...['genpkey', ...inTpm, '-algorithm', 'EC', '-pkeyopt', 'group:P-256'],
        ...['-out', file('tpm.key')],
      ]);
      expect(made.err + made.out, 'genpkey').not.toMatch(/error/i);
      expect(await readFile(file('tpm.key'), 'utf8')).toMatch(/BEGIN TSS2 PRIVATE KEY/);
      await openssl(own.tcti, [
        ...['req', '-new', ...inTpm, '-key', file('tpm.key'), '-subj', '/CN=press-9'],
        ...['-out', file('tpm.csr')],
      ]);
      const options = ['--csr', file('tpm.csr'), '--device', 'press-9', '--out', file('tpm')];
      await signet('registration', 'certificate', 'create', 'press-9', ...options);

      const body = JSON.stringify({ csr: await newKey('press', 'press-9') });
      const ask = (tcti: string) =>
        openssl(
          tcti,
          [
            ...['s_client', '-provider', 'default', '-provider', 'tpm2', '-tls1_3', '-groups', 'X25519'],
            ...[
              '-propquery',
              '?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes',
              '-connect',
              `localhost:${platform.ports.bootstrap}`,
            ],
            ...['-CAfile', file('image', 'ca.crt'), '-cert', file('tpm', 'register.crt')],
            ...['-key', file('tpm.key'), '-quiet', '-ign_eof'],
          ],
          [
            'POST /v1/register HTTP/1.1',
            'Host: localhost',
            'Content-Type: application/json',
            'Connection: close',
            `Content-Length: ${body.length}`,
            '',
            body,
          ].join('\r\n'),
        );
      const asked = await ask(own.tcti);
      expect(asked.out, asked.err).toMatch(/^HTTP\/1.1 202/);
      const stolen = await ask(other.tcti);
      expect(stolen.out).not.toMatch(/HTTP/);
      expect(stolen.code).not.toBe(0);
      expect(stolen.err).toMatch(/unable to load|Could not read|TPM|error/i);
    },
    120_000,
  );

  it('F1: revoked, it registers nothing', async () => {
    await signet('registration', 'certificate', 'revoke', 'image');
    const csr = await newKey('late', 'press-2');
    expect(await register('late', 'image/register', { csr })).toMatchObject({
      status: 403,
      body: { code: 'unknown-registration-certificate' },
    });
  });
});
