import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bundle, FactoryResult } from '@signet/contracts';
import { type Certificate, decodePem, parseCertificate } from '@signet/pki';
import type { Scene } from './scene.ts';
import { type RunResult, succeed } from './tools.ts';

/** What `POST /v1/bootstrap` answered. */
export type BootstrapAnswer = {
  readonly status: number;
  readonly retryAfter: string;
  readonly body: Bundle & { readonly code?: string; readonly state?: string };
};

/** A device that is made of nothing but openssl, curl, strongSwan's pki and mosquitto's clients. */
export class Device {
  readonly id: string;
  readonly #scene: Scene;
  #signed: FactoryResult | undefined;
  #bundle: Bundle | undefined;

  constructor(scene: Scene, id: string) {
    this.#scene = scene;
    this.id = id;
  }

  /** A file of the device, `<device>.<name>` in the scene's folder. */
  file(name: string): string {
    return join(this.#scene.folder, `${this.id}.${name}`);
  }

  get fingerprint(): string {
    return this.#made.fingerprint;
  }

  get #made(): FactoryResult {
    if (this.#signed === undefined) throw new Error(`${this.id}: not made yet`);
    return this.#signed;
  }

  get bundle(): Bundle {
    if (this.#bundle === undefined) throw new Error(`${this.id}: no handoff yet`);
    return this.#bundle;
  }

  /** openssl makes key and request: `<name>.key`, `<name>.csr`. */
  async newKey(name: string, subject = `/CN=${this.id}`, key: readonly string[] = P256): Promise<void> {
    const { run, tools } = this.#scene;
    const out = ['-keyout', this.file(`${name}.key`), '-out', this.file(`${name}.csr`)];
    await succeed(run, tools.openssl, 'req', '-new', ...key, '-nodes', '-subj', subject, ...out);
  }

  /** The factory signs what openssl made: `bootstrap.crt` with its issuer, and the root in `root.pem`. */
  async manufacture(): Promise<this> {
    await this.newKey('bootstrap');
    const csr = await readFile(this.file('bootstrap.csr'), 'utf8');
    const { results } = await this.#scene.post<{ results: FactoryResult[] }>('factory/certificates', {
      items: [{ csr, model: 'e2e' }],
    });
    const [signed] = results;
    if (signed?.fingerprint === undefined) throw new Error(`factory: ${JSON.stringify(results)}`);
    this.#signed = signed;
    const intermediates = signed.chain.slice(0, -1);
    await writeFile(this.file('bootstrap.crt'), [signed.certificate, ...intermediates].join(''));
    await writeFile(this.file('root.pem'), signed.chain.at(-1) ?? '');
    await writeFile(this.file('cas.pem'), signed.chain.join(''));
    return this;
  }

  async claim(group?: string): Promise<this> {
    await this.#scene.post('devices', {
      fingerprint: this.fingerprint,
      ...(group === undefined ? {} : { group }),
    });
    return this;
  }

  /** curl asks the bootstrap service; `identity` names the files of another certificate and key. */
  async askForHandOver(identity = 'bootstrap'): Promise<BootstrapAnswer> {
    const { env } = this.#scene.platform;
    const url = `https://localhost:${env.ports.bootstrap}/v1/bootstrap`;
    const format = '\n%{http_code} %header{retry-after}';
    const { stdout } = await this.curl(identity, '-X', 'POST', '-w', format, url);
    const [body = '', status = ''] = stdout.toString().split(/\n(?=[^\n]*$)/);
    const [code = '', retryAfter = ''] = status.split(' ');
    return { status: Number(code), retryAfter, body: body === '' ? {} : JSON.parse(body) };
  }

  curl(identity: string, ...args: string[]): Promise<RunResult> {
    const { run, tools } = this.#scene;
    const tls = ['--cacert', this.#scene.rootFile, '--cert', this.file(`${identity}.crt`)];
    return succeed(run, tools.curl, '-sS', ...tls, '--key', this.file(`${identity}.key`), ...args);
  }

  async handOver(): Promise<Bundle> {
    const { status, body } = await this.askForHandOver();
    if (status !== 200) throw new Error(`${this.id}: handoff answered ${status} ${JSON.stringify(body)}`);
    this.#bundle = body;
    return body;
  }

  /** From now on the device goes where this says. */
  takeBundle(bundle: Bundle): void {
    this.#bundle = bundle;
  }

  /** strongSwan enrols with user name and grant: `operational.crt`, for a key that openssl made. */
  async enrol(): Promise<Certificate> {
    await this.newKey('operational');
    const { username, grant } = this.bundle.est;
    const result = await this.pkiEst('operational.csr', '--userpass', `${username}:${grant}`);
    return await this.#keep(result, 'operational');
  }

  /** strongSwan renews with certificate and key, for a new key: `renewed.crt`. */
  async renew(): Promise<Certificate> {
    await this.newKey('renewed', `/O=${this.bundle.account}/CN=${this.id}`);
    const old = ['--cert', this.file('operational.crt'), '--key', this.file('operational.key')];
    const result = await this.pkiEst('renewed.csr', '--cacert', this.#scene.authoritiesFile, ...old);
    return await this.#keep(result, 'renewed');
  }

  pkiEst(csr: string, ...credentials: string[]): Promise<RunResult> {
    const { run, tools } = this.#scene;
    const { url } = this.bundle.est;
    const args = ['--est', '--url', url, '--in', this.file(csr), '--cacert', this.#scene.rootFile];
    return run(tools.pki, [...args, ...credentials]);
  }

  /** curl posts a request to EST, as RFC 7030 has it; `identity` names the files of certificate and key. */
  async postCsr(
    csr: Uint8Array,
    options: {
      readonly grant?: string;
      /** User name and password, instead of the device's own with `grant`. */
      readonly basic?: string;
      readonly identity?: string;
      readonly operation?: string;
    } = {},
  ): Promise<{ readonly status: number; readonly body: string }> {
    const { grant, identity = 'bootstrap', operation = 'simpleenroll' } = options;
    const { url, username } = this.bundle.est;
    const file = this.file('request.b64');
    await writeFile(file, Buffer.from(csr).toString('base64'));
    const login = options.basic ?? (grant === undefined ? undefined : `${username}:${grant}`);
    const basic = login === undefined ? [] : ['-u', login];
    const body = ['-H', 'Content-Type: application/pkcs10', '--data-binary', `@${file}`];
    const path = `${url}/.well-known/est/${operation}`;
    return statusOf(await this.curl(identity, ...basic, ...body, '-w', '\n%{http_code}', path));
  }

  /** What openssl made, in DER. */
  async csr(name: string): Promise<Uint8Array> {
    return new Uint8Array(decodePem(await readFile(this.file(`${name}.csr`), 'utf8'), 'CERTIFICATE REQUEST'));
  }

  /** Made, claimed, given its handoff, enrolled. */
  async onboard(group?: string): Promise<this> {
    await this.manufacture();
    await this.claim(group);
    await this.handOver();
    await this.enrol();
    return this;
  }

  async #keep({ code, stdout, stderr }: RunResult, name: string): Promise<Certificate> {
    if (code !== 0) throw new Error(`${this.id}: pki --est: exit ${code}\n${stderr}`);
    const certificate = parseCertificate(new Uint8Array(stdout));
    await writeFile(this.file(`${name}.crt`), certificate.pem());
    return certificate;
  }
}

/** The answer of a curl that was told `-w '\n%{http_code}'`. */
export function statusOf({ stdout }: RunResult): { readonly status: number; readonly body: string } {
  const [body = '', status = ''] = stdout.toString().split(/\n(?=[^\n]*$)/);
  return { status: Number(status), body };
}

export const P256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] as const;
