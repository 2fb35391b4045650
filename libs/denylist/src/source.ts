import {
  DENYLIST_DIGEST_SUBJECT,
  DENYLIST_HEAD_SUBJECT,
  type DenyChange,
  denylistChanges,
  denylistSnapshot,
  type EventType,
  type OperationInput,
  type OperationOutput,
  type SignetEvent,
} from '@signet/contracts';

export type SnapshotPage = OperationOutput<typeof denylistSnapshot>;

/** Where a replica gets the deny list from. Every call may fail while the authority or the bus is unavailable. */
export type DenyListSource = {
  snapshot(cursor?: string): Promise<SnapshotPage>;
  /** The changes `from`…`to`, or the first of them if they are many. */
  changes(from: number, to: number): Promise<readonly DenyChange[]>;
  onChange(handler: (change: DenyChange) => void): Promise<AsyncDisposable>;
  /** The authority's head, every 5 s and after each change. */
  onHead(handler: (head: DenyListHead) => void): Promise<AsyncDisposable>;
  /** What the authority's list comes to, every minute. */
  onDigest(handler: (digest: DenyListDigest) => void): Promise<AsyncDisposable>;
};

/** What the authority says of its list. */
export type DenyListHead = {
  /** Of its last change. */
  readonly number: number;
  /** For how long it has owed denials, ms: those that it was told of, or may not have been, and that no change has. */
  readonly owedMs: number;
};

/** What a list holds as of change `number`, of what expires after `horizon` (Unix seconds). */
export type DenyListDigest = { readonly number: number; readonly horizon: number; readonly digest: string };

/** What of a bus the deny list needs; `Bus` of `@signet/bus` has it. */
export type DenyListBus = {
  request(
    operation: typeof denylistSnapshot,
    input: OperationInput<typeof denylistSnapshot>,
  ): Promise<OperationOutput<typeof denylistSnapshot>>;
  request(
    operation: typeof denylistChanges,
    input: OperationInput<typeof denylistChanges>,
  ): Promise<OperationOutput<typeof denylistChanges>>;
  tail(
    options: { readonly types: readonly EventType[]; readonly from: 'new' },
    handler: (event: SignetEvent) => void,
  ): Promise<AsyncDisposable>;
  listen(
    subject: string,
    handler: (message: { readonly payload: Uint8Array }) => void,
  ): Promise<AsyncDisposable>;
};

/** The deny list as `revocation-sync` serves it over a bus. */
export function denyListSource(bus: DenyListBus): DenyListSource {
  return {
    snapshot: (cursor) => bus.request(denylistSnapshot, cursor === undefined ? {} : { cursor }),
    changes: async (from, to) => (await bus.request(denylistChanges, { from, to })).changes,
    onChange: (handler) =>
      bus.tail({ types: ['DENYLIST_CHANGED'], from: 'new' }, (event) => {
        if (event.type === 'DENYLIST_CHANGED') handler(event.data);
      }),
    onHead: (handler) =>
      bus.listen(DENYLIST_HEAD_SUBJECT, ({ payload }) => {
        const head = parseHead(payload);
        if (head !== undefined) handler(head);
      }),
    onDigest: (handler) =>
      bus.listen(DENYLIST_DIGEST_SUBJECT, ({ payload }) => {
        const digest = parseDigest(payload);
        if (digest !== undefined) handler(digest);
      }),
  };
}

/**
 * The message on `DENYLIST_HEAD_SUBJECT`: the number in decimal digits and, only where denials are owed, a blank and for
 * how long, in ms. To listeners of earlier releases such a one is no head: they grow stale as they do without heads.
 */
export function encodeHead({ number, owedMs }: DenyListHead): Uint8Array {
  const owed = Math.ceil(owedMs);
  return new TextEncoder().encode(owed > 0 ? `${number} ${owed}` : String(number));
}

/** Undefined where the message is none: a head that cannot be read is no head, and the list grows stale. */
export function parseHead(payload: Uint8Array): DenyListHead | undefined {
  const match = /^(\d{1,15})(?: (\d{1,15}))?$/.exec(new TextDecoder().decode(payload));
  return match === null ? undefined : { number: Number(match[1]), owedMs: Number(match[2] ?? 0) };
}

/** The message on `DENYLIST_DIGEST_SUBJECT`: number, horizon and digest, with blanks between. */
export function encodeDigest({ number, horizon, digest }: DenyListDigest): Uint8Array {
  return new TextEncoder().encode(`${number} ${horizon} ${digest}`);
}

/** Undefined where the message is none. */
export function parseDigest(payload: Uint8Array): DenyListDigest | undefined {
  const match = /^(\d{1,15}) (\d{1,10}) ([0-9a-f]{16})$/.exec(new TextDecoder().decode(payload));
  if (match === null) return undefined;
  const [, number, horizon, digest = ''] = match;
  return { number: Number(number), horizon: Number(horizon), digest };
}
