import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PkiStatement, type SignedStatement, type StatementAction } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';

/** A root that is kept with openssl alone, as an owner would: nothing of ours touches its key. */
export type OwnRoot = AsyncDisposable & {
  readonly folder: string;
  readonly certificate: string;
  readonly fingerprint: string;
  readonly privateKey: KeyObject;
  /** Signs a CSR as `openssl x509 -req` does. `extensions`: lines of an openssl extension section. */
  sign(
    csr: string,
    options?: {
      readonly extensions?: readonly string[];
      readonly days?: number;
      /** In openssl's form, in place of the name in the CSR. */
      readonly subject?: string;
    },
  ): Promise<string>;
  /** Signs a statement with `openssl dgst -sha256 -sign`. */
  state(
    facts: { readonly action: StatementAction; readonly account: string; readonly subject: string },
    changes?: Partial<PkiStatement>,
  ): Promise<SignedStatement>;
  openssl(...args: readonly string[]): string;
};

export const intermediate = [
  'basicConstraints=critical,CA:TRUE,pathlen:0',
  'keyUsage=critical,keyCertSign,cRLSign',
  'subjectKeyIdentifier=hash',
  'authorityKeyIdentifier=keyid',
];

export async function openOwnRoot(
  name: string,
  {
    extensions = ['basicConstraints=critical,CA:TRUE,pathlen:1'],
    days: rootDays = 3650,
  }: { extensions?: readonly string[]; days?: number } = {},
): Promise<OwnRoot> {
  const folder = await mkdtemp(join(tmpdir(), 'signet-own-root-'));
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'root.key');
  const wanted = ['keyUsage=critical,keyCertSign,cRLSign', 'subjectKeyIdentifier=hash', ...extensions];
  await writeFile(
    join(folder, 'root.cnf'),
    `[req]\ndistinguished_name=dn\n[dn]\n[ext]\n${wanted.join('\n')}\n`,
  );
  openssl(
    ...[
      'req',
      '-x509',
      '-new',
      '-key',
      'root.key',
      '-sha256',
      '-days',
      `${rootDays}`,
      '-subj',
      `/O=acme/CN=${name}`,
    ],
    ...['-config', 'root.cnf', '-extensions', 'ext', '-out', 'root.pem'],
  );
  const certificate = await readFile(join(folder, 'root.pem'), 'utf8');
  let made = 0;
  return {
    folder,
    certificate,
    fingerprint: parseCertificatePem(certificate).fingerprint,
    privateKey: createPrivateKey(await readFile(join(folder, 'root.key'), 'utf8')),
    openssl,
    async sign(csr, { extensions: lines = intermediate, days = 1000, subject } = {}) {
      const id = `${++made}`;
      await writeFile(join(folder, `${id}.csr`), csr);
      await writeFile(join(folder, `${id}.ext`), `${lines.join('\n')}\n`);
      openssl(
        ...['x509', '-req', '-in', `${id}.csr`, '-CA', 'root.pem', '-CAkey', 'root.key', '-sha256'],
        ...['-set_serial', `0x${randomBytes(15).toString('hex')}`, '-days', `${days}`],
        ...['-extfile', `${id}.ext`, '-out', `${id}.pem`],
        ...(subject === undefined ? [] : ['-subj', subject]),
      );
      return readFile(join(folder, `${id}.pem`), 'utf8');
    },
    async state(facts, changes = {}) {
      const statement = JSON.stringify(
        PkiStatement.parse({
          ...facts,
          nonce: randomBytes(16).toString('hex'),
          issuedAt: new Date().toISOString(),
          ...changes,
        }),
      );
      const id = createHash('sha256').update(statement).digest('hex').slice(0, 8);
      await writeFile(join(folder, `${id}.json`), statement);
      openssl('dgst', '-sha256', '-sign', 'root.key', '-out', `${id}.sig`, `${id}.json`);
      return { statement, signature: (await readFile(join(folder, `${id}.sig`))).toString('base64') };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
