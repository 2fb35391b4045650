import { randomUUID } from 'node:crypto';
import { type Repetition, repeatedly } from '@signet/async';

import {
  applyTableSteps,
  openDatabase,
  type SqliteDatabase,
  SqliteError,
  type Statement,
  type TableStep,
} from '@signet/sqlite';
import {
  type Appended,
  type Claim,
  MessageHeader,
  type OpenedSession,
  type QueuedMessage,
  SessionRecord,
  type SessionStore,
  SessionStoreError,
  type StoredMessage,
  type StoredWill,
} from '../domain/session/session-store.ts';

/** How many characters of ids are remembered: those of the last messages that may come again. */
const REMEMBERED = 600;

const SCHEMA = [
  // `next`: the whole `seq` of the message that comes next; `sent`: that of the last one that may have been sent
  `CREATE TABLE IF NOT EXISTS mqtt_session (
    key TEXT PRIMARY KEY,
    epoch TEXT NOT NULL,
    record TEXT NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL DEFAULT 1,
    sent REAL NOT NULL DEFAULT 0,
    ids TEXT NOT NULL DEFAULT ''
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS mqtt_queue (
    session TEXT NOT NULL,
    seq REAL NOT NULL,
    expires INTEGER,
    bytes INTEGER NOT NULL,
    header TEXT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (session, seq)
  )`,
  'CREATE INDEX IF NOT EXISTS mqtt_queue_expires ON mqtt_queue (expires)',
  `CREATE TABLE IF NOT EXISTS mqtt_unreleased (
    session TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (session, id)
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS mqtt_will (
    key TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    node TEXT NOT NULL,
    header TEXT NOT NULL,
    payload BLOB NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS mqtt_retained (
    account TEXT NOT NULL,
    topic TEXT NOT NULL,
    header TEXT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (account, topic)
  )`,
  `CREATE TRIGGER IF NOT EXISTS mqtt_queue_in AFTER INSERT ON mqtt_queue BEGIN
    UPDATE mqtt_session SET messages = messages + 1, bytes = bytes + NEW.bytes WHERE key = NEW.session;
  END`,
  `CREATE TRIGGER IF NOT EXISTS mqtt_queue_out AFTER DELETE ON mqtt_queue BEGIN
    UPDATE mqtt_session SET messages = messages - 1, bytes = bytes - OLD.bytes WHERE key = OLD.session;
  END`,
];
/** Changes of these tables since the first release that had them, the oldest first; new ones go to the end. */
const SCHEMA_STEPS: readonly TableStep[] = [];
/** How often messages that waited in vain are looked for, and how many are removed in one write. */
const SWEEP_EVERY_MS = 3_600_000;
const SWEPT_AT_ONCE = 500;
const ERASED_AT_ONCE = 200;

const INSERT = 'INSERT INTO mqtt_queue (session, seq, expires, bytes, header, payload)';

type Row = { readonly header: string; readonly payload: Uint8Array };
type SessionRow = {
  readonly epoch: string;
  readonly record: string;
  readonly next: number;
  readonly sent: number;
  readonly ids: string;
};

/**
 * Sessions of a node that is alone, in a SQLite file of its own: writes are committed as groups by its writer thread,
 * reads are synchronous. A node that is started again finds all of it.
 * @throws SqliteError `newer-schema` where a later release has changed its tables
 */
export async function openSqliteSessions(options: {
  readonly path: string;
  /** How long a message waits for its device, s. */
  readonly messageSeconds: number;
  readonly now: () => number;
}): Promise<SessionStore & AsyncDisposable> {
  const database = openDatabase(options.path);
  await applyTableSteps(database, 'mqtt-sessions', {
    base: SCHEMA.map((sql) => ({ sql })),
    steps: SCHEMA_STEPS,
  });
  return new SqliteSessions(database, options);
}

/** One node has all sessions of this store. */
const ALONE: Claim = { claim: 0, from: undefined };

class SqliteSessions implements SessionStore, AsyncDisposable {
  readonly redis = undefined;
  readonly #database: SqliteDatabase;
  readonly #messageMs: number;
  readonly #now: () => number;
  /** Messages of devices that never come back are removed when their time is over. */
  readonly #sweeping: Repetition;
  /** Reads see what is committed: who subscribes waits for what is being retained. */
  #retaining: Promise<unknown> = Promise.resolve();

  constructor(database: SqliteDatabase, options: { messageSeconds: number; now: () => number }) {
    this.#database = database;
    this.#messageMs = options.messageSeconds * 1000;
    this.#now = options.now;
    // a write that fails is told by `failure`, and tried again an hour later
    this.#sweeping = repeatedly(() => this.#sweep(), { everyMs: SWEEP_EVERY_MS, onError: () => {} });
  }

  async ready(): Promise<void> {}

  failure(): string | undefined {
    return this.#database.failure();
  }

  async find(key: string): Promise<SessionRecord | undefined> {
    const row = this.#session(key);
    return row && recordOf(row);
  }

  adopt(key: string): Promise<SessionRecord | undefined> {
    return this.find(key);
  }

  async claim(): Promise<Claim> {
    return ALONE;
  }

  async open(key: string): Promise<OpenedSession> {
    const known = this.#session(key);
    if (known !== undefined) {
      const sql = 'SELECT id FROM mqtt_unreleased WHERE session = ?';
      const unreleased = this.#read<{ id: number }>(sql, [key]).map(({ id }) => id);
      return { record: recordOf(known), isPresent: true, sentUpTo: known.sent, unreleased };
    }
    const record: SessionRecord = { epoch: randomUUID(), subscriptions: [] };
    const sql = 'INSERT OR IGNORE INTO mqtt_session (key, epoch, record) VALUES (?, ?, ?)';
    await this.#write([{ sql, params: [key, record.epoch, JSON.stringify(record)] }]);
    // another connection may have begun it meanwhile
    if (this.#session(key)?.epoch !== record.epoch) return await this.open(key);
    return { record, isPresent: false, sentUpTo: 0, unreleased: [] };
  }

  async end(key: string) {
    if (this.#session(key) !== undefined)
      await this.#write([
        { sql: 'DELETE FROM mqtt_session WHERE key = ?', params: [key] },
        { sql: 'DELETE FROM mqtt_queue WHERE session = ?', params: [key] },
        { sql: 'DELETE FROM mqtt_unreleased WHERE session = ?', params: [key] },
      ]);
    return ALONE;
  }

  subscribe(key: string, epoch: string, added: SessionRecord['subscriptions']): Promise<void> {
    return this.#change(key, epoch, ({ subscriptions, ...record }) => ({
      ...record,
      subscriptions: [
        ...subscriptions.filter(({ filter }) => !added.some((one) => one.filter === filter)),
        ...added,
      ],
    }));
  }

  unsubscribe(key: string, epoch: string, filters: readonly string[]): Promise<void> {
    return this.#change(key, epoch, ({ subscriptions, ...record }) => ({
      ...record,
      subscriptions: subscriptions.filter(({ filter }) => !filters.includes(filter)),
    }));
  }

  async append(
    key: string,
    epoch: string,
    message: StoredMessage,
    { limits, id, isSent = false }: Parameters<SessionStore['append']>[3],
  ): Promise<Appended> {
    const { length } = message.payload;
    const mark = id === undefined ? '' : `${id};`;
    const unit: Statement[] = [
      {
        sql: 'DELETE FROM mqtt_queue WHERE session = ? AND expires <= ?',
        params: [key, this.#now()],
      },
      {
        sql: `UPDATE mqtt_session SET next = next + 1, ids = substr(ids || ?, -${REMEMBERED}),
          sent = CASE WHEN ? THEN next ELSE sent END
          WHERE key = ? AND epoch = ? AND messages < ? AND bytes + ? <= ? AND (? = '' OR instr(ids, ?) = 0)`,
        params: [mark, isSent ? 1 : 0, key, epoch, limits.messages, length, limits.bytes, mark, mark],
        expectChanges: 1,
      },
      {
        sql: `${INSERT} SELECT key, next - 1, ?, ?, ?, ? FROM mqtt_session WHERE key = ?`,
        params: [...this.#columns(message), key],
      },
    ];
    if (await this.#attempt(unit)) return { outcome: 'queued', node: undefined };
    const row = this.#session(key);
    if (row?.epoch !== epoch) return { outcome: 'gone' };
    return mark !== '' && row.ids.includes(mark)
      ? { outcome: 'repeated', node: undefined }
      : { outcome: 'full' };
  }

  async take(key: string, epoch: string, after: number, limit: number) {
    const session = this.#session(key);
    if (session?.epoch !== epoch) return { messages: [], upTo: after };
    const rows = this.#read<Row & { seq: number; expires: number | null }>(
      'SELECT seq, expires, header, payload FROM mqtt_queue WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?',
      [key, after, limit],
    );
    const last = rows.at(-1)?.seq ?? after;
    const upTo = rows.length === limit ? last : Math.max(last, session.next - 1);
    const expired = rows.filter(({ expires }) => expires !== null && expires <= this.#now());
    const messages = rows.filter((row) => !expired.includes(row)).map(queuedOf);
    if (expired.length > 0)
      await this.remove(
        key,
        expired.map(({ seq }) => seq),
      );
    // nothing is sent that would later be taken for new
    if (messages.length > 0 && last > session.sent)
      await this.#write([
        {
          sql: 'UPDATE mqtt_session SET sent = max(sent, ?) WHERE key = ? AND epoch = ?',
          params: [last, key, epoch],
        },
      ]);
    return { messages, upTo };
  }

  async remove(key: string, seqs: readonly number[]): Promise<void> {
    const sql = 'DELETE FROM mqtt_queue WHERE session = ? AND seq = ?';
    await this.#write(seqs.map((seq) => ({ sql, params: [key, seq] })));
  }

  async leave(key: string, epoch: string, left: Parameters<SessionStore['leave']>[2]) {
    const update = 'UPDATE mqtt_session SET next = max(next, ?), sent = ? WHERE key = ? AND epoch = ?';
    await this.#attempt([
      { sql: update, params: [left.next, left.sentUpTo, key, epoch], expectChanges: 1 },
      ...left.messages.map((message) => ({
        sql: `${INSERT} VALUES (?, ?, ?, ?, ?, ?)`,
        params: [key, message.seq, ...this.#columns(message)],
      })),
    ]);
    return { node: undefined };
  }

  async waiting(key: string) {
    const sql = 'SELECT messages, bytes FROM mqtt_session WHERE key = ?';
    const [row] = this.#read<{ messages: number; bytes: number }>(sql, [key]);
    return row ?? { messages: 0, bytes: 0 };
  }

  async receive(key: string, epoch: string, packetId: number): Promise<void> {
    const sql = `INSERT OR IGNORE INTO mqtt_unreleased (session, id)
      SELECT key, ? FROM mqtt_session WHERE key = ? AND epoch = ?`;
    await this.#write([{ sql, params: [packetId, key, epoch] }]);
  }

  async release(key: string, packetId: number): Promise<void> {
    const sql = 'DELETE FROM mqtt_unreleased WHERE session = ? AND id = ?';
    await this.#write([{ sql, params: [key, packetId] }]);
  }

  async putWill({ key, session, node, payload, ...header }: StoredWill): Promise<void> {
    const sql = `INSERT INTO mqtt_will (key, session, node, header, payload) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET session = excluded.session, node = excluded.node,
        header = excluded.header, payload = excluded.payload`;
    await this.#write([{ sql, params: [key, session, node, JSON.stringify(header), payload] }]);
  }

  async dropWill(key: string, session: string): Promise<void> {
    const sql = 'DELETE FROM mqtt_will WHERE key = ? AND session = ?';
    await this.#write([{ sql, params: [key, session] }]);
  }

  async wills(): Promise<readonly StoredWill[]> {
    const sql = 'SELECT key, session, node, header, payload FROM mqtt_will LIMIT 10000';
    return this.#read<Row & { key: string; session: string; node: string }>(sql).map(
      ({ key, session, node, ...row }) => ({ ...messageOf(row), key, session, node }),
    );
  }

  async retain(account: string, { payload, ...header }: StoredMessage): Promise<void> {
    const written = this.#write([
      payload.length === 0
        ? {
            sql: 'DELETE FROM mqtt_retained WHERE account = ? AND topic = ?',
            params: [account, header.topic],
          }
        : {
            sql: 'INSERT OR REPLACE INTO mqtt_retained (account, topic, header, payload) VALUES (?, ?, ?, ?)',
            params: [account, header.topic, JSON.stringify(header), payload],
          },
    ]);
    this.#retaining = written.catch(() => {});
    await written;
  }

  async retained(account: string): Promise<readonly StoredMessage[]> {
    await this.#retaining;
    const sql = 'SELECT header, payload FROM mqtt_retained WHERE account = ? ORDER BY topic';
    return this.#read<Row>(sql, [account]).map(messageOf);
  }

  async erase(account: string): Promise<number> {
    const within = [`${account}/`, `${account}0`];
    const sql = `SELECT key FROM mqtt_session WHERE key >= ? AND key < ? LIMIT ${ERASED_AT_ONCE}`;
    let erased = 0;
    for (;;) {
      const rows = this.#read<{ readonly key: string }>(sql, within);
      for (const { key } of rows) await this.end(key);
      erased += rows.length;
      if (rows.length < ERASED_AT_ONCE) break;
    }
    await this.#write([
      { sql: 'DELETE FROM mqtt_will WHERE key >= ? AND key < ?', params: within },
      { sql: 'DELETE FROM mqtt_retained WHERE account = ?', params: [account] },
    ]);
    return erased;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeping[Symbol.asyncDispose]();
    await this.#database[Symbol.asyncDispose]();
  }

  /** A page in each write, so that what devices wait for comes between. */
  async #sweep(): Promise<void> {
    const due = 'SELECT 1 AS due FROM mqtt_queue WHERE expires <= ? LIMIT 1';
    const sql = `DELETE FROM mqtt_queue WHERE rowid IN
      (SELECT rowid FROM mqtt_queue WHERE expires <= ? LIMIT ${SWEPT_AT_ONCE})`;
    for (const now = this.#now(); this.#read(due, [now]).length > 0; )
      await this.#database.write([{ sql, params: [now] }]);
  }

  /** Reads, changes and writes, until nobody has written between. */
  async #change(key: string, epoch: string, change: (record: SessionRecord) => SessionRecord): Promise<void> {
    for (;;) {
      const row = this.#session(key);
      if (row?.epoch !== epoch) return;
      const sql = 'UPDATE mqtt_session SET record = ? WHERE key = ? AND record = ?';
      const params = [JSON.stringify(change(recordOf(row))), key, row.record];
      if (await this.#attempt([{ sql, params, expectChanges: 1 }])) return;
    }
  }

  #columns({ payload, seq: _, ...header }: StoredMessage & { readonly seq?: unknown }) {
    const expires = Math.min(header.expiresAt ?? Number.POSITIVE_INFINITY, this.#now() + this.#messageMs);
    return [expires, payload.length, JSON.stringify(header), payload];
  }

  #session(key: string): SessionRow | undefined {
    return this.#read<SessionRow>('SELECT epoch, record, next, sent, ids FROM mqtt_session WHERE key = ?', [
      key,
    ])[0];
  }

  #read<R extends object>(sql: string, params: readonly (string | number)[] = []): R[] {
    try {
      return this.#database.read(sql, params) as unknown as R[];
    } catch (cause) {
      throw new SessionStoreError('sessions: read failed', { cause });
    }
  }

  async #write(unit: readonly Statement[]): Promise<void> {
    try {
      await this.#database.write(unit);
    } catch (cause) {
      throw new SessionStoreError('sessions: write failed', { cause });
    }
  }

  /** False: a statement did not change what it was to change, and nothing is written. */
  async #attempt(unit: readonly Statement[]): Promise<boolean> {
    try {
      await this.#database.write(unit);
      return true;
    } catch (cause) {
      if (cause instanceof SqliteError && cause.code === 'unexpected-changes') return false;
      throw new SessionStoreError('sessions: write failed', { cause });
    }
  }
}

function recordOf({ record }: SessionRow): SessionRecord {
  return SessionRecord.parse(JSON.parse(record));
}

function messageOf({ header, payload }: Row): StoredMessage {
  return { ...MessageHeader.parse(JSON.parse(header)), payload: Buffer.from(payload) };
}

function queuedOf(row: Row & { readonly seq: number }): QueuedMessage {
  return { ...messageOf(row), seq: row.seq };
}
