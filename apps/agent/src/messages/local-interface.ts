import { randomBytes } from 'node:crypto';
import { lstat, rename, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileCalls } from '../files/file-calls.ts';
import { within } from '../pause.ts';
import type { Inbox, Incoming } from './inbox.ts';
import { MessageError, type MessageErrorCode } from './message-error.ts';

export type LocalInterfaceOptions = {
  /** Path of the Unix socket; what lies there is replaced. */
  readonly path: string;
  /** Who may connect besides the agent's own user: a group, by its number. */
  readonly group?: number | undefined;
  /** Largest payload, bytes. */
  readonly payloadBytes: number;
  /** Resolves with the message's number once it is on the disk. @throws MessageError */
  readonly publish: (topic: string, payload: Buffer) => Promise<number>;
  readonly inbox: Inbox;
};

const MESSAGES = '/v1/messages';
/** What a workload may leave unread, bytes. */
const UNREAD_BYTES = 4 * 1024 * 1024;
const FAREWELL_MS = 5000;
const STATUS: Readonly<Record<MessageErrorCode, number>> = {
  'bad-topic': 400,
  'bad-request': 400,
  'too-large': 413,
  'queue-full': 507,
  disk: 507,
  stopping: 503,
  'no-agent': 503,
};

/**
 * What workloads of the device talk to, HTTP over a Unix socket: `POST /v1/messages/<topic>` answers 202 once the message
 * is on the disk; `GET /v1/messages[/<prefix>]` streams what comes down, one JSON object in each line.
 */
export class LocalInterface implements AsyncDisposable {
  readonly #options: LocalInterfaceOptions;
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();
  readonly #running = new Set<Promise<void>>();
  #socket: FileId | undefined;

  private constructor(options: LocalInterfaceOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      const running = this.#answer(request, response).finally(() => this.#running.delete(running));
      this.#running.add(running);
    });
  }

  /**
   * Listens on a socket of another name first, and moves it into place with its mode and group: the path never leads
   * to a socket that others may not use or that nobody serves.
   * @throws Error if no socket can be made there
   */
  static async open(options: LocalInterfaceOptions): Promise<LocalInterface> {
    const { path, group } = options;
    requireShort(path);
    const local = new LocalInterface(options);
    // no longer than the path itself may be
    const made = join(dirname(path), `.${randomBytes(4).toString('hex')}`);
    try {
      await local.#listen(made);
      if (group !== undefined) await fileCalls.grant(made, 0o660, group);
      local.#socket = await fileId(made);
      await rename(made, path);
    } catch (error) {
      local.#server.close();
      throw error;
    }
    return local;
  }

  async #listen(path: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    // The socket is bound within the call, so the mask applies to it alone.
    const before = process.umask(0o177);
    try {
      this.#server.listen(path, resolve);
    } finally {
      process.umask(before);
    }
    await promise;
  }

  /** Sends the responses that are due, and removes the socket unless another process has replaced it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { path } = this.#options;
    const found = await fileId(path).catch(() => undefined);
    if (found?.ino === this.#socket?.ino && found?.dev === this.#socket?.dev)
      await rm(path, { force: true }).catch(() => {});
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const stream of this.#streams) stream.end();
    await within(FAREWELL_MS, Promise.all(this.#running));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const topic = topicOf(request);
      if (request.method === 'GET') return this.#stream(topic, response);
      if (request.method !== 'POST')
        throw new MessageError('bad-request', 'method', `"${request.method}" is neither POST nor GET`);
      const payload = await this.#body(request);
      const number = await this.#options.publish(topic, payload);
      response.writeHead(202, { 'content-type': 'application/json' }).end(`${JSON.stringify({ number })}\n`);
    } catch (error) {
      refuse(response, error);
    }
  }

  #stream(prefix: string, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    response.flushHeaders();
    const take = ({ topic, payload }: Incoming) => {
      response.write(`${JSON.stringify({ topic, payload: payload.toString('base64') })}\n`);
      // it does not read: it holds no memory of the agent's
      if (response.writableLength > UNREAD_BYTES) response.destroy();
    };
    const listening = this.#options.inbox.listen({ prefix, take });
    this.#streams.add(response);
    response.on('close', () => {
      listening[Symbol.dispose]();
      this.#streams.delete(response);
    });
  }

  async #body(request: IncomingMessage): Promise<Buffer> {
    const { payloadBytes } = this.#options;
    const tooLarge = (size: number) =>
      new MessageError('too-large', 'payload', `${size} bytes, no more than ${payloadBytes} may be`);
    const told = Number(request.headers['content-length'] ?? 0);
    if (told > payloadBytes) throw tooLarge(told);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > payloadBytes) throw tooLarge(size);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }
}

/** unix(7): nobody could connect to a socket at a longer path, though it can be moved there. */
const LONGEST_PATH_BYTES = 107;

/** @throws Error as `listen` would */
function requireShort(path: string): void {
  const size = Buffer.byteLength(path);
  if (size > LONGEST_PATH_BYTES)
    throw new Error(
      `listen EINVAL: ${path} has ${size} bytes, and the path of a socket at most ${LONGEST_PATH_BYTES}`,
    );
}

type FileId = { readonly dev: bigint; readonly ino: bigint };

async function fileId(path: string): Promise<FileId> {
  return lstat(path, { bigint: true });
}

/** What follows `/v1/messages/`, decoded. */
function topicOf({ url = '' }: IncomingMessage): string {
  const [pathname = ''] = url.split('?');
  if (pathname === MESSAGES) return '';
  if (!pathname.startsWith(`${MESSAGES}/`))
    throw new MessageError('bad-request', 'path', `"${pathname.slice(0, 64)}" is not below ${MESSAGES}`);
  try {
    return decodeURIComponent(pathname.slice(MESSAGES.length + 1));
  } catch (cause) {
    throw new MessageError('bad-topic', 'topic', 'not percent-encoded UTF-8', cause);
  }
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const { code, field, message } =
    error instanceof MessageError ? error : new MessageError('disk', 'message', String(error), error);
  const status = STATUS[code];
  response
    .writeHead(status, { 'content-type': 'application/problem+json', connection: 'close' })
    .end(`${JSON.stringify({ type: 'about:blank', status, code, field, detail: message })}\n`);
}
