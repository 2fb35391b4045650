import { access, writeFile } from 'node:fs/promises';
import type { AuthorityDetails, RootCrlRequest } from '@signet/contracts';
import {
  type Certificate,
  createCrl,
  createKeyFile,
  createTemplate,
  decodePem,
  issue,
  issueRoot,
  keySigner,
  NO_END,
  parseCertificatePem,
  parseCsr,
  prepare,
  type Signer,
  verifyCsr,
} from '@signet/pki';
import { CliError } from './cli-error.ts';
import { readRootKey } from './root-key.ts';

const TEN_YEARS_MS = 10 * 365.25 * 86_400_000;

/** Where the certificate of a root lies: beside its key. */
export const certificatePath = (keyPath: string): string => `${keyPath.replace(/\.(pem|key)$/, '')}.crt.pem`;

/** A root that is kept on this machine. */
export type LocalRoot = { readonly certificate: Certificate; readonly signer: Signer };

/**
 * The root whose key is in `keyPath` and whose certificate lies beside it; both are made where there is no such file,
 * the key encrypted with the passphrase.
 */
export async function openLocalRoot(
  keyPath: string,
  options: {
    readonly account: string;
    readonly passphrase: string | undefined;
    readonly certificate?: string;
    /** The root that a new one is to replace: it goes on under that name. */
    readonly replaces?: Certificate;
  },
): Promise<LocalRoot & { readonly made: boolean }> {
  const path = certificatePath(keyPath);
  if (!(await exists(keyPath))) {
    if (options.passphrase === undefined)
      throw new CliError(
        `--root-key ${keyPath}: does not exist; to create it, give a passphrase (--root-passphrase-file, SIGNET_ROOT_PASSPHRASE)`,
      );
    const signer = await createKeyFile(keyPath, options.passphrase);
    const certificate = await issueRoot({
      subject: options.replaces?.subjectDer ?? {
        commonName: `${options.account} root CA`,
        organization: options.account,
      },
      signer,
      issuedAt: Date.now(),
      notAfter: options.replaces?.notAfter ?? NO_END,
    });
    await writeFile(path, certificate.pem());
    return { certificate, signer, made: true };
  }
  const signer = keySigner(await readRootKey(keyPath, options.passphrase));
  if (options.certificate === undefined)
    throw new CliError(`${path}: does not exist; keep the certificate of the root next to its key`);
  const certificate = parseCertificatePem(options.certificate);
  if (!signer.publicKey.equals(certificate.publicKey))
    throw new CliError(`--root-key ${keyPath}: is not the key of root "${certificate.subject.commonName}"`);
  return { certificate, signer, made: false };
}

/** Where the CRL and the certificate of a root are served; goes into what it signs. */
export type RootAddresses = Pick<AuthorityDetails, 'crlUrl' | 'certificateUrl'>;

export function revocationUrls({ crlUrl, certificateUrl }: RootAddresses) {
  return {
    ...(crlUrl === undefined ? {} : { crlUrls: [crlUrl] }),
    ...(certificateUrl === undefined ? {} : { caIssuerUrls: [certificateUrl] }),
  };
}

/** Signs the CSR of an online CA: CA:true, pathLen 0. PEM. */
export async function signAuthority(
  root: LocalRoot,
  csrPem: string,
  kind: string,
  addresses: RootAddresses,
): Promise<string> {
  const csr = parseCsr(decodePem(csrPem, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
  verifyCsr(csr);
  const issuedAt = Date.now();
  // what a factory CA signs has no end, and nothing outlives its issuer
  const end = kind === 'factory' ? NO_END : issuedAt + TEN_YEARS_MS;
  const issuer = root.certificate;
  const template = createTemplate({ kind: 'authority', issuer, pathLen: 0, ...revocationUrls(addresses) });
  const linted = prepare(template, {
    subjectDer: csr.subjectDer,
    spkiDer: csr.spkiDer,
    issuedAt,
    notAfter: Math.min(end, root.certificate.notAfter),
  });
  return (await issue(linted, root.signer)).pem();
}

/** The next CRL of a root (RFC 5280 §5), complete, DER. */
export function signRootCrl(root: LocalRoot, request: RootCrlRequest, days: number): Promise<Uint8Array> {
  const thisUpdate = Date.now();
  return createCrl({
    issuer: root.certificate,
    signer: root.signer,
    number: request.number,
    thisUpdate,
    nextUpdate: thisUpdate + days * 86_400_000,
    entries: request.entries.map(({ serialNumber, revokedAt, reason }) => ({
      serialNumber,
      revokedAt: Date.parse(revokedAt),
      ...(reason === undefined ? {} : { reason }),
    })),
  });
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
