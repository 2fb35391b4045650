import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import tls from 'node:tls';
import { decodePemBlocks, parseCertificate } from '@signet/pki';
import { CliError } from './cli-error.ts';
import { namedFailure } from './read-input.ts';
import type { Settings } from './settings.ts';

/**
 * From now on servers of this process must chain to the certificates of a file, and to no others.
 * @throws CliError where the file has none
 */
export async function trustOnly(file: string): Promise<void> {
  trust(await rootsIn(file), `NODE_EXTRA_CA_CERTS=${file}`);
}

/** The certificates of a file, PEM. @throws CliError where it has none */
export async function rootsIn(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CliError(`--ca ${namedFailure(file, cause)}`, { cause });
  });
  return certificatesIn(file, text);
}

function trust(roots: readonly string[], instead: string): void {
  if (typeof tls.setDefaultCACertificates !== 'function')
    throw new CliError(`--ca: needs Node 24.5; set ${instead} instead`);
  tls.setDefaultCACertificates([...roots]);
}

/** Trusts what the settings name for their API: one certificate, the roots of a file, those of a platform that runs here. */
export async function trustApi(settings: Settings): Promise<void> {
  const { url, fingerprint, ca, running } = settings;
  if (fingerprint !== undefined) await trustFingerprint(url, fingerprint);
  else if (ca !== undefined) await trustOnly(ca);
  else if (running !== undefined && url.startsWith('https:'))
    trust(running.trustAnchors, '--ca with its root');
}

const ANSWER_MS = 10_000;

/**
 * From now on servers of this process must show the self-signed certificate that has this fingerprint and that the
 * server at `url` shows now; no root is trusted.
 * @throws CliError where it shows another one
 */
export async function trustFingerprint(url: string, fingerprint: string): Promise<void> {
  const wanted = readFingerprint(fingerprint);
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== 'https:')
    throw new CliError(`--api-fingerprint: ${url} presents no certificate; use https`);
  if (typeof tls.setDefaultCACertificates !== 'function')
    throw new CliError('--api-fingerprint: needs Node 24.5');
  // whatever comes of it, no root is trusted any more
  tls.setDefaultCACertificates([]);
  const shown = parseCertificate(await shownBy(hostname.replace(/^\[|\]$/g, ''), Number(port || 443)));
  if (shown.fingerprint !== wanted)
    throw new CliError(`${url}: its certificate has the fingerprint sha256:${shown.fingerprint}`);
  if (Buffer.compare(shown.issuerDer, shown.subjectDer) !== 0)
    throw new CliError(
      `--api-fingerprint: the certificate is of CA "${shown.issuer.commonName ?? ''}"; name its root with --ca <file>`,
    );
  tls.setDefaultCACertificates([shown.pem()]);
}

/** Takes what our log, `openssl x509 -fingerprint -sha256` and browsers write. */
function readFingerprint(text: string): string {
  const hex = text
    .replace(/^sha-?256( Fingerprint)?[:=]\s*/i, '')
    .replaceAll(':', '')
    .trim()
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  throw new CliError(`--api-fingerprint: "${text}" is not a SHA-256 in hex`);
}

/** DER of the certificate that a server shows. It is asked for nothing and sent nothing. */
function shownBy(host: string, port: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const servername = isIP(host) === 0 ? { servername: host } : {};
  const socket = tls.connect({ host, port, rejectUnauthorized: false, timeout: ANSWER_MS, ...servername });
  const refuse = (reason: string, cause?: unknown) => {
    socket.destroy();
    reject(new CliError(`${host}:${port}: ${reason}`, { isUnreachable: true, cause }));
  };
  socket.once('error', (cause) => refuse(cause.message, cause));
  socket.once('timeout', () => refuse('no answer'));
  socket.once('secureConnect', () => {
    const { raw } = socket.getPeerX509Certificate() ?? {};
    socket.destroy();
    if (raw === undefined) refuse('it shows no certificate');
    else resolve(raw);
  });
  return promise;
}

function certificatesIn(file: string, text: string): string[] {
  try {
    const roots = decodePemBlocks(text).map(({ der }) => parseCertificate(der).pem());
    if (roots.length > 0) return roots;
  } catch (cause) {
    throw new CliError(`--ca ${namedFailure(file, cause)}`, { cause });
  }
  throw new CliError(`--ca ${file}: no certificate in PEM`);
}
