import type { Client } from 'aedes';
import type { Session } from './session.ts';

type Holder = {
  readonly session: Session;
  readonly client: Client;
  readonly gone: PromiseWithResolvers<void>;
  isRegistered: boolean;
};

/**
 * Who holds which session on this node: one connection for each device, from the moment its CONNECT was accepted. A new
 * one waits until the old one is gone from everywhere, so that what is told of them comes in their order.
 */
export class SessionRegistry {
  readonly #holders = new Map<string, Holder>();
  readonly #byAccount = new Map<string, Set<Session>>();
  readonly #left: (session: Session, client: Client) => void;

  /** `left` is called once for each holder, when it is gone. */
  constructor(left: (session: Session, client: Client) => void) {
    this.#left = left;
  }

  get size(): number {
    return this.#holders.size;
  }

  /** Ends whoever holds this session and takes its place. False: the client closed while it waited. */
  async take(session: Session, client: Client): Promise<boolean> {
    for (;;) {
      const before = this.#holders.get(session.key);
      if (client.closed) return false;
      if (before === undefined) break;
      before.session.endedBy ??= 'takeover';
      before.client.close();
      await before.gone.promise;
    }
    const holder = { session, client, gone: Promise.withResolvers<void>(), isRegistered: false };
    this.#holders.set(session.key, holder);
    const { account } = session.owner;
    const others = this.#byAccount.get(account);
    if (others === undefined) this.#byAccount.set(account, new Set([session]));
    else others.add(session);
    session.socket.once('close', () => {
      // aedes closes its client on the same event, and from then on never registers it
      setImmediate(() => {
        if (!holder.isRegistered) this.#release(holder);
      });
    });
    return true;
  }

  /** From here on the holder is gone only when aedes says so. */
  registered(client: Client): void {
    const holder = this.#holders.get(client.id);
    if (holder?.client === client) holder.isRegistered = true;
  }

  removed(key: string): void {
    const holder = this.#holders.get(key);
    if (holder?.isRegistered === true) this.#release(holder);
  }

  get(key: string): Session | undefined {
    return this.#holders.get(key)?.session;
  }

  /** Ends whoever has it here, because another node does; resolves when that is gone. */
  async giveUp(key: string): Promise<void> {
    const holder = this.#holders.get(key);
    if (holder === undefined) return;
    holder.session.endedBy ??= 'takeover';
    holder.session.isElsewhere = true;
    holder.client.close();
    await holder.gone.promise;
  }

  ofAccount(account: string): Iterable<Session> {
    return this.#byAccount.get(account) ?? [];
  }

  sessions(): Session[] {
    return Array.from(this.#holders.values(), ({ session }) => session);
  }

  #release(holder: Holder): void {
    const { session, client, gone } = holder;
    if (this.#holders.get(session.key) !== holder) return;
    this.#holders.delete(session.key);
    const others = this.#byAccount.get(session.owner.account);
    others?.delete(session);
    if (others?.size === 0) this.#byAccount.delete(session.owner.account);
    this.#left(session, client);
    gone.resolve();
  }
}

/** Runs the tasks of one session one after another, those of different sessions in parallel. */
export class Serial {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `task` after all that was given for this key before. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const running = before.then(task);
    const settled = running.then(
      () => {},
      () => {},
    );
    this.#last.set(key, settled);
    void settled.then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    return running;
  }

  isBusy(key: string): boolean {
    return this.#last.has(key);
  }

  /** Resolves when all that was given for this key until now has run. */
  async idle(key: string): Promise<void> {
    await this.#last.get(key);
  }

  /** Resolves when nothing runs. */
  async settled(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
