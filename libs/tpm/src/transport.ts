import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, u8, u32 } from '@signet/attestation';
import { TpmError } from './tpm-error.ts';

/** A way to a TPM: one command, one response, one at a time. */
export interface TpmTransport extends AsyncDisposable {
  /** @throws TpmError `unreachable` */
  exchange(command: Uint8Array): Promise<Uint8Array>;
}

/** The kernel's resource manager, by which several processes share one TPM. */
export const DEFAULT_TCTI = 'device:/dev/tpmrm0';
const MAX_RESPONSE = 4096;

/**
 * Opens a TPM by its TCTI name, as tpm2-tools and tpm2-openssl know it: `device:<path>`, or, for one in software,
 * `swtpm:host=<h>,port=<p>` or `mssim:host=<h>,port=<p>`.
 * @throws TpmError `bad-tcti`, `unreachable`
 */
export function openTransport(tcti: string): Promise<TpmTransport> {
  const at = tcti.indexOf(':');
  const [kind, rest] = at < 0 ? [tcti, ''] : [tcti.slice(0, at), tcti.slice(at + 1)];
  if (kind === 'device') return openDevice(rest === '' ? '/dev/tpmrm0' : rest);
  if (kind === 'swtpm' || kind === 'mssim') {
    const options = new Map(rest.split(',').map((part) => part.split('=', 2) as [string, string]));
    const port = Number(options.get('port') ?? 2321);
    if (Number.isInteger(port) && port > 0 && port < 65_536)
      return openSocket(options.get('host') ?? '127.0.0.1', port, kind === 'mssim' ? simulator : bare);
  }
  throw new TpmError(
    'bad-tcti',
    `tpm: "${tcti}" is none of device:<path>, swtpm:host=<host>,port=<port>, mssim:host=<host>,port=<port>`,
  );
}

async function openDevice(path: string): Promise<TpmTransport> {
  const unreachable = (cause: unknown) =>
    new TpmError('unreachable', `tpm: ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  const file = await open(path, 'r+').catch((cause: unknown) => {
    throw unreachable(cause);
  });
  return {
    async exchange(command) {
      try {
        await file.write(command, 0, command.length, null);
        const response = Buffer.alloc(MAX_RESPONSE);
        const { bytesRead } = await file.read(response, 0, response.length, null);
        return new Uint8Array(response.subarray(0, bytesRead));
      } catch (cause) {
        throw unreachable(cause);
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** How commands and responses stand on a connection. */
type Framing = {
  readonly framed: (command: Uint8Array) => Uint8Array;
  /** The response, once all of it is there. */
  readonly response: (heard: Buffer) => Uint8Array | undefined;
};

const bare: Framing = {
  framed: (command) => command,
  response: (heard) =>
    heard.length < 6 || heard.length < heard.readUInt32BE(2) ? undefined : new Uint8Array(heard),
};

/** The protocol of the reference implementation's simulator: TPM_SEND_COMMAND at locality 0; a status follows. */
const simulator: Framing = {
  framed: (command) => join(u32(8), u8(0), u32(command.length), command),
  response(heard) {
    const end = heard.length < 4 ? Number.POSITIVE_INFINITY : 4 + heard.readUInt32BE(0);
    return heard.length < end + 4 ? undefined : new Uint8Array(heard.subarray(4, end));
  },
};

async function openSocket(host: string, port: number, { framed, response }: Framing): Promise<TpmTransport> {
  const socket = connect({ host, port });
  const unreachable = (reason: string, cause?: unknown) =>
    new TpmError('unreachable', `tpm: ${host}:${port}: ${reason}`, { cause });
  let waiting: PromiseWithResolvers<Uint8Array> | undefined;
  let heard = Buffer.alloc(0);
  const opened = Promise.withResolvers<void>();
  socket.once('connect', () => opened.resolve());
  const fail = (error: TpmError) => {
    opened.reject(error);
    waiting?.reject(error);
    waiting = undefined;
  };
  socket.on('error', (cause) => fail(unreachable(cause.message, cause)));
  socket.on('close', () => fail(unreachable('the connection closed')));
  socket.on('data', (chunk) => {
    heard = Buffer.concat([heard, chunk]);
    const answer = response(heard);
    if (answer === undefined) return;
    heard = Buffer.alloc(0);
    waiting?.resolve(answer);
    waiting = undefined;
  });
  await opened.promise;
  return {
    exchange(command) {
      if (socket.destroyed) throw unreachable('the connection is closed');
      waiting = Promise.withResolvers();
      socket.write(framed(command));
      return waiting.promise;
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}
