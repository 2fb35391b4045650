import { join } from 'node:path';
import { backoffMs, pause } from '@signet/async';
import type { Bus, Subscription } from '@signet/bus';
import { Authority, listAuthorities, PLATFORM_ACCOUNT } from '@signet/contracts';
import { readIfThere, replaceFile } from '@signet/files';
import { type Certificate, type IssuerSet, issuerSet, parseCertificatePem } from '@signet/pki';
import { z } from 'zod';
import type { Health } from './health.ts';
import { Listeners } from './listeners.ts';
import type { Logger } from './logger.ts';

/** The platform's CAs as this process pins them. Until they are loaded nobody is admitted. */
export interface Trust extends AsyncDisposable {
  readonly loaded: boolean;
  /** Resolves once the CAs are loaded, from disk or from `est-ca`. */
  whenLoaded(): Promise<void>;
  /** What `verifyPeer` checks against; empty until loaded. */
  issuers(): IssuerSet;
  authorities(): readonly Authority[];
  /** PEM of the platform's roots in force: what its servers are trusted by. No tenant's root is among them. */
  anchors(): readonly string[];
  /** Called after the CAs changed. */
  onChange(listener: (authorities: readonly Authority[]) => void): Disposable;
  /** Asks `est-ca` now. @throws OperationError where it does not answer */
  refresh(): Promise<void>;
}

/**
 * Pins the CAs that `est-ca` lists: from the copy on disk at once, and from `est-ca` as soon as it answers, at each
 * `CA_CREATED` and `CA_CHANGED`, and every `refreshMs` (default 60000), which heals what was missed. Does not wait.
 */
export async function openTrust(options: {
  readonly bus: Bus;
  readonly dataDir: string;
  /** Of the platform's SPIFFE ids. */
  readonly trustDomain: string;
  readonly log: Logger;
  readonly health?: Health | undefined;
  readonly refreshMs?: number;
}): Promise<Trust> {
  const trust = new PinnedTrust(options);
  await trust.loadCopy();
  trust.start();
  return trust;
}

/** Services that start together, or est-ca while it restarts, are unavailable for so long without a warning. */
const EXPECTED_ABSENCE_MS = 5000;

const Copy = z.object({ authorities: z.array(Authority) });

class PinnedTrust implements Trust {
  readonly #bus: Bus;
  readonly #log: Logger;
  readonly #file: string;
  readonly #refreshMs: number;
  readonly #stopped = new AbortController();
  readonly #changes = new Listeners<readonly Authority[]>();
  readonly #loaded = Promise.withResolvers<void>();
  readonly #check: Disposable | undefined;
  #authorities: readonly Authority[] | undefined;
  #issuers: IssuerSet;
  readonly #trustDomain: string;
  /** The pinned ones by their PEM: what stays pinned is not read, and not verified, again. */
  #certificates: ReadonlyMap<string, Certificate> = new Map();
  #unsaved: string | undefined;
  #wake = new AbortController();
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: Parameters<typeof openTrust>[0]) {
    this.#bus = options.bus;
    this.#log = options.log;
    this.#trustDomain = options.trustDomain;
    this.#issuers = issuerSet([], options.trustDomain);
    this.#file = join(options.dataDir, 'authorities.json');
    this.#refreshMs = options.refreshMs ?? 60_000;
    this.#check = options.health?.register('trust', () => (this.loaded ? undefined : 'no CA is pinned yet'));
  }

  get loaded(): boolean {
    return this.#authorities !== undefined;
  }

  whenLoaded(): Promise<void> {
    return this.#loaded.promise;
  }

  issuers(): IssuerSet {
    return this.#issuers;
  }

  authorities(): readonly Authority[] {
    return this.#authorities ?? [];
  }

  anchors(): readonly string[] {
    return this.authorities()
      .filter(
        ({ kind, state, account }) => kind === 'root' && state === 'active' && account === PLATFORM_ACCOUNT,
      )
      .map(({ certificate }) => certificate);
  }

  onChange(listener: (authorities: readonly Authority[]) => void): Disposable {
    return this.#changes.add(listener);
  }

  async refresh(): Promise<void> {
    const { authorities } = await this.#bus.request(listAuthorities, {});
    if (authorities.length === 0) return;
    const text = JSON.stringify({ authorities });
    if (text !== JSON.stringify({ authorities: this.#authorities })) {
      this.#pin(authorities);
      this.#unsaved = text;
    }
    await this.#save();
  }

  /** The CAs are pinned whether or not the disk takes the copy; what is not saved is tried again at each refresh. */
  async #save(): Promise<void> {
    const text = this.#unsaved;
    if (text === undefined) return;
    try {
      await replaceFile(this.#file, text);
      if (this.#unsaved === text) this.#unsaved = undefined;
    } catch (error) {
      this.#log.warn({ err: error, file: this.#file }, 'trust: the copy is not kept on disk yet');
    }
  }

  async loadCopy(): Promise<void> {
    const text = await readIfThere(this.#file);
    if (text === undefined) return;
    try {
      this.#pin(Copy.parse(JSON.parse(text)).authorities);
    } catch (error) {
      this.#log.warn(
        { err: error, file: this.#file },
        'trust: the copy on disk is of no use, waiting for est-ca',
      );
    }
  }

  start(): void {
    this.#work = Promise.all([this.#follow(), this.#refreshForever()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#check?.[Symbol.dispose]();
    await this.#work;
  }

  #pin(authorities: readonly Authority[]): void {
    const certificates = new Map<string, Certificate>();
    const read = (pem: string): Certificate => {
      const certificate = certificates.get(pem) ?? this.#certificates.get(pem) ?? parseCertificatePem(pem);
      certificates.set(pem, certificate);
      return certificate;
    };
    this.#issuers = issuerSet(
      authorities.map((authority) => ({
        certificate: read(authority.certificate),
        kind: authority.kind,
        account: authority.account,
        state: authority.state,
      })),
      this.#trustDomain,
    );
    this.#certificates = certificates;
    this.#authorities = authorities;
    this.#loaded.resolve();
    this.#log.info({ authorities: authorities.length }, 'trust: CAs pinned');
    this.#changes.call(authorities);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopped;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const tail: Subscription = await this.#bus.tail(
          { types: ['CA_CREATED', 'CA_CHANGED'], from: 'new' },
          () => this.#wake.abort(),
        );
        this.#wake.abort();
        await pause(Number.POSITIVE_INFINITY, { signal, unref: true });
        await tail[Symbol.asyncDispose]();
      } catch (error) {
        this.#log.warn({ err: error }, 'trust: cannot follow the changes of CAs');
        await pause(backoffMs(attempt, { firstMs: 200, lastMs: 10_000 }), { signal });
      }
    }
  }

  async #refreshForever(): Promise<void> {
    const { signal } = this.#stopped;
    let answeredAt = performance.now();
    for (let failures = 0; !signal.aborted; ) {
      this.#wake = new AbortController();
      try {
        await this.refresh();
        failures = 0;
        answeredAt = performance.now();
      } catch (error) {
        failures++;
        const level = performance.now() - answeredAt < EXPECTED_ABSENCE_MS ? 'debug' : 'warn';
        this.#log[level]({ err: error }, 'trust: est-ca does not list its CAs');
      }
      const restMs = this.loaded ? this.#refreshMs : 250;
      const waitMs = failures > 0 ? backoffMs(failures, { firstMs: 100, lastMs: 10_000 }) : restMs;
      await pause(waitMs, { signal: AbortSignal.any([signal, this.#wake.signal]) });
    }
  }
}
