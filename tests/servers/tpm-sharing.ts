import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { openTransport, type TpmTransport } from '@signet/tpm';
import { freePort } from './child.ts';

/**
 * Shares a TPM among connections as the kernel's /dev/tpmrm0 does: each has its own objects, swapped in for the command
 * that uses them and out after it, and gone when the connection ends. (swtpm takes one connection at a time and keeps
 * nothing apart, and a test has no kernel driver.) It speaks the simulator's protocol, the TCTI `mssim`, which keeps its
 * connection; that of swtpm makes a new one for each command.
 */
export async function shareTpm(upstream: string): Promise<AsyncDisposable & { readonly port: number }> {
  const tpm = await openTransport(upstream);
  const commands = await commandAttributes(tpm);
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.catch(() => {}).then(work);
    turn = result;
    return result;
  };
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => sockets.add(socket.once('close', () => sockets.delete(socket)));
  const server = createServer((socket) => serve(socket, tpm, commands, inTurn)).on('connection', keep);
  const control = createServer(agree).on('connection', keep);
  const port = await listenSideBySide(server, control);
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([closed(server), closed(control)]);
      await turn.catch(() => {});
      await tpm[Symbol.asyncDispose]();
    },
  };
}

/** The control channel, a port above: the one thing that is asked there, the locality, is as good as any other. */
function agree(socket: Socket): void {
  socket.on('data', () => socket.write(u32(0))).on('error', () => {});
}

async function listenSideBySide(server: Server, control: Server): Promise<number> {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    try {
      await listening(server, port);
      await listening(control, port + 1);
      return port;
    } catch (error) {
      if (tries === 10) throw error;
      if (server.listening) await closed(server);
    }
  }
}

function listening(server: Server, port: number): Promise<unknown> {
  server.listen(port, '127.0.0.1');
  return once(server, 'listening');
}

type CommandAttributes = ReadonlyMap<number, { readonly handles: number; readonly givesHandle: boolean }>;
type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

const FIRST_VIRTUAL = 0x80ff0000;
const isObject = (handle: number) => handle >>> 24 === 0x80;
const isSession = (handle: number) => handle >>> 24 === 0x02 || handle >>> 24 === 0x03;
const FLUSH = 0x165;
const CONTEXT_SAVE = 0x162;
const CONTEXT_LOAD = 0x161;
/** Before each command of the simulator's protocol: TPM_SEND_COMMAND, the locality, the length. */
const FRAME = 9;
const SESSION_END = 20;

function serve(socket: Socket, tpm: TpmTransport, commands: CommandAttributes, inTurn: InTurn): void {
  const contexts = new Map<number, Buffer>();
  const sessions = new Set<number>();
  let next = FIRST_VIRTUAL;
  let heard = Buffer.alloc(0);

  const send = async (command: Buffer) => Buffer.from(await tpm.exchange(command));
  const flush = (handle: number) => send(plain(FLUSH, u32(handle)));

  async function run(command: Buffer): Promise<Buffer> {
    const code = command.readUInt32BE(6);
    if (code === FLUSH) {
      const handle = command.readUInt32BE(10);
      sessions.delete(handle);
      if (!isObject(handle)) return send(command);
      return contexts.delete(handle) ? success : badHandle;
    }
    if (code === CONTEXT_SAVE) sessions.delete(command.readUInt32BE(10));
    const { handles = 0, givesHandle = false } = commands.get(code) ?? {};
    /** Real handle → virtual one. */
    const loaded = new Map<number, number>();
    try {
      for (let at = 10; at < 10 + 4 * handles; at += 4) {
        const handle = command.readUInt32BE(at);
        if (!isObject(handle)) continue;
        const context = contexts.get(handle);
        if (context === undefined) return badHandle;
        const answer = await send(plain(CONTEXT_LOAD, context));
        if (answer.readUInt32BE(6) !== 0) return answer;
        const real = answer.readUInt32BE(10);
        loaded.set(real, handle);
        command.writeUInt32BE(real, at);
      }
      const answer = await send(command);
      if (!givesHandle || answer.readUInt32BE(6) !== 0) return answer;
      const handle = answer.readUInt32BE(10);
      if (isSession(handle)) sessions.add(handle);
      if (!isObject(handle)) return answer;
      loaded.set(handle, next);
      answer.writeUInt32BE(next++, 10);
      return answer;
    } finally {
      for (const [real, virtual] of loaded) await putAway(real, virtual);
    }
  }

  /** Its state may have changed, and what has come to its end is gone already. */
  async function putAway(real: number, virtual: number): Promise<void> {
    const saved = await send(plain(CONTEXT_SAVE, u32(real)));
    if (saved.readUInt32BE(6) !== 0) contexts.delete(virtual);
    else {
      contexts.set(virtual, saved.subarray(10));
      await flush(real);
    }
  }

  socket.on('data', (chunk) => {
    heard = Buffer.concat([heard, chunk]);
    if (heard.length >= 4 && heard.readUInt32BE(0) === SESSION_END) socket.end();
    while (heard.length >= FRAME && heard.length >= FRAME + heard.readUInt32BE(5)) {
      const command = Buffer.from(heard.subarray(FRAME, FRAME + heard.readUInt32BE(5)));
      heard = heard.subarray(FRAME + command.length);
      inTurn(() => run(command)).then(
        (answer) => socket.write(Buffer.concat([u32(answer.length), answer, u32(0)])),
        () => socket.destroy(),
      );
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    inTurn(async () => {
      for (const handle of sessions) await flush(handle);
    }).catch(() => {});
  });
}

/** TPMA_CC of every command: how many handles it takes, and whether it gives one. */
async function commandAttributes(tpm: TpmTransport): Promise<CommandAttributes> {
  const CAP_COMMANDS = 2;
  const answer = Buffer.from(
    await tpm.exchange(plain(0x17a, Buffer.concat([u32(CAP_COMMANDS), u32(0x11f), u32(256)]))),
  );
  const found = new Map<number, { handles: number; givesHandle: boolean }>();
  for (let at = 19; at + 4 <= answer.length; at += 4) {
    const attributes = answer.readUInt32BE(at);
    found.set(attributes & 0xffff, {
      handles: (attributes >>> 25) & 7,
      givesHandle: (attributes >>> 28) % 2 === 1,
    });
  }
  return found;
}

function plain(code: number, parameters: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0x80, 0x01), u32(10 + parameters.length), u32(code), parameters]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const success = Buffer.concat([Buffer.of(0x80, 0x01), u32(10), u32(0)]);
/** TPM_RC_HANDLE, handle 1. */
const badHandle = Buffer.concat([Buffer.of(0x80, 0x01), u32(10), u32(0x18b)]);

async function closed(server: Server): Promise<void> {
  const done = once(server, 'close');
  server.close();
  await done;
}
