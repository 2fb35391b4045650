import { join } from 'node:path';
import type { Bus } from '@signet/bus';
import { issueServerCertificate, type OperationInput, type OperationOutput } from '@signet/contracts';
import { BACKDATED_MS, type Certificate, createCsr, encodePem, generateKeyPair } from '@signet/pki';
import type { Health } from './health.ts';
import { Listeners } from './listeners.ts';
import type { Logger } from './logger.ts';
import { backoffMs, pause } from './pause.ts';
import { readIfThere, replaceFile } from './private-file.ts';
import { coveredNames, type Held, readIdentity, renewalTime, type TlsIdentity } from './tls-identity.ts';
import type { Trust } from './trust.ts';

/** How a certificate is got: over the bus, or, in est-ca itself, by a plain call. */
export type IssueServerCertificate = (
  input: OperationInput<typeof issueServerCertificate>,
) => Promise<OperationOutput<typeof issueServerCertificate>>;

/** A service's TLS certificate, kept up to date. */
export interface ServerCertificate extends AsyncDisposable {
  current(): TlsIdentity;
  readonly leaf: Certificate;
  /** Called with each new one; listeners put it in force without a restart. */
  onChange(listener: (identity: TlsIdentity) => void): Disposable;
  /** Gets a new one now. @throws OperationError where est-ca does not answer */
  renew(): Promise<void>;
}

export type ServerCertificateOptions = {
  /** Names the file and the certificate: `<dataDir>/tls/<service>.pem`, mode 0600, key and chain together. */
  readonly service: string;
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly dataDir: string;
  /** `bus` to ask est-ca; est-ca itself gives its own function. */
  readonly issue: IssueServerCertificate | Bus;
  readonly log: Logger;
  readonly now: () => number;
  readonly health?: Health | undefined;
  /** Ends the wait for the first certificate. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The pinned CAs: a certificate whose CA is not among them any more, or wants what it gave replaced, is replaced, at
   * the start and later.
   */
  readonly trust?: Trust | undefined;
};

/**
 * Takes up the certificate kept on disk if it is still valid for these names, else asks for one until it gets it, with
 * backoff. Renews at two thirds of its life, each time with a new key.
 * @throws the signal's reason if that fires first
 */
export async function openServerCertificate(options: ServerCertificateOptions): Promise<ServerCertificate> {
  await using stack = new AsyncDisposableStack();
  const keeper = stack.use(new CertificateKeeper(options));
  await keeper.open();
  stack.move();
  return keeper;
}

class CertificateKeeper implements ServerCertificate {
  readonly #options: ServerCertificateOptions;
  readonly #file: string;
  readonly #issue: IssueServerCertificate;
  readonly #changes = new Listeners<TlsIdentity>();
  readonly #stopped = new AbortController();
  readonly #check: Disposable | undefined;
  readonly #trustChanges: Disposable | undefined;
  #held: Held | undefined;
  #unsaved: string | undefined;
  #wake = new AbortController();
  #work: Promise<void> = Promise.resolve();

  constructor(options: ServerCertificateOptions) {
    const { issue } = options;
    this.#options = options;
    this.#file = join(options.dataDir, 'tls', `${options.service}.pem`);
    this.#issue =
      typeof issue === 'function' ? issue : (input) => issue.request(issueServerCertificate, input);
    this.#check = options.health?.register(`${options.service}.server-certificate`, () => this.#failure());
    this.#trustChanges = options.trust?.onChange(() => this.#wake.abort());
  }

  async open(): Promise<void> {
    const { signal } = this.#options;
    this.#held = await this.#kept();
    for (let failures = 0; this.#held === undefined; ) {
      signal?.throwIfAborted();
      try {
        await this.renew();
      } catch (error) {
        failures++;
        this.#options.log.warn(
          { err: error, tries: failures },
          'server certificate: none yet, est-ca gives none',
        );
        await pause(backoffMs(failures, 100, 10_000), signal ?? this.#stopped.signal);
      }
    }
    this.#work = this.#renewForever();
  }

  current(): TlsIdentity {
    return this.#required().identity;
  }

  get leaf(): Certificate {
    return this.#required().leaf;
  }

  onChange(listener: (identity: TlsIdentity) => void): Disposable {
    return this.#changes.add(listener);
  }

  async renew(): Promise<void> {
    const { service, names } = this.#options;
    const { privateKey } = generateKeyPair('P-256');
    const csr = createCsr({ subject: { commonName: service }, privateKey });
    const issued = await this.#issue({
      service,
      csr: encodePem('CERTIFICATE REQUEST', csr),
      names: [...names],
    });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const cert = [issued.certificate, ...issued.chain].map((pem) => `${pem.trim()}\n`).join('');
    const held = readIdentity(key + cert);
    this.#held = held;
    this.#unsaved = key + cert;
    await this.#save();
    this.#options.log.info(
      { service, notAfter: new Date(held.leaf.notAfter).toISOString(), serialNumber: held.leaf.serialNumber },
      'server certificate: in force',
    );
    this.#changes.call(held.identity);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#check?.[Symbol.dispose]();
    this.#trustChanges?.[Symbol.dispose]();
    await this.#work;
  }

  /** It is in force whether or not the disk takes it; what is not saved is tried again with each look at its end. */
  async #save(): Promise<void> {
    const text = this.#unsaved;
    if (text === undefined) return;
    try {
      await replaceFile(this.#file, text);
      if (this.#unsaved === text) this.#unsaved = undefined;
    } catch (error) {
      this.#options.log.warn({ err: error, file: this.#file }, 'server certificate: not kept on disk yet');
    }
  }

  async #kept(): Promise<Held | undefined> {
    const { log, names, now } = this.#options;
    const text = await readIfThere(this.#file);
    if (text === undefined) return undefined;
    try {
      const held = readIdentity(text);
      const covered = coveredNames(held.leaf);
      const why =
        held.leaf.notAfter <= now()
          ? 'expired'
          : !names.every((name) => covered.has(name))
            ? 'for other names'
            : !this.#trusted(held.leaf)
              ? 'of a CA that is not ours any more, or wants it replaced'
              : undefined;
      if (why === undefined) return held;
      log.info({ file: this.#file }, `server certificate: the kept one is ${why}`);
    } catch (error) {
      log.warn({ err: error, file: this.#file }, 'server certificate: the kept one cannot be read');
    }
    return undefined;
  }

  async #renewForever(): Promise<void> {
    const { signal } = this.#stopped;
    for (let failures = 0; !signal.aborted; ) {
      const waitMs = failures > 0 ? backoffMs(failures, 1000, 60_000) : Math.min(this.#dueMs(), 3_600_000);
      this.#wake = new AbortController();
      if (waitMs > 0) await pause(waitMs, AbortSignal.any([signal, this.#wake.signal]));
      if (signal.aborted) return;
      if (this.#dueMs() > 0) {
        failures = 0;
        await this.#save();
        continue;
      }
      try {
        await this.renew();
        failures = this.#dueMs() > 0 ? 0 : failures + 1;
      } catch (error) {
        failures++;
        this.#options.log.warn({ err: error, tries: failures }, 'server certificate: not renewed yet');
      }
    }
  }

  /** How long until it is to be renewed, ms; 0 for now. */
  #dueMs(): number {
    return this.#trusted(this.leaf) ? Math.max(renewalTime(this.leaf) - this.#options.now(), 0) : 0;
  }

  #failure(): string | undefined {
    if (this.#held === undefined) return 'no certificate yet';
    return this.#held.leaf.notAfter <= this.#options.now() ? 'expired' : undefined;
  }

  /** Unknown CAs (not loaded, or none of servers listed) prove nothing against it. */
  #trusted(leaf: Certificate): boolean {
    const servers = this.#options.trust?.authorities().filter(({ kind }) => kind === 'server') ?? [];
    return (
      servers.length === 0 ||
      servers.some(
        ({ subjectKeyId, state, replaceUpTo }) =>
          subjectKeyId === leaf.authorityKeyId &&
          state === 'active' &&
          (replaceUpTo === undefined || leaf.notBefore + BACKDATED_MS > Date.parse(replaceUpTo)),
      )
    );
  }

  #required(): Held {
    if (this.#held === undefined) throw new Error('server certificate: not open');
    return this.#held;
  }
}
