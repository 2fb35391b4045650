import { execFile } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type CrlReason, createCrl, keySigner, parseCertificatePem } from '@signet/pki';

const execute = promisify(execFile);

/** A CA of openssl's own making, with all that `openssl ca` keeps: certificates, and CRLs of every kind. */
export class OpensslCa implements AsyncDisposable {
  readonly folder: string;
  readonly subject: string;

  private constructor(folder: string, subject: string) {
    this.folder = folder;
    this.subject = subject;
  }

  static async create(subject = '/O=Maker/CN=Maker factory CA'): Promise<OpensslCa> {
    const folder = await mkdtemp(join(tmpdir(), 'openssl-ca-'));
    const ca = new OpensslCa(folder, subject);
    await mkdir(join(folder, 'certs'));
    await writeFile(join(folder, 'index.txt'), '');
    await writeFile(join(folder, 'serial'), '1000\n');
    await writeFile(join(folder, 'crlnumber'), '0A\n');
    await writeFile(join(folder, 'ca.cnf'), ca.#settings());
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key'];
    const made = ['-x509', '-days', '3650', '-subj', subject, '-extensions', 'v3_ca', '-out', 'ca.pem'];
    await ca.openssl('req', '-config', 'ca.cnf', ...key, ...made);
    return ca;
  }

  get certificate(): Promise<string> {
    return readFile(join(this.folder, 'ca.pem'), 'utf8');
  }

  async openssl(...args: string[]): Promise<string> {
    return (await execute('openssl', args, { cwd: this.folder })).stdout;
  }

  /** Signs a certificate. @returns its serial number */
  async sign(name: string): Promise<string> {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    await this.openssl('req', '-config', 'ca.cnf', ...key, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    await this.openssl('ca', '-config', 'ca.cnf', '-batch', '-in', `${name}.csr`, '-out', `${name}.pem`);
    const serial = await this.openssl('x509', '-in', `${name}.pem`, '-noout', '-serial');
    return serial.trim().replace('serial=', '').toLowerCase();
  }

  async revoke(name: string, reason = 'keyCompromise'): Promise<void> {
    await this.openssl('ca', '-config', 'ca.cnf', '-revoke', `${name}.pem`, '-crl_reason', reason);
  }

  /** Takes a revocation back, as openssl has no command for it. */
  async unrevoke(name: string): Promise<void> {
    const index = join(this.folder, 'index.txt');
    const lines = (await readFile(index, 'utf8')).split('\n');
    const back = lines.map((line) => {
      const fields = line.split('\t');
      if (fields[0] !== 'R' || fields[5] !== `/CN=${name}`) return line;
      return ['V', fields[1], '', ...fields.slice(3)].join('\t');
    });
    await writeFile(index, back.join('\n'));
  }

  /** The next CRL, PEM. `extensions`: a section of `ca.cnf`. */
  async crl(options: { readonly extensions?: string; readonly number?: string } = {}): Promise<Buffer> {
    const { extensions = 'crl_ext', number } = options;
    if (number !== undefined) await writeFile(join(this.folder, 'crlnumber'), `${number}\n`);
    const args = ['-gencrl', '-crlexts', extensions, '-crldays', '7', '-out', 'crl.pem'];
    await this.openssl('ca', '-config', 'ca.cnf', ...args);
    return readFile(join(this.folder, 'crl.pem'));
  }

  /** A CRL of these entries whatever the CA's own files say, DER. */
  async list(facts: {
    readonly number: number;
    readonly baseNumber?: number;
    readonly freshestUrls?: readonly string[];
    readonly scope?: string;
    /** Days from now. */
    readonly days?: number;
    readonly entries: readonly { readonly serialNumber: string; readonly reason?: CrlReason }[];
  }): Promise<Buffer> {
    const { days = 7, scope, entries, ...rest } = facts;
    const revokedAt = Date.now() - 60_000;
    return Buffer.from(
      await createCrl({
        ...rest,
        ...(scope === undefined ? {} : { scope: { urls: [scope], onlyUserCerts: false } }),
        issuer: parseCertificatePem(await this.certificate),
        signer: keySigner(createPrivateKey(await readFile(join(this.folder, 'ca.key'), 'utf8'))),
        thisUpdate: Date.now() - 1000,
        nextUpdate: Date.now() + days * 86_400_000,
        entries: entries.map((entry) => ({ ...entry, revokedAt })),
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }

  #settings(): string {
    return `[ca]
default_ca = this
[this]
dir = .
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = certs
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 365
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[v3_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[crl_ext]
authorityKeyIdentifier = keyid
[delta_ext]
authorityKeyIdentifier = keyid
2.5.29.27 = critical,DER:02010A
[part_a]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical,@idp_a
[idp_a]
fullname = URI:http://crl.maker.example/a.crl
[part_b]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical,@idp_b
[idp_b]
fullname = URI:http://crl.maker.example/b.crl
[indirect]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical,@idp_indirect
[idp_indirect]
fullname = URI:http://crl.maker.example/a.crl
indirectCRL = TRUE
`;
  }
}
