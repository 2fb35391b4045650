import type { Client } from 'aedes';

/** What a client of aedes has, and its types leave out. */
export type InnerClient = Client & {
  _parser: NodeJS.EventEmitter;
  /** Packets that are being handled, and one more at the start. */
  _parsingBatch: number;
  /** Called each time that a packet was handled, with what went wrong, and where reading may go on. */
  _nextBatch: (error?: Error | null) => void;
  readonly _keepaliveTimer: NodeJS.Timeout | null;
  /** The device has said goodbye. */
  readonly _disconnected: boolean;
};

export function innerOf(client: Client): InnerClient {
  return client as InnerClient;
}
