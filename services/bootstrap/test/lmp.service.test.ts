import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  authorizeToken,
  blockDevices,
  getDevice,
  handOverDevice,
  newEvent,
  OperationError,
  resetDevices,
  retireDevices,
  returnTokenBudget,
  spendTokenBudget,
  unclaimDevices,
} from '@signet/contracts';
import {
  createCsr,
  decodePem,
  EKU,
  encodePem,
  generateKeyPair,
  type KeyPair,
  parseCertificatePem,
  parseCsr,
} from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceRecords } from '../src/collections.ts';
import { ACCOUNT } from './support/bootstrap-fixture.ts';
import { type DeviceInfo, LmpClient } from './support/lmp-client.ts';
import { openRegistrationFixture, type RegistrationFixture } from './support/registration-fixture.ts';

const TOKEN = `sgn_${'0'.repeat(16)}_${'A'.repeat(43)}`;

const BUDGETED = `sgn_${'1'.repeat(16)}_${'A'.repeat(43)}`;

const OTHER = `sgn_${'2'.repeat(16)}_${'A'.repeat(43)}`;

/** Devices that count against the budget of that token, which is one. */
const counted = new Set<string>();

let fixture: RegistrationFixture;

const stack = new AsyncDisposableStack();

beforeAll(async () => {
  fixture = stack.use(await openRegistrationFixture());
  stack.use(
    await bus().serve(authorizeToken, async ({ token, account }) => {
      if (token !== TOKEN && token !== BUDGETED && token !== OTHER)
        throw new OperationError('unauthenticated', 'token: not a valid API token');
      if (account !== ACCOUNT) throw new OperationError('forbidden', 'token: no role there');
      const name = token === TOKEN ? 'floor-1' : token === OTHER ? 'floor-2' : 'floor-3';
      return { name, hasBudget: token === BUDGETED };
    }),
  );
  stack.use(
    await bus().serve(spendTokenBudget, async ({ deviceId }) => {
      if (counted.has(deviceId)) return {};
      if (counted.size > 0) throw new OperationError('budget-exhausted', 'budget: all 1 devices are used up');
      counted.add(deviceId);
      return { use: deviceId };
    }),
  );
  stack.use(
    await bus().serve(returnTokenBudget, async ({ use }) => {
      counted.delete(use);
      return {};
    }),
  );
});

afterAll(() => stack.disposeAsync());

const bus = () => fixture.base.fixture.deps.bus;

const client = (header = `OSF-TOKEN: ${TOKEN}`) => new LmpClient(fixture, header);

const tellAccount = (type: 'ACCOUNT_SUSPENDED' | 'ACCOUNT_RESUMED', sequence: number) => {
  const facts = { account: ACCOUNT, subject: ACCOUNT, time: Date.now() };
  const event = newEvent(type, { ...facts, data: { by: 'ada', reason: 'unpaid' } });
  return bus().publish([{ ...event, sequence }]);
};

/** The CSR as the client makes it: CN and OU, critical key usages. */
function csrOf(uuid: string, account = ACCOUNT, { privateKey }: KeyPair = generateKeyPair('P-256')): string {
  const subject = { commonName: uuid, organizationalUnit: account };
  const usages = { keyUsage: ['digitalSignature'] as const, extKeyUsage: [EKU.clientAuth] };
  return encodePem('CERTIFICATE REQUEST', createCsr({ subject, privateKey, ...usages }));
}

/** Its members in the order in which the client puts them. */
function device(uuid: string = randomUUID(), more: Record<string, unknown> = {}): DeviceInfo {
  return {
    'use-ostree-server': 'true',
    'sota-config-dir': '/var/sota',
    'hardware-id': 'intel-corei7-64',
    name: uuid,
    uuid,
    csr: csrOf(uuid),
    overrides: {
      pacman: {
        type: '"ostree+compose_apps"',
        compose_apps_root: '"/var/sota/compose-apps"',
        reset_apps_root: '"/var/sota/reset-apps"',
        reset_apps: '" "',
        tags: '"main"',
      },
    },
    ...more,
  } as DeviceInfo;
}

const recordOf = (deviceId: string) => bus().request(getDevice, { account: ACCOUNT, deviceId });

/** The device came to broker or gateway with the key of its CSR. */
async function seen(deviceId: string, { csr }: DeviceInfo): Promise<void> {
  const { publicKeyHash } = parseCsr(decodePem(String(csr), 'CERTIFICATE REQUEST'));
  fixture.seenKeys.set(`${ACCOUNT}/${deviceId}`, publicKeyHash);
}

async function setRegisteredAt(fingerprint: string, at: number): Promise<void> {
  const devices = await fixture.base.store.collection(deviceRecords);
  await devices.update(fingerprint, (record) => {
    const { tokenRegistration } = record;
    if (tokenRegistration === undefined) return undefined;
    return {
      document: {
        ...record,
        tokenRegistration: { ...tokenRegistration, at: new Date(at).toISOString() },
      },
    };
  });
}

describe('lmp-device-register', () => {
  it('F51: a device that is retired while its certificate is made does not get it, and it is revoked', async () => {
    const uuid = randomUUID();
    fixture.certifying.meanwhile = async () => {
      fixture.certifying.meanwhile = undefined;
      const lost = { account: ACCOUNT, by: 'ada', reason: 'lost', deviceIds: [uuid] };
      expect((await bus().request(retireDevices, lost)).changed).toHaveLength(1);
    };
    const answer = await client().register(device(uuid));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.text).toContain('it is retired');
    expect(fixture.revoked).toContain(fixture.certified.at(-1)?.serialNumber);
  });

  it('F51: pings, registers, and has its files', async () => {
    const ping = await client().ping();
    expect(ping.status).toBeLessThan(500);
    const uuid = randomUUID();
    const answer = await client().register(device(uuid));
    expect(answer.status).toBe(201);
    const files = JSON.parse(answer.text) as Record<string, string>;
    expect(Object.keys(files).sort()).toEqual(['client.chained', 'client.pem', 'root.crt', 'sota.toml']);
    const leaf = parseCertificatePem(files['client.pem'] ?? '');
    expect(leaf.subject).toMatchObject({
      ...{ commonName: uuid, organization: ACCOUNT, organizationalUnit: ACCOUNT },
    });
    expect(files['client.chained']?.startsWith(files['client.pem'] ?? 'x')).toBe(true);
    expect(files['client.chained']?.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(files['root.crt']).toBe(fixture.base.fixture.pki.root.pem);
    expect(files['sota.toml']).toBe(`[tls]
server = "https://localhost:8445"
ca_source = "file"
pkey_source = "file"
cert_source = "file"

[provision]
server = "https://localhost:8445"
primary_ecu_hardware_id = "intel-corei7-64"

[uptane]
repo_server = "https://localhost:8445/repo"
key_source = "file"

[pacman]
type = "ostree+compose_apps"
ostree_server = "https://localhost:8445/treehub"
compose_apps_root = "/var/sota/compose-apps"
reset_apps_root = "/var/sota/reset-apps"
reset_apps = " "
tags = "main"

[storage]
type = "sqlite"
path = "/var/sota/"

[import]
tls_cacert_path = "/var/sota/root.crt"
tls_pkey_path = "/var/sota/pkey.pem"
tls_clientcert_path = "/var/sota/client.pem"
`);
    const made = await bus().request(getDevice, { account: ACCOUNT, deviceId: uuid });
    expect(made).toMatchObject({ model: 'intel-corei7-64', account: ACCOUNT });
  });

  it('F51: its group, its folder, and a key in a security module', async () => {
    const uuid = randomUUID();
    const pkcs11 = {
      tls: { pkey_source: '"pkcs11"', cert_source: '"pkcs11"' },
      storage: { tls_pkey_path: '', tls_clientcert_path: '' },
      import: { tls_pkey_path: '', tls_clientcert_path: '' },
    };
    const more = { group: 'floor', 'sota-config-dir': '/opt/sota', overrides: pkcs11 };
    const answer = await client().register(device(uuid, more));
    const sota = JSON.parse(answer.text)['sota.toml'] as string;
    expect(sota).toContain('pkey_source = "pkcs11"\n');
    expect(sota).toContain('# tls_pkey_path is not set\n');
    expect(sota).toContain('path = "/opt/sota/"\n');
    const made = await bus().request(getDevice, { account: ACCOUNT, deviceId: uuid });
    expect(made.group).toBe('floor');
  });

  it('F51: a bearer token, plain or in base64 as the client sends it', async () => {
    for (const bearer of [TOKEN, Buffer.from(TOKEN).toString('base64')])
      expect(await client(`Authorization: Bearer ${bearer}`).register(device())).toMatchObject({
        status: 201,
      });
  });

  it('F51: a device that exists is a 409; the same key may come again until it was used', async () => {
    const uuid = randomUUID();
    const info = device(uuid);
    expect(await client().register(info)).toMatchObject({ status: 201 });
    expect(await client().register(info)).toMatchObject({ status: 201 });
    await seen(uuid, info);
    const other = await client().register(device(uuid));
    expect(other.status).toBe(409);
    expect(JSON.parse(other.text)).toMatchObject({ code: 'device-id-taken', field: 'uuid' });
  });

  it('F51: a device whose answer was lost registers with a new key, by the same token; what it had is revoked', async () => {
    const uuid = randomUUID();
    expect(await client().register(device(uuid))).toMatchObject({ status: 201 });
    const first = fixture.certified.findLast(({ deviceId }) => deviceId === uuid)?.serialNumber;
    const again = device(uuid);
    expect(await client().register(again)).toMatchObject({ status: 201 });
    expect(fixture.revoked).toContain(first);
    const second = fixture.certified.findLast(({ deviceId }) => deviceId === uuid)?.serialNumber;
    expect(fixture.revoked).not.toContain(second);
    await seen(uuid, again);
    expect(await client().register(device(uuid))).toMatchObject({ status: 409 });
    expect(fixture.revoked).not.toContain(second);
  });

  it('F51: another token takes nobody’s place, and nobody comes in after ten minutes', async () => {
    const uuid = randomUUID();
    expect(await client().register(device(uuid))).toMatchObject({ status: 201 });
    expect(await client(`OSF-TOKEN: ${OTHER}`).register(device(uuid))).toMatchObject({ status: 409 });
    const record = await recordOf(uuid);
    await setRegisteredAt(record.fingerprint, Date.now() - 601_000);
    expect(await client().register(device(uuid))).toMatchObject({ status: 409 });
  });

  it.each([
    ['reset', resetDevices],
    ['given up', unclaimDevices],
    ['revoked', retireDevices],
  ] as const)('F51: a device that was %s registers anew with a new key', async (how, command) => {
    const uuid = randomUUID();
    const info = device(uuid, { name: 'first' });
    expect(await client().register(info)).toMatchObject({ status: 201 });
    const first = fixture.certified.findLast(({ deviceId }) => deviceId === uuid)?.serialNumber;
    await seen(uuid, info);
    await fixture.base.connected(uuid);
    await expect.poll(async () => (await recordOf(uuid)).state).toBe('active');
    expect(await client().register(device(uuid))).toMatchObject({ status: 409 });
    const which = { account: ACCOUNT, deviceIds: [uuid], by: 'ada', reason: 'broken' };
    const { changed } = await bus().request(command, which);
    expect(changed).toEqual([uuid]);
    expect(await client(`OSF-TOKEN: ${OTHER}`).register(device(uuid, { name: 'again' }))).toMatchObject({
      status: 201,
    });
    expect(fixture.revoked).toContain(first);
    expect(await recordOf(uuid)).toMatchObject({ account: ACCOUNT, state: 'claimed', name: 'again' });
    expect((await recordOf(uuid)).reason).toBeUndefined();
    if (how !== 'revoked') return;
    const lifted = await fixture.base.events('DEVICE_UNBLOCKED', 1);
    expect(lifted.find(({ subject }) => subject === uuid)?.data.deviceId).toBe(uuid);
  });

  it('F51: a revoked device does not come in again with a key that it had, nor does its bootstrap certificate', async () => {
    const uuid = randomUUID();
    const info = device(uuid);
    expect(await client().register(info)).toMatchObject({ status: 201 });
    await seen(uuid, info);
    const revoke = { account: ACCOUNT, deviceIds: [uuid], by: 'ada', reason: 'stolen' };
    await bus().request(retireDevices, revoke);
    expect(await client().register(info)).toMatchObject({ status: 409 });
    expect(await recordOf(uuid)).toMatchObject({ state: 'retired', reason: 'stolen' });
    expect(await client().register(device(uuid))).toMatchObject({ status: 201 });
    const { fingerprint } = await recordOf(uuid);
    await expect(bus().request(handOverDevice, { fingerprint })).rejects.toMatchObject({
      code: 'wrong-identity',
    });
  });

  it('F51: while its account is suspended no device registers, nor comes in again', async () => {
    const uuid = randomUUID();
    const info = device(uuid);
    expect(await client().register(info)).toMatchObject({ status: 201 });
    await tellAccount('ACCOUNT_SUSPENDED', 2);
    const refused = { status: 403, text: expect.stringContaining('suspended') };
    await expect.poll(() => client().register(device(uuid))).toMatchObject(refused);
    expect(await client().register(device(randomUUID()))).toMatchObject(refused);
    await tellAccount('ACCOUNT_RESUMED', 3);
    await expect.poll(() => client().register(info)).toMatchObject({ status: 201 });
  });

  it.each([
    ['connects to the broker', 'DEVICE_CONNECTED'],
    ['asks at the gateway', 'DEVICE_SEEN'],
  ] as const)('F51: DEVICE_FIRST_SEEN comes, once, when a registered device first %s', async (_how, type) => {
    const uuid = randomUUID();
    const info = device(uuid);
    expect(await client().register(info)).toMatchObject({ status: 201 });
    const { fingerprint } = await recordOf(uuid);
    const { publicKeyHash } = parseCsr(decodePem(String(info.csr), 'CERTIFICATE REQUEST'));
    // the clock of whoever tells of it may be behind
    const facts = { account: ACCOUNT, subject: uuid, time: Date.now() - 5000 };
    const session = { fingerprint, issuerKeyId: '0b'.repeat(20), sessionId: 's-1' };
    const more = type === 'DEVICE_SEEN' ? {} : { ...session, node: 'broker-1', address: '192.0.2.17' };
    const data = { deviceId: uuid, serialNumber: '0a', publicKeyHash, ...more } as never;
    await bus().publish([newEvent(type, { ...facts, data }), newEvent(type, { ...facts, data })]);
    await fixture.base.connected(uuid);
    await expect.poll(async () => (await recordOf(uuid)).state).toBe('active');
    const told: unknown[] = [];
    const types = ['DEVICE_FIRST_SEEN'] as const;
    await using _tail = await bus().tail({ types, from: 'start' }, ({ subject, data }) => {
      if (subject === uuid) told.push(data);
    });
    await expect.poll(() => told, { timeout: 10_000 }).toMatchObject([{ deviceId: uuid, fingerprint }]);
  });

  it('F51: a blocked device, and one that a factory made, keep their place', async () => {
    const uuid = randomUUID();
    expect(await client().register(device(uuid))).toMatchObject({ status: 201 });
    const blocked = { account: ACCOUNT, deviceIds: [uuid], by: 'ada', reason: 'stolen' };
    await bus().request(blockDevices, blocked);
    expect(await client().register(device(uuid))).toMatchObject({ status: 403 });
    const { fingerprint } = await fixture.base.make('made-1');
    await fixture.base.claim(fingerprint);
    await bus().request(resetDevices, { account: ACCOUNT, deviceIds: ['made-1'], by: 'ada' });
    expect(await client().register(device('made-1'))).toMatchObject({ status: 409 });
  });

  it('F51: keeps the name and whether it is one for production', async () => {
    const uuid = randomUUID();
    // as lmp-device-register --production makes it (src/openssl.cpp)
    const csr = execFileSync('openssl', [
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', '/dev/null', '-subj', `/CN=${uuid}/OU=${ACCOUNT}/businessCategory=production`],
    ]).toString();
    expect(await client().register(device(uuid, { name: 'Pump 7', csr }))).toMatchObject({ status: 201 });
    expect(await recordOf(uuid)).toMatchObject({ name: 'Pump 7', production: true });
    const plain = randomUUID();
    await client().register(device(plain));
    expect((await recordOf(plain)).production).toBeUndefined();
  });

  it('F51: serial numbers are random, not made of the uuid', async () => {
    const uuid = randomUUID();
    await client().register(device(uuid));
    const serial = fixture.certified.find(({ deviceId }) => deviceId === uuid)?.serialNumber;
    expect(serial).toMatch(/^[0-9a-f]{32}$/);
    expect(serial).not.toBe(uuid.replaceAll('-', ''));
  });
});

describe('who may register', () => {
  it('F51: nobody without a token, or with one that is none: 401', async () => {
    for (const header of ['', 'OSF-TOKEN: nonsense', `OSF-TOKEN: sgn_${'1'.repeat(16)}_${'B'.repeat(43)}`]) {
      const answer = await client(header).register(device());
      expect(answer.status, header).toBe(401);
      expect(JSON.parse(answer.text).code).toBe('unauthenticated');
    }
  });

  it('F66: a token of one account registers nothing in another, whatever the CSR says', async () => {
    const uuid = randomUUID();
    const answer = await client().register(device(uuid, { csr: csrOf(uuid, 'rival') }));
    expect(answer.status).toBe(403);
    await expect(bus().request(getDevice, { account: 'rival', deviceId: uuid })).rejects.toThrow();
  });

  it('F87: a token with a budget registers what it has; the same device costs nothing, a refused one is given back', async () => {
    const budgeted = client(`OSF-TOKEN: ${BUDGETED}`);
    const taken = randomUUID();
    expect(await client().register(device(taken))).toMatchObject({ status: 201 });
    expect(await budgeted.register(device(taken))).toMatchObject({ status: 409 });
    const first = device();
    for (const _ of [1, 2]) expect(await budgeted.register(first)).toMatchObject({ status: 201 });
    const uuid = randomUUID();
    const second = await budgeted.register(device(uuid));
    expect(second.status).toBe(403);
    expect(JSON.parse(second.text)).toMatchObject({
      code: 'limit-reached',
      detail: 'budget: all 1 devices are used up',
    });
    await expect(bus().request(getDevice, { account: ACCOUNT, deviceId: uuid })).rejects.toThrow();
    expect([...counted]).toEqual([first.uuid]);
  });

  it('F1: no certificate takes the place of a token', async () => {
    const identity = await fixture.registrationCertificate();
    expect(await fixture.call('POST', '/sign', { identity, body: device() })).toMatchObject({
      status: 403,
      body: { code: 'wrong-purpose' },
    });
  });
});

describe('what a client sends that is wrong is a 4xx with a reason', () => {
  const uuid = randomUUID();
  const forged = () => {
    const subject = { commonName: uuid, organizationalUnit: ACCOUNT };
    const der = createCsr({ subject, ...generateKeyPair('P-256') });
    der[der.length - 8] = (der[der.length - 8] ?? 0) ^ 1;
    return encodePem('CERTIFICATE REQUEST', der);
  };
  it.each([
    ['a CSR that its key did not sign', () => ({ csr: forged() }), 'bad-csr-signature'],
    ['a CSR of another uuid', () => ({ csr: csrOf(randomUUID()) }), 'wrong-subject'],
    ['a CSR that is none', () => ({ csr: 'no' }), 'malformed-request'],
    ['a CSR without account', () => ({ csr: csrOf(uuid, 'Not An Account') }), 'malformed-request'],
    ['a uuid that names a file', () => ({ uuid: '../root', csr: csrOf('../root') }), 'bad-identity'],
    ['no hardware id', () => ({ 'hardware-id': '' }), 'invalid-input'],
    ['a hardware id with a line', () => ({ 'hardware-id': 'a"\n[tls]' }), 'invalid-input'],
    ['a group that groups cannot have', () => ({ group: 'hall 3/north' }), 'invalid-input'],
    ['a folder with a line', () => ({ 'sota-config-dir': '/var\n[x]' }), 'invalid-input'],
    ['a table with a line', () => ({ overrides: { 'a]\n[tls': { b: '1' } } }), 'invalid-input'],
    ['a key with a line', () => ({ overrides: { tls: { 'a\nb': '1' } } }), 'invalid-input'],
    ['a value that is no text', () => ({ overrides: { tls: { a: { b: '1' } } } }), 'invalid-input'],
  ])('F51: %s', async (_name, more, code) => {
    const answer = await client().register(device(uuid, more()));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(JSON.parse(answer.text).code).toBe(code);
  });

  it('F51: JSON that is none, and a body too large', async () => {
    expect(await client().post('{')).toMatchObject({ status: 400 });
    expect(await client().register(device(uuid, { name: 'x'.repeat(70_000) }))).toMatchObject({
      status: 413,
    });
  });

  it('F51: a value is a setting and never more: what would end its line is put in quotes', async () => {
    const evil = { tls: { a: '"x"\nserver = "https://evil"', b: 'plain', c: 'true', d: '"open' } };
    const answer = await client().register(device(randomUUID(), { overrides: evil }));
    const sota = JSON.parse(answer.text)['sota.toml'] as string;
    const [tls] = sota.split('\n\n');
    expect(tls?.split('\n')).toEqual([
      '[tls]',
      'server = "https://localhost:8445"',
      ...['ca_source', 'pkey_source', 'cert_source'].map((key) => `${key} = "file"`),
      'a = "\\"x\\"\\nserver = \\"https://evil\\""',
      'b = "plain"',
      'c = true',
      'd = "\\"open"',
    ]);
  });
});
