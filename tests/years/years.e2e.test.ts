import { execFile, execFileSync } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import {
  createGrant,
  finishRootReplacement,
  listAuthorities,
  PLATFORM_ACCOUNT,
  replaceRoot,
  signBootstrap,
} from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import {
  type Certificate,
  createCsr,
  decodeCertsOnly,
  encodePem,
  generateKeyPair,
  parseCertificate,
  parseCertificatePem,
} from '@signet/pki';
import { openRuntime, parseConfig, Ticks } from '@signet/service';
import { standaloneConfig, startPlatform } from '@signet/standalone';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GoAnswer, type GoClient, openGoClient } from './go-client.ts';

const DAY = 86_400_000;
const YEAR = 365.25 * DAY;
/** Certificates live for 600 days, and are renewed at each step. */
const STEP = 0.8 * YEAR;
const STEPS = 50;
const account = 'acme';
const by = 'ada';

type Device = {
  readonly deviceId: string;
  readonly bootstrap: { readonly certificate: string; readonly key: string };
  /** Its own, and what it trusts: the roots that it was given last. PEM. */
  certificate: string;
  key: string;
  anchors: string;
  /** CA certificates that are no roots, as it was given them. */
  between: string;
};

let folder: string;
let go: GoClient;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signet-years-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  go = stack.use(openGoClient(folder));
});
afterAll(() => stack.disposeAsync());

const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const isRoot = ({ subjectDer, issuerDer, subjectKeyId, authorityKeyId }: Certificate) =>
  Buffer.compare(subjectDer, issuerDer) === 0 &&
  (authorityKeyId === undefined || authorityKeyId === subjectKeyId);

function certificatesIn(answer: GoAnswer): readonly Certificate[] {
  if (answer.error !== undefined || answer.status !== 200)
    throw new Error(answer.error ?? `status ${answer.status}: ${answer.body}`);
  return decodeCertsOnly(new Uint8Array(Buffer.from(answer.body ?? '', 'base64'))).map(parseCertificate);
}

/** @throws Error with what openssl has against it */
async function opensslVerify(leaf: string, between: string, anchors: string, at: number): Promise<void> {
  await writeFile(join(folder, 'anchors.pem'), anchors);
  await writeFile(join(folder, 'between.pem'), between);
  await writeFile(join(folder, 'leaf.pem'), leaf);
  const strict = ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-CAfile', 'anchors.pem'];
  const untrusted = between === '' ? [] : ['-untrusted', 'between.pem'];
  const args = [...strict, ...untrusted, '-attime', `${Math.floor(at / 1000)}`, 'leaf.pem'];
  execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
}

/** A platform whose clock is moved, and devices that speak EST with it by Go. */
class Years implements AsyncDisposable {
  readonly dataDir: string;
  readonly ticks = new Ticks();
  #env: DevEnv | undefined;
  ahead = 0;

  constructor(dataDir: string) {
    this.dataDir = dataDir;
  }

  now = (): number => Date.now() + this.ahead;

  get env(): DevEnv {
    if (this.#env === undefined) throw new Error('not started');
    return this.#env;
  }

  async start(): Promise<void> {
    const { dataDir, now, ticks } = this;
    this.#env = await startDevEnv({
      ...{ dataDir, now, ticks },
      env: {
        SIGNET_EST_VALIDITY_DAYS: '600',
        SIGNET_ACCOUNT: account,
        // most of a year without word from its authority
        SIGNET_DENYLIST_STALE_REFUSES: 'false',
      },
    });
  }

  async stop(): Promise<void> {
    await this.#env?.[Symbol.asyncDispose]();
    this.#env = undefined;
  }

  async pass(ms: number): Promise<void> {
    this.ahead += ms;
    await this.settle();
  }

  async settle(): Promise<void> {
    await this.ticks.fire(); // CAs
    await this.env.deps.admission.trust.refresh();
    await this.ticks.fire(); // what listeners have of them
  }

  [Symbol.asyncDispose] = (): Promise<void> => this.stop();

  url(operation: string): string {
    return `https://localhost:${this.env.ports.est}/.well-known/est/${account}/${operation}`;
  }

  async roots(): Promise<string> {
    const { authorities } = await this.env.deps.bus.request(listAuthorities, {});
    return authorities
      .filter(({ kind, state }) => kind === 'root' && state === 'active')
      .map(({ certificate }) => certificate)
      .join('');
  }

  async makeDevice(deviceId: string): Promise<Device> {
    const { privateKey } = generateKeyPair('P-256');
    const csr = encodePem(
      'CERTIFICATE REQUEST',
      createCsr({ subject: { commonName: deviceId }, privateKey }),
    );
    const made = await this.env.deps.bus.request(signBootstrap, { account, items: [{ csr, deviceId }] });
    const [result] = made.results;
    if (result === undefined || 'error' in result) throw new Error(JSON.stringify(result));
    const bootstrap = { certificate: result.certificate, key: pkcs8(privateKey) };
    return { deviceId, bootstrap, certificate: '', key: '', anchors: await this.roots(), between: '' };
  }

  async enrol(device: Device): Promise<void> {
    const { deviceId, bootstrap } = device;
    const { fingerprint } = parseCertificatePem(bootstrap.certificate);
    const grant = await this.env.deps.bus.request(createGrant, { account, deviceId, fingerprint });
    const login = { user: grant.username, password: grant.grant };
    await this.#certify(device, 'simpleenroll', { ...login, ...bootstrap }, {});
  }

  async renew(device: Device): Promise<void> {
    const { subjectDer } = parseCertificatePem(device.certificate);
    const identity = { certificate: device.certificate, key: device.key };
    await this.#certify(device, 'simplereenroll', identity, { subjectDer });
  }

  async #certify(
    device: Device,
    operation: string,
    identity: { certificate: string; key: string; user?: string; password?: string },
    subject: { readonly subjectDer?: Uint8Array },
  ): Promise<void> {
    const { privateKey } = generateKeyPair('P-256');
    const body = Buffer.from(createCsr({ ...subject, privateKey })).toString('base64');
    const { anchors } = device;
    const [issued] = certificatesIn(
      await go.ask({ at: this.now(), anchors, url: this.url(operation), body, ...identity }),
    );
    device.certificate = issued?.pem() ?? '';
    device.key = pkcs8(privateKey);
  }

  /** The CA certificates. Fetched with the device's own, it has the new roots from then on. */
  async fetchCas(device: Device, { adopt }: { readonly adopt: boolean }): Promise<void> {
    const { anchors, certificate, key } = device;
    const identity = adopt ? { certificate, key } : {};
    const given = certificatesIn(
      await go.ask({ at: this.now(), anchors, url: this.url('cacerts'), ...identity }),
    );
    const pem = (list: readonly Certificate[]) => list.map((one) => one.pem()).join('');
    device.between = pem(given.filter((one) => !isRoot(one)));
    if (adopt) device.anchors = pem(given.filter(isRoot));
  }

  /** What openssl and Go have against the device's certificate, and the server's, by what the device has. */
  async verify(device: Device): Promise<void> {
    const at = this.now();
    const { anchors, between, certificate } = device;
    const byGo = await go.ask({ at, anchors, between, leaf: certificate });
    expect(byGo).toEqual({});
    await opensslVerify(certificate, between, anchors, at);
    const { error, chain = [] } = await go.ask({ at, anchors, url: this.url('cacerts') });
    expect(error).toBeUndefined();
    const [leaf = '', ...shown] = chain;
    await opensslVerify(leaf, shown.join(''), anchors, at);
  }
}

async function live(years: Years, device: Device, adopt: boolean): Promise<void> {
  await years.renew(device);
  await years.fetchCas(device, { adopt });
  await years.verify(device);
}

describe('forty years', () => {
  it('devices renew at every step through three roots, and openssl and Go verify them and their servers; then eleven years off', {
    timeout: 600_000,
  }, async () => {
    await using years = new Years(join(folder, 'renewing'));
    await years.start();
    const devices = [];
    for (const deviceId of ['pump-1', 'pump-2', 'pump-3']) {
      const device = await years.makeDevice(deviceId);
      await years.enrol(device);
      devices.push(device);
    }
    const replacing = new Map([
      [10, 12],
      [25, 27],
      [39, 41],
    ]);
    const finishing = new Set(replacing.values());
    const issuers = new Set<string | undefined>();
    for (let step = 0; step < STEPS; step++) {
      const { bus } = years.env.deps;
      if (replacing.has(step)) await bus.request(replaceRoot, { account: PLATFORM_ACCOUNT, by });
      if (finishing.has(step))
        await bus.request(finishRootReplacement, { account: PLATFORM_ACCOUNT, force: false, by });
      await years.settle();
      for (const [i, device] of devices.entries()) {
        // the last one goes by the roots that it has at every other step
        const adopt = i < 2 || step % 2 === 1;
        await live(years, device, adopt).catch((cause: Error) => {
          throw new Error(`${device.deviceId}, step ${step}: ${cause.message}`, { cause });
        });
        issuers.add(parseCertificatePem(device.certificate).authorityKeyId);
      }
      const { 'deny-list': _, ...checks } = (await years.env.readiness('est-ca')).checks;
      const failing = Object.entries(checks).filter(([, { ok }]) => !ok);
      expect({ step, failing, ends: checks['est-ca.ends'] }).toEqual({
        step,
        failing: [],
        ends: { ok: true },
      });
      await years.pass(STEP);
    }
    expect(issuers.size).toBeGreaterThan(3);

    await years.stop();
    years.ahead += 11 * YEAR;
    await years.start();
    for (const device of devices) {
      await expect(years.renew(device)).rejects.toThrow('status 403');
      await years.enrol(device);
      await years.fetchCas(device, { adopt: true });
      await years.verify(device);
    }
  });
});

describe('a platform whose every certificate has ended, and whose root key is elsewhere', () => {
  it('starts anyway: the API is reached by the fingerprint in its log, says what is missing, and mends itself once it is there', {
    timeout: 120_000,
  }, async () => {
    const dataDir = join(folder, 'ended');
    const first = new Years(dataDir);
    await first.start();
    await first.stop();
    const key = join(dataDir, 'est-ca', 'keys', 'root.key.pem');
    await rename(key, `${key}.elsewhere`);

    const free = ['EST', 'EST_HTTP', 'MQTT', 'MQTT_PROVISIONING', 'GATEWAY', 'BOOTSTRAP', 'ADMIN', 'HEALTH'];
    const config = parseConfig(standaloneConfig, {
      SIGNET_STORE: `sqlite:${join(dataDir, 'signet.db')}`,
      SIGNET_DATA_DIR: dataDir,
      SIGNET_ADMIN_BIND: '0.0.0.0',
      SIGNET_LOG_LEVEL: 'silent',
      ...Object.fromEntries(free.map((name) => [`SIGNET_${name}_PORT`, '0'])),
    });
    const ticks = new Ticks();
    let ahead = 40 * YEAR;
    const now = () => Date.now() + ahead;
    await using runtime = await openRuntime('signet', config, { now, ticks });
    await using platform = await startPlatform(config, runtime.deps);
    runtime.started();
    const { url, lastResort } = platform.admin;
    expect(lastResort).toMatch(/^[0-9a-f]{64}$/);
    const token = (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
    const main = join(import.meta.dirname, '..', '..', 'apps', 'cli', 'src', 'main.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...[
        main,
        '--url',
        url,
        '--token',
        token,
        '--api-fingerprint',
        `sha256:${lastResort}`,
        'status',
        '--json',
      ],
    ]);
    const status = JSON.parse(stdout) as {
      ready: boolean;
      checks: Record<string, { ok: boolean; reason?: string }>;
    };
    expect(status.ready).toBe(false);
    expect(status.checks['est-ca.ends']?.reason).toContain('the key of its root "root" is not at hand here');
    expect(status.checks['admin-api.server-certificate']?.reason).toContain(lastResort);

    await rename(`${key}.elsewhere`, key);
    ahead += DAY;
    await ticks.fire();
    await ticks.fire();
    const roots = await runtime.deps.bus.request(listAuthorities, {});
    const anchors = roots.authorities.find(({ kind }) => kind === 'root')?.certificate ?? '';
    const answer = await go.ask({ at: now(), anchors, url: `${url}/openapi.json` });
    expect(answer).toMatchObject({ status: 200 });
    expect((await runtime.deps.health.report()).checks['est-ca.ends']).toEqual({ ok: true });
  });
});
