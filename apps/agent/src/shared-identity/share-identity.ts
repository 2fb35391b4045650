import { join } from 'node:path';
import { requireOwnError } from '../agent-error.ts';
import { deviceNow } from '../clock.ts';
import type { HandlerRules } from '../config/handlers.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { fetchCaCertificates } from '../est-client.ts';
import { leaf } from '../identity.ts';
import { digestsOf, parts, sharedContents } from './contents.ts';
import { CrlFollower, keptCrl } from './crl.ts';
import { certificatesIn, issuersOf } from './issuers.ts';
import { tellUsers } from './tell-users.ts';
import { type Access, VersionedFolder } from './versioned-folder.ts';

export type ShareEvent =
  | { readonly step: 'identity-shared'; readonly folder: string; readonly changed: string }
  | {
      readonly step: 'identity-user-told' | 'identity-user-waits';
      readonly name: string;
      readonly details: string;
    }
  | { readonly step: 'identity-waits'; readonly reason: string };

export type ShareOptions = {
  /** The folder that workloads read; by default `identity` of the device folder. */
  readonly path?: string | undefined;
  readonly access?: Access;
  /** Whose programs users may name. */
  readonly handlers: HandlerRules;
  readonly report?: (event: ShareEvent) => void;
  readonly now?: () => number;
};

/** Keeps the folder current from which workloads take the device's identity, and tells them when it has changed. */
export class SharedIdentity {
  readonly #folder: DeviceFolder;
  readonly #options: ShareOptions;
  readonly #shared: VersionedFolder;
  readonly #crls = new CrlFollower();
  /** What was reported last of each thing that does not work, so that it is said once. */
  readonly #said = new Map<string, string>();

  constructor(folder: DeviceFolder, options: ShareOptions) {
    this.#folder = folder;
    this.#options = options;
    const path = options.path ?? join(folder.path, 'identity');
    this.#shared = new VersionedFolder(path, options.access, folder.files.calls);
  }

  /**
   * Writes at once what is known here, then what the platform has to say of it: issuers, CRL. What does not work now is
   * reported. True: nothing is left for the next call.
   */
  async update(signal?: AbortSignal): Promise<boolean> {
    const [bundle, identity] = await Promise.all([this.#folder.bundle(), this.#folder.operational()]);
    if (bundle === undefined || identity === undefined) return true;
    const own = leaf(identity);
    const before = await this.#shared.current();
    const anchors = bundle.trustAnchors.flatMap(certificatesIn);
    const known = issuersOf(own, [...certificatesIn(before['certificate.pem'] ?? ''), ...anchors]);
    const crl = known.direct && keptCrl(before['crl.pem'], known.direct);
    const isPut = await this.#put({ bundle, identity, issuers: known, crl });

    const issuers = known.isComplete
      ? known
      : await this.#trying('issuers', async () => {
          const trust = bundle.trustAnchors.join('\n');
          const server = { url: bundle.est.url, label: bundle.est.label, trust, signal };
          const given = await fetchCaCertificates(server, identity);
          return issuersOf(own, [...given.flatMap(certificatesIn), ...anchors]);
        });
    const { direct } = issuers ?? known;
    const fresh =
      direct &&
      (await this.#trying('crl', () => this.#crls.newer(own, direct, crl, { now: this.#now(), signal })));
    const facts = { bundle, identity, issuers: issuers ?? known, crl: fresh ?? crl };
    const isNewsPut = fresh === undefined && issuers === known ? isPut : await this.#put(facts);
    return isNewsPut && facts.issuers.isComplete;
  }

  /** Puts the files in force if they are others than before, and tells who has not heard of them. */
  async #put(facts: Parameters<typeof sharedContents>[0]): Promise<boolean> {
    const { report = () => {}, handlers } = this.#options;
    const contents = sharedContents(facts);
    const results = await this.#trying('files', async () => {
      const [before, after] = [digestsOf(await this.#shared.current()), digestsOf(contents)];
      const changed = parts.filter((part) => before[part] !== after[part]);
      if (changed.length === 0) await this.#shared.tidy();
      else {
        await this.#shared.replace(contents);
        report({ step: 'identity-shared', folder: this.#shared.path, changed: changed.join(' ') });
      }
      return await tellUsers(this.#folder, { path: this.#shared.path, contents }, handlers);
    });
    for (const { name, success, details } of results ?? []) {
      if (success) this.#said.delete(name);
      else if (this.#said.get(name) === details) continue;
      else this.#said.set(name, details);
      report({ step: success ? 'identity-user-told' : 'identity-user-waits', name, details });
    }
    return results?.every(({ success }) => success) === true;
  }

  /** What fails is said once, and gives nothing. */
  async #trying<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    const topic = `${what}:`;
    try {
      const result = await work();
      this.#said.delete(topic);
      return result;
    } catch (raw) {
      const error = requireOwnError(raw);
      if (this.#said.get(topic) !== error.message)
        this.#options.report?.({ step: 'identity-waits', reason: error.message });
      this.#said.set(topic, error.message);
      return undefined;
    }
  }

  #now(): number {
    return this.#options.now?.() ?? deviceNow();
  }
}
