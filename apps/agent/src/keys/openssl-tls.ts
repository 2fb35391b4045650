import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Duplex, Writable } from 'node:stream';
import { decodePemBlocks, encodePem } from '@signet/pki';
import type { Identity } from '../identity.ts';
import type { OpensslKey } from './key-holder.ts';

/** What a TLS connection needs, its key with somebody else. */
export type OutsideTls = {
  readonly host: string;
  readonly port: number;
  /** PEM of the roots that the server must chain to; nothing else is trusted. */
  readonly trust: string;
  readonly identity: Pick<Identity, 'certificate'>;
  readonly key: OpensslKey;
  /** The time by which the chain is verified, Unix ms, on a device that does not know it; else that of the clock. */
  readonly at: number | undefined;
};

/**
 * TLS by a child process, `openssl s_client`, since Node cannot leave the signature of the handshake to another: it
 * verifies the server's chain and name, and shows the device's certificate, whose key is used where it is. What is written
 * before the handshake is over waits for it.
 */
export async function connectByOpenssl(options: OutsideTls): Promise<Duplex> {
  const { host, port, trust, identity, key, at } = options;
  const folder = await mkdtemp(join(tmpdir(), 'signet-agent-tls-'));
  const file = (name: string) => join(folder, name);
  // a chain that begins with the certificate itself would have it sent twice
  const [own, ...above] = decodePemBlocks(identity.certificate).map(({ der }) =>
    encodePem('CERTIFICATE', der),
  );
  const files = {
    ...key.files,
    'trust.pem': trust,
    'own.pem': own ?? '',
    ...(above.length === 0 ? {} : { 'above.pem': above.join('') }),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(file(name), content, { mode: 0o600 });
  const name =
    isIP(host) === 0
      ? ['-servername', host, '-verify_hostname', host]
      : ['-noservername', '-verify_ip', host];
  const args = [
    ...['s_client', '-connect', isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`, ...name],
    // in this order: -quiet alone would leave the connection open when there is nothing more to send
    ...['-quiet', '-no_ign_eof', '-nocommands', '-verify_quiet', '-verify_return_error'],
    ...['-CAfile', file('trust.pem'), '-no-CApath', '-no-CAstore'],
    ...['-cert', file('own.pem')],
    ...(above.length === 0 ? [] : ['-cert_chain', file('above.pem')]),
    ...key.args.map((arg) => arg.replace(/@([a-z.]+)$/, (_all, named: string) => file(named))),
    ...(at === undefined ? [] : ['-attime', String(Math.ceil(at / 1000))]),
  ];
  const child = spawn('openssl', args, {
    stdio: ['pipe', 'pipe', 'pipe', key.secret === undefined ? 'ignore' : 'pipe'],
    env: { ...process.env, ...key.env },
  }) as ChildProcessWithoutNullStreams;
  const pipe = child.stdio[3];
  if (pipe instanceof Writable) {
    // a child that ended before it read it says why
    pipe.on('error', () => {});
    pipe.end(`${key.secret}\n`);
  }
  return new OpensslStream(child, () => rm(folder, { recursive: true, force: true }));
}

/** What a server says with an alert about the device's certificate (RFC 8446 §6.2), as Node's own errors name it. */
const ALERTS = new Map([
  [40, 'HANDSHAKE_FAILURE'],
  [42, 'BAD_CERTIFICATE'],
  [43, 'UNSUPPORTED_CERTIFICATE'],
  [44, 'CERTIFICATE_REVOKED'],
  [45, 'CERTIFICATE_EXPIRED'],
  [46, 'CERTIFICATE_UNKNOWN'],
  [48, 'UNKNOWN_CA'],
  [49, 'ACCESS_DENIED'],
]);
/** X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED, by the names of Node. */
const TIMES = new Map([
  ['9', 'CERT_NOT_YET_VALID'],
  ['10', 'CERT_HAS_EXPIRED'],
]);
const MAX_SAID = 8192;
/** What a peer that closes without a word (close_notify) is to OpenSSL; Node passes it over, and HTTP and MQTT know their ends. */
const UNEXPECTED_EOF = ':error:0A000126:';

/** The plain text of a connection whose TLS a child does. */
class OpensslStream extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #cleanUp: () => Promise<void>;
  #said = '';
  #idle: NodeJS.Timeout | undefined;
  #idleMs = 0;

  constructor(child: ChildProcessWithoutNullStreams, cleanUp: () => Promise<void>) {
    super();
    // whoever uses it listens as well, but not at all times
    this.on('error', () => {});
    this.#child = child;
    this.#cleanUp = cleanUp;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-MAX_SAID);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      this.#touch();
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdin.on('error', () => {});
    child.on('error', (cause) =>
      this.destroy(new Error(`openssl cannot be run: ${cause.message}`, { cause })),
    );
    child.on('close', (code) => {
      if (code === 0 || this.#said.includes(UNEXPECTED_EOF)) this.push(null);
      else this.destroy(this.#failure(code));
    });
  }

  /** As of a socket: `timeout` is emitted after so long without traffic. */
  setTimeout(ms: number, listener?: () => void): this {
    this.#idleMs = ms;
    if (listener !== undefined) this.once('timeout', listener);
    this.#touch();
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#touch();
    this.#child.stdin.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#idle);
    this.#child.kill();
    this.#cleanUp().then(
      () => done(error),
      () => done(error),
    );
  }

  #touch(): void {
    clearTimeout(this.#idle);
    if (this.#idleMs > 0 && !this.destroyed)
      this.#idle = setTimeout(() => this.emit('timeout'), this.#idleMs).unref();
  }

  #failure(code: number | null): Error {
    const [, number] = /SSL alert number (\d+)/.exec(this.#said) ?? [];
    const alert = number === undefined ? undefined : ALERTS.get(Number(number));
    const ofTime = TIMES.get(/verify error:num=(\d+)/.exec(this.#said)?.[1] ?? '');
    const [, reason = this.#said.trim().split('\n').at(-1)] =
      /verify error:num=\d+:(.+)/.exec(this.#said) ?? [];
    return Object.assign(new Error(`openssl: ${alert ?? reason ?? `exit code ${code}`}`), {
      code: alert === undefined ? (ofTime ?? 'ERR_OPENSSL') : `ERR_SSL_ALERT_${alert}`,
    });
  }
}
