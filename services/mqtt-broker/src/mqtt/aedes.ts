import { parseDeviceTopic } from '@signet/contracts';
import { Aedes, type AedesOptions, type Client } from 'aedes';

/** Members of aedes that its types do not declare. */
type Inner = Omit<Aedes, 'publish' | 'subscribe' | 'unsubscribe'> & {
  readonly clients: Readonly<Record<string, Client>>;
  readonly mq: Emitter;
  publish(packet: Published, client?: Client | null | Done, done?: Done): void;
  subscribe(topic: string, listener: Listener, done?: () => void): void;
  unsubscribe(topic: string, listener: Listener, done?: () => void): void;
  registerClient(client: Client): void;
  unregisterClient(client: Client): void;
  deleteClient(clientId: string): void;
};

type Published = { readonly topic: string; readonly payload?: string | Buffer; readonly qos?: number };
type Done = (error?: Error) => void;

/** The emitter that carries packets among clients and nodes: mqemitter's interface. */
export type Emitter = {
  on(topic: string, listener: Listener, done?: () => void): unknown;
  removeListener(topic: string, listener: Listener, done?: () => void): unknown;
  emit(packet: { topic: string; payload?: string | Buffer }, done?: (error?: Error) => void): unknown;
  close(done: () => void): unknown;
};
type Listener = (packet: { topic: string; payload: Buffer }, done: () => void) => void;

const Base = Aedes as unknown as new (options: AedesOptions) => Inner;

/**
 * Aedes, which keeps its register of clients by id, and does not look whose entry it is: a client that closed while it
 * was connecting is registered anyway, and one whose end takes a while removes its successor. Here neither is.
 * What devices publish has gone to the bus when aedes is done authorizing it, and no client may subscribe to it: it is
 * not looked for subscribers.
 */
export class StrictAedes extends Base {
  readonly #removed: (clientId: string) => void;

  /** `removed` is told each time an id leaves the register. */
  constructor(options: AedesOptions, removed: (clientId: string) => void) {
    super(options);
    this.#removed = removed;
  }

  override publish(packet: Published, client?: Client | null | Done, done?: Done): void {
    const ended = typeof client === 'function' ? client : done;
    if (parseDeviceTopic(packet.topic)?.way !== 'up') super.publish(packet, client, done);
    else if (ended !== undefined) queueMicrotask(ended);
  }

  // what leaves for devices is no affair of aedes (Outbox), so it listens for nothing but its own affairs
  override subscribe(topic: string, listener: Listener, done?: () => void): void {
    if (topic.startsWith('$SYS/')) super.subscribe(topic, listener, done);
    else if (done !== undefined) queueMicrotask(done);
  }

  override unsubscribe(topic: string, listener: Listener, done?: () => void): void {
    if (topic.startsWith('$SYS/')) super.unsubscribe(topic, listener, done);
    else if (done !== undefined) queueMicrotask(done);
  }

  override registerClient(client: Client): void {
    if (!client.closed) super.registerClient(client);
  }

  override unregisterClient(client: Client): void {
    if (this.clients[client.id] === client) super.unregisterClient(client);
  }

  override deleteClient(clientId: string): void {
    if (this.clients[clientId] === undefined) return;
    super.deleteClient(clientId);
    this.#removed(clientId);
  }
}

/** Members of a client of aedes that its types do not declare. */
export type InnerClient = Client & {
  _parser: NodeJS.EventEmitter;
  /** Packets that are being handled, and one more at the start. */
  _parsingBatch: number;
  /** Called each time that a packet was handled, with what went wrong, and where reading may go on. */
  _nextBatch: (error?: Error | null) => void;
  readonly _keepaliveTimer: NodeJS.Timeout | null;
  /** The device sent DISCONNECT. */
  readonly _disconnected: boolean;
};

export function innerOf(client: Client): InnerClient {
  return client as InnerClient;
}
