import type { Bus } from '@signet/bus';
import {
  defaultMqttPolicy,
  getMqttPolicy,
  isUnavailable,
  type MqttPolicy,
  newEvent,
  MqttPolicy as Policy,
  setMqttPolicy,
} from '@signet/contracts';
import { readIfThere, replaceFile } from '@signet/files';
import { type Logger, whenAvailable } from '@signet/service';
import type { Collection, Store } from '@signet/store';
import { StoreError } from '@signet/store';
import { z } from 'zod';
import { type AccountPolicy, accountPolicies } from '../domain/account-policy.ts';

const OnDisk = z.record(z.string(), Policy);

/**
 * The policies of all accounts, in memory on every node: loaded at the start, then by event. A copy on disk serves a
 * node that starts while the store is away, so that no account's second factor is forgotten.
 */
export class AccountPolicies implements AsyncDisposable {
  readonly #known = new Map<string, MqttPolicy>();
  readonly #stack = new AsyncDisposableStack();
  readonly #file: string;
  readonly #log: Logger;
  #saving: Promise<void> = Promise.resolve();

  static async open(parts: {
    readonly bus: Bus;
    readonly store: Store;
    readonly log: Logger;
    readonly now: () => number;
    /** Where the copy is kept. */
    readonly file: string;
  }): Promise<AccountPolicies> {
    const policies = new AccountPolicies(parts.file, parts.log);
    const { bus, store, now } = parts;
    policies.#stack.use(
      await bus.tail({ types: ['MQTT_POLICY_CHANGED'], from: 'new' }, ({ account, data }) => {
        policies.#known.set(account, (data as { policy: MqttPolicy }).policy);
        policies.#save();
      }),
    );
    const collection = await policies.#load(store);
    policies.#stack.use(await bus.serve(getMqttPolicy, async ({ account }) => policies.of(account)));
    policies.#stack.use(
      await bus.serve(setMqttPolicy, async ({ account, change, by }) => {
        const changed = await set(await collection(), { account, change, by, now: now() });
        policies.#known.set(account, changed);
        policies.#save();
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

  /** From the store; while that is away from the copy on disk, where there is one. */
  async #load(store: Store): Promise<() => Promise<Collection<AccountPolicy>>> {
    const open = () => store.collection(accountPolicies);
    try {
      await this.#read(await open());
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      const copy = await readIfThere(this.#file);
      if (copy === undefined) await whenAvailable(this.#log, async () => this.#read(await open()));
      else this.#learn(Object.entries(OnDisk.parse(JSON.parse(copy))));
    }
    this.#save();
    return open;
  }

  async #read(collection: Collection<AccountPolicy>): Promise<void> {
    let cursor: string | undefined;
    do {
      const page = await collection.find({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
      this.#learn(page.items.map(({ id, ...policy }) => [id, policy]));
      cursor = page.next;
    } while (cursor !== undefined);
  }

  /** What an event said meanwhile is newer. */
  #learn(read: readonly (readonly [string, MqttPolicy])[]): void {
    for (const [account, policy] of read) if (!this.#known.has(account)) this.#known.set(account, policy);
  }

  #save(): void {
    this.#saving = this.#saving
      .then(() => replaceFile(this.#file, JSON.stringify(Object.fromEntries(this.#known))))
      .catch((error: unknown) => this.#log.warn({ err: error }, 'mqtt: policies could not be kept on disk'));
  }
}

async function set(
  collection: Collection<AccountPolicy>,
  facts: {
    account: string;
    change: { readonly [Field in keyof MqttPolicy]?: MqttPolicy[Field] | undefined };
    by: string;
    now: number;
  },
): Promise<MqttPolicy> {
  const { account, by, now } = facts;
  // a field that is absent in JSON is absent here
  const change = Object.fromEntries(Object.entries(facts.change).filter(([, value]) => value !== undefined));
  const changed = (current: MqttPolicy) => {
    const policy = Policy.parse({ ...current, ...change });
    const event = newEvent('MQTT_POLICY_CHANGED', {
      account,
      subject: account,
      data: { policy, by },
      time: now,
    });
    return { document: { ...policy, id: account }, events: [event] };
  };
  const { document, events } = changed(defaultMqttPolicy);
  try {
    await collection.insert(document, events);
    return Policy.parse(document);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
    return Policy.parse(await collection.update(account, changed));
  }
}
