import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import {
  DeviceFolder,
  GatewayClient,
  leaf,
  onboard,
  openMqttSession,
  reenroll,
  requestHandoff,
} from '@signet/agent';
import type { Authority, FactoryResult } from '@signet/contracts';
import { OperatorClient, trustAnchors } from '@signet/dev-env';
import {
  createCsrBy,
  createTemplate,
  encodePem,
  exportSpki,
  generateKeyPair,
  issue,
  issueRoot,
  keySigner,
  NO_END,
  prepare,
} from '@signet/pki';
import type { StandaloneProcess } from '@signet/standalone/testing';
import { crlNumber, type Manifest } from './fixture.ts';

/**
 * Writes a data folder by the platform of a checkout: devices in every state, and something in most collections.
 *
 *     git clone . /tmp/release && git -C /tmp/release checkout <commit> && (cd /tmp/release && npm ci)
 *     node tests/compatibility/make.ts /tmp/release tests/compatibility/fixtures/<version>.tar.gz
 *
 * Certificates end with the CAs that issue them, in ten years, so that the folder stays of use. All its keys are made here
 * and for tests alone.
 */
const [checkout = '', out = ''] = process.argv.slice(2).map((path) => resolve(path));
if (out === '') throw new Error('usage: node tests/compatibility/make.ts <checkout> <fixture.tar.gz>');

const root = await mkdtemp(join(tmpdir(), 'signet-fixture-'));
const at = (...path: string[]) => join(root, ...path);
const { StandaloneProcess: Platform } = (await import(
  pathToFileURL(join(checkout, 'apps/standalone/test/child.ts')).href
)) as { StandaloneProcess: typeof StandaloneProcess };

await using platform = new Platform(at('data'), {
  SIGNET_BIND: '127.0.0.1',
  SIGNET_EST_VALIDITY_DAYS: '3600',
  SIGNET_BOOTSTRAP_RETRY_SECONDS: '1',
  SIGNET_OUTWARD_PRIVATE: 'true',
});
await platform.ready();
const token = (await readFile(at('data', 'admin-token'), 'utf8')).trim();
const operator = new OperatorClient({ url: new URL(platform.url('operators')).origin, token });
const bootstrapUrl = platform.url('bootstrap');
const roots = await trustAnchors(operator);

/** A device of the platform's factory, or of the account's own, in `devices/<id>`. */
async function make(id: string, account = 'default') {
  const folder = new DeviceFolder(at('devices', id));
  const key = await folder.keys.create();
  const der = await createCsrBy(folder.keys.signer(key), { subject: { commonName: id } });
  const csr = encodePem('CERTIFICATE REQUEST', der);
  const { results } = await operator.post<{ results: FactoryResult[] }>(
    `/v1/accounts/${account}/factory/certificates`,
    { items: [{ csr, model: 'm1' }] },
  );
  const [signed] = results;
  if (signed === undefined) throw new Error(`${id}: not signed`);
  const certificate = [signed.certificate, ...signed.chain.slice(0, -1)].join('');
  await folder.putFactoryFiles({ key, certificate, trust: roots, url: bootstrapUrl });
  return { id, account, folder, fingerprint: signed.fingerprint };
}
type Made = Awaited<ReturnType<typeof make>>;

async function claimed(id: string, account = 'default', more: object = {}): Promise<Made> {
  const made = await make(id, account);
  await operator.post(`/v1/accounts/${account}/devices`, { fingerprint: made.fingerprint, ...more });
  return made;
}

async function enrolled(id: string, account?: string): Promise<Made> {
  const made = await claimed(id, account);
  await onboard(made.folder, { maxWaitMs: 200 });
  return made;
}

async function active(id: string): Promise<Made> {
  const made = await enrolled(id);
  const [bundle, identity] = await Promise.all([made.folder.bundle(), made.folder.operational()]);
  if (bundle === undefined || identity === undefined) throw new Error(`${id}: not enrolled`);
  await using session = await openMqttSession(bundle, identity);
  await session.publish(['telemetry'], Buffer.from('warm'));
  await new GatewayClient(bundle).greet(identity);
  return made;
}

const signet = (account: string, ...args: string[]) =>
  execFileSync(process.execPath, [join(checkout, 'apps/cli/src/main.ts'), ...args], {
    cwd: root,
    env: {
      ...{ PATH: process.env.PATH, XDG_CONFIG_HOME: root, SIGNET_URL: operator.url },
      ...{ SIGNET_TOKEN: token, SIGNET_ACCOUNT: account },
    },
  }).toString();
const account = (path: string) => `/v1/accounts/default/${path}`;

// Queues first, so that there is something in them.
await operator.put(account('queues/pulled'), { kind: 'pull', types: ['DEVICE_CLAIMED'] });
await operator.put(account('queues/pushed'), {
  ...{ kind: 'push', types: ['DEVICE_CLAIMED'] },
  url: 'http://127.0.0.1:9/events',
});

// One device for each state.
await make('manufactured-1');
await claimed('claimed-1', 'default', { group: 'north' });
const bootstrapped = await claimed('bootstrapped-1');
const files = await bootstrapped.folder.factoryFiles();
await requestHandoff({ url: bootstrapUrl, identity: files.identity, trust: roots });
await enrolled('enrolled-1');
await active('active-1');
await active('blocked-1');
await operator.post(account('devices/actions/block'), { deviceIds: ['blocked-1'], reason: 'lost' });
await active('retired-1');
await operator.post(account('devices/actions/revoke'), { deviceIds: ['retired-1'], reason: 'stolen' });

// A rotation under way: the new key is announced, its certificate not used yet.
const rotating = await active('rotating-1');
const [bundle, identity] = await Promise.all([rotating.folder.bundle(), rotating.folder.operational()]);
if (bundle === undefined || identity === undefined) throw new Error('rotating-1: not enrolled');
const nextKey = await rotating.folder.keys.create();
await rotating.folder.putPendingKey(nextKey);
const est = { ...bundle.est, trust: roots, signal: undefined, keys: rotating.folder.keys };
const next = await reenroll(est, { key: nextKey, identity });
await rotating.folder.putNextIdentity(next);
await rotating.folder.putRotation({
  ...{ id: 'certs-1', step: 'enrolled', startedAt: new Date().toISOString() },
  publicKeyHash: leaf(next).publicKeyHash,
});

// A certificate that an operator denied.
const denied = await active('denied-1');
const deniedLeaf = leaf((await denied.folder.operational()) ?? identity);
await operator.post(account('denylist'), {
  targets: [{ kind: 'key', publicKeyHash: deniedLeaf.publicKeyHash }],
  reason: 'by an operator',
});

// An account with a root of its own, a device in it, and one that has still to enrol.
await writeFile(at('passphrase'), 'for tests and nothing else\n');
signet('own', 'ca', 'create', '--root-key', 'own-root.key.pem', '--root-passphrase-file', 'passphrase');
await enrolled('own-1', 'own');
await claimed('own-2', 'own');

// A device with a second identity, by a CA that the account has pinned.
const { privateKey: caKey } = generateKeyPair('P-256');
const signer = keySigner(caKey);
const pinned = await issueRoot({
  ...{ subject: { commonName: 'owner CA' }, signer, issuedAt: Date.now(), notAfter: NO_END, pathLen: 0 },
});
await writeFile(at('owner.pem'), pinned.pem());
await writeFile(at('owner.key'), caKey.export({ type: 'pkcs8', format: 'pem' }));
signet('default', 'factory', 'ca', 'add', 'owner.pem', '--key', 'owner.key');
const twice = await claimed('second-1');
const second = generateKeyPair('P-256');
const linted = prepare(createTemplate({ kind: 'bootstrap', issuer: pinned }), {
  ...{ subject: { commonName: 'second-1', serialNumber: 'second-1' }, spkiDer: exportSpki(second.publicKey) },
  ...{ issuedAt: Date.now(), notAfter: NO_END },
});
const ldevid = (await issue(linted, signer)).pem();
await operator.post(account('devices/identities'), { fingerprint: twice.fingerprint, certificate: ldevid });
await writeFile(at('second-1.crt'), ldevid);
await writeFile(at('second-1.key'), second.privateKey.export({ type: 'pkcs8', format: 'pem' }));

// What operators set.
await operator.post(account('groups'), { group: 'warm', labels: 'climate=warm' });
await operator.post(account('groups/north/devices'), { add: ['active-1'] });
await operator.put(account('devices/active-1/labels'), { set: { climate: 'warm' } });
const config = (value: string) => ({
  files: [{ name: 'app.toml', value, unencrypted: true }],
  reason: 'test',
});
await operator.put(account('groups/north/config'), config('of = "north"'));
await operator.put(account('devices/enrolled-1/config'), config('of = "enrolled-1"'));
await operator.post(account('profiles'), {
  name: 'approved',
  settings: { authentication: 'certificate', approval: 'first', validityDays: 3600 },
});
await operator.post(account('block-rules'), {
  target: { kind: 'serials', serials: 'SN-0001..SN-0009' },
  reason: 'stolen',
});
await operator.post(account('provisioning-requests'), { deviceId: 'claimed-1' });
await operator.put(account('mqtt-policy'), { shared: true });
await operator.post('/v1/tokens', { name: 'viewer', grants: [{ account: 'own', role: 'viewer' }] });
const { items } = await operator.get<{ items: { position: number; event: { subject: string } }[] }>(
  account('queues/pulled/events?max=2&waitSeconds=5'),
);
const acknowledged = items.at(-1);
if (acknowledged === undefined) throw new Error('queues/pulled: no event');
await operator.post(account('queues/pulled/ack'), { position: acknowledged.position });

// What the test compares with.
const { certificates } = await operator.get<{
  certificates: readonly { serialNumber: string }[];
}>(account('devices/retired-1'));
const [revoked] = certificates;
if (revoked === undefined) throw new Error('retired-1: no certificate');
const { authorities } = await operator.get<{ authorities: readonly Authority[] }>('/v1/authorities');
const issuing = authorities.find(({ kind }) => kind === 'issuing');
if (issuing === undefined) throw new Error('no issuing CA');
const crlPath = `/crl/${issuing.authorityId}.crl`;
const crlUrl = platform.url('crl');
const manifest: Manifest = {
  commit: execFileSync('git', ['-C', checkout, 'rev-parse', 'HEAD']).toString().trim(),
  ports: Object.fromEntries(
    ['bootstrap', 'est', 'mqtt', 'gateway'].map((name) => [name, Number(new URL(platform.url(name)).port)]),
  ),
  crl: { path: crlPath, number: await crlNumber(`${crlUrl}${crlPath}`), revoked: revoked.serialNumber },
  queue: { acknowledged: items.map(({ event }) => event.subject) },
};
await writeFile(at('manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
const { code } = await platform.stop('SIGTERM');
if (code !== 0) throw new Error(`the platform ended with ${code}`);
await rm(at('data', 'signet.log'), { force: true });
await rm(at('signet'), { recursive: true, force: true });
await mkdir(resolve(out, '..'), { recursive: true });
execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '-czf', out, '.']);
await rm(root, { recursive: true, force: true });
