import type { Bus } from '@signet/bus';
import {
  defaultMqttPolicy,
  getMqttPolicy,
  isUnavailable,
  type MqttPolicy,
  MqttPolicy as Policy,
  setMqttPolicy,
} from '@signet/contracts';
import { readIfThere, replaceFile } from '@signet/files';
import { type Logger, whenAvailable } from '@signet/service';
import type { Collection } from '@signet/store';
import { z } from 'zod';
import { type AccountPolicy, changePolicy } from '../domain/account/account-policy.ts';

export type AccountPoliciesParts = {
  readonly bus: Bus;
  /** The collection; rejects while the store is unavailable. */
  readonly collection: () => Promise<Collection<AccountPolicy>>;
  readonly log: Logger;
  readonly now: () => number;
  /** Path of the copy on disk. */
  readonly file: string;
};

const OnDisk = z.record(z.string(), Policy);

/**
 * Serves the policies of accounts. All of them are in memory on every node, loaded at the start, then by event. A copy
 * on disk serves a node that starts while the store is unavailable, so that no account's second factor is forgotten.
 */
export class AccountPolicies implements AsyncDisposable {
  readonly #known = new Map<string, MqttPolicy>();
  readonly #stack = new AsyncDisposableStack();
  readonly #file: string;
  readonly #log: Logger;
  #saving: Promise<void> = Promise.resolve();

  static async open(parts: AccountPoliciesParts): Promise<AccountPolicies> {
    const policies = new AccountPolicies(parts.file, parts.log);
    const { bus, collection, now } = parts;
    policies.#stack.use(
      await bus.tail({ types: ['MQTT_POLICY_CHANGED', 'ACCOUNT_DELETED'], from: 'new' }, (event) => {
        if (event.type === 'MQTT_POLICY_CHANGED') policies.#put(event.account, event.data.policy);
        else policies.#drop(event.account);
      }),
    );
    await policies.#load(collection);
    policies.#stack.use(await bus.serve(getMqttPolicy, async ({ account }) => policies.of(account)));
    policies.#stack.use(
      await bus.serve(setMqttPolicy, async (change) => {
        const changed = await changePolicy({ policies: await collection(), now }, change);
        policies.#put(change.account, changed);
        return changed;
      }),
    );
    return policies;
  }

  private constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  of(account: string): MqttPolicy {
    return this.#known.get(account) ?? defaultMqttPolicy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    await this.#saving;
  }

  /** From the store; while that is unavailable from the copy on disk, if there is one. */
  async #load(collection: AccountPoliciesParts['collection']): Promise<void> {
    try {
      await this.#read(await collection());
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      const copy = await readIfThere(this.#file);
      if (copy === undefined) await whenAvailable(this.#log, async () => this.#read(await collection()));
      else this.#learn(Object.entries(OnDisk.parse(JSON.parse(copy))));
    }
    this.#save();
  }

  async #read(collection: Collection<AccountPolicy>): Promise<void> {
    let cursor: string | undefined;
    do {
      const page = await collection.find({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
      this.#learn(page.items.map(({ id, ...policy }) => [id, policy]));
      cursor = page.next;
    } while (cursor !== undefined);
  }

  #put(account: string, policy: MqttPolicy): void {
    this.#known.set(account, policy);
    this.#save();
  }

  #drop(account: string): void {
    if (this.#known.delete(account)) this.#save();
  }

  /** A policy that came by event meanwhile is newer. */
  #learn(read: readonly (readonly [string, MqttPolicy])[]): void {
    for (const [account, policy] of read) if (!this.#known.has(account)) this.#known.set(account, policy);
  }

  #save(): void {
    this.#saving = this.#saving
      .then(() => replaceFile(this.#file, JSON.stringify(Object.fromEntries(this.#known))))
      .catch((error: unknown) =>
        this.#log.warn({ err: error }, 'mqtt: failed to save the copy of the policies on disk'),
      );
  }
}
