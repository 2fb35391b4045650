import { join } from 'node:path';
import { backoffMs, pause } from '@signet/async';
import type { Bus } from '@signet/bus';
import {
  issueServerCertificate,
  OperationError,
  type OperationInput,
  type OperationOutput,
} from '@signet/contracts';
import { readIfThere, replaceFile } from '@signet/files';
import { BACKDATED_MS, type Certificate, createCsr, encodePem, generateKeyPair } from '@signet/pki';
import type { Health } from './health.ts';
import { dropLastResort, lastResort } from './last-resort.ts';
import { Listeners } from './listeners.ts';
import type { Logger } from './logger.ts';
import { processTicks, type Ticks } from './ticks.ts';
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
  /** SHA-256 of the self-signed certificate that is shown for want of one of a CA; undefined where there is none. */
  lastResort(): string | undefined;
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
  /** When the wall clock is looked at. Default: the process's, every minute. */
  readonly ticks?: Ticks | undefined;
  /** How long est-ca may be unavailable before the listener comes up on a certificate of last resort, ms. */
  readonly lastResortAfterMs?: number;
  /**
   * Whether one that ended while it was in use gives way to that of last resort too: for operators, who can trust it by
   * its fingerprint. Devices cannot, and some of them have a clock that is behind.
   */
  readonly forOperators?: boolean;
};

/** Services that start together wait for est-ca for so long. */
/** Between tries, ms. */
const FIRST_TRIES = { firstMs: 100, lastMs: 10_000 } as const;
const RENEWALS = { firstMs: 1000, lastMs: 60_000 } as const;
const LAST_RESORT_AFTER_MS = 15_000;

/**
 * Takes up the certificate kept on disk if it is still valid for these names, else asks for one, with backoff. Where
 * est-ca can give none, or is unavailable for too long, the listener comes up on a self-signed certificate of last
 * resort, so that operators can act; asking goes on. Renews at two thirds of its life, each time with a new key.
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
  readonly #tick: Disposable;
  #held: Held | undefined;
  /** Why it is one of last resort. */
  #lastResortFor: string | undefined;
  #unsaved: string | undefined;
  #wake = new AbortController();
  #work: Promise<void> = Promise.resolve();
  /** Who waits for the next try to renew. */
  #tried: (() => void)[] = [];

  constructor(options: ServerCertificateOptions) {
    const { issue } = options;
    this.#options = options;
    this.#file = join(options.dataDir, 'tls', `${options.service}.pem`);
    this.#issue =
      typeof issue === 'function' ? issue : (input) => issue.request(issueServerCertificate, input);
    this.#check = options.health?.register(`${options.service}.server-certificate`, () => this.#failure());
    this.#trustChanges = options.trust?.onChange(() => this.#wake.abort());
    this.#tick = (options.ticks ?? processTicks).on(() => this.#look());
  }

  async open(): Promise<void> {
    const { signal, lastResortAfterMs = LAST_RESORT_AFTER_MS } = this.#options;
    const startedAt = performance.now();
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
        const isLate = performance.now() - startedAt >= lastResortAfterMs;
        if (isLate || !isUnavailable(error)) await this.#takeLastResort(error);
        else await pause(backoffMs(failures, FIRST_TRIES), { signal: signal ?? this.#stopped.signal });
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

  lastResort(): string | undefined {
    return this.#lastResortFor === undefined ? undefined : this.leaf.fingerprint;
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
    if (this.#lastResortFor !== undefined) {
      this.#lastResortFor = undefined;
      await dropLastResort(this.#options);
    }
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
    this.#tick[Symbol.dispose]();
    await this.#work;
  }

  /** Wakes the loop where the clock says that it is time, however long the loop meant to sleep. */
  async #look(): Promise<void> {
    if (this.#held === undefined || this.#dueMs() > 0) return;
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#tried.push(resolve);
    this.#wake.abort();
    await done;
  }

  async #takeLastResort(cause: unknown): Promise<void> {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const { service, log } = this.#options;
    const held = await lastResort(this.#options);
    this.#held = held;
    this.#lastResortFor = reason;
    log.error(
      { service, fingerprint: held.leaf.fingerprint, reason },
      `server certificate: of last resort, self-signed, sha256:${held.leaf.fingerprint}`,
    );
    this.#changes.call(held.identity);
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
      const why = !isInForce(held.leaf, now())
        ? 'expired, or not valid yet'
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
      const waitMs = failures > 0 ? backoffMs(failures, RENEWALS) : Math.min(this.#dueMs(), 3_600_000);
      this.#wake = new AbortController();
      if (waitMs > 0) await pause(waitMs, { signal: AbortSignal.any([signal, this.#wake.signal]) });
      if (signal.aborted) break;
      const isSound = this.#dueMs() > 0;
      if (isSound) await this.#save();
      failures = isSound || (await this.#renewed(failures)) ? 0 : failures + 1;
      this.#tellWaiting();
    }
    this.#tellWaiting();
  }

  #tellWaiting(): void {
    for (const tell of this.#tried.splice(0)) tell();
  }

  /** Whether it needs no other one now. */
  async #renewed(failures: number): Promise<boolean> {
    try {
      await this.renew();
      return this.#dueMs() > 0;
    } catch (error) {
      this.#options.log.warn({ err: error, tries: failures + 1 }, 'server certificate: not renewed yet');
      const { forOperators = false, now } = this.#options;
      if (forOperators && this.#lastResortFor === undefined && !isInForce(this.leaf, now()))
        await this.#takeLastResort(error);
      return false;
    }
  }

  /** How long until it is to be renewed, ms; 0 for now. */
  #dueMs(): number {
    const now = this.#options.now();
    const isSound =
      this.#lastResortFor === undefined && isInForce(this.leaf, now) && this.#trusted(this.leaf);
    return isSound ? Math.max(renewalTime(this.leaf) - now, 0) : 0;
  }

  #failure(): string | undefined {
    if (this.#held === undefined) return 'no certificate yet';
    const { leaf } = this.#held;
    if (this.#lastResortFor !== undefined)
      return `self-signed certificate of last resort (sha256:${leaf.fingerprint}): ${this.#lastResortFor}`;
    const now = this.#options.now();
    if (leaf.notBefore > now) return 'not valid yet';
    return leaf.notAfter <= now ? 'expired' : undefined;
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

function isInForce({ notBefore, notAfter }: Certificate, now: number): boolean {
  return notBefore <= now && now < notAfter;
}

/** Whether est-ca did not answer, rather than that it can give none. */
function isUnavailable(error: unknown): boolean {
  return !(error instanceof OperationError) || error.code === 'unavailable';
}
