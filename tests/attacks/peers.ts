import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** A peer that connects and does not go on; `closed` resolves when the server has closed its connection. */
export type Peer = { readonly socket: Socket; readonly closed: Promise<unknown> };

const DRIP_MS = 100;

/** A TCP connection from `from`, which on Linux is any address of 127.0.0.0/8. */
export async function connectFrom(port: number, from: string): Promise<Peer> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  // a reset is a way to be closed
  socket.on('error', () => {}).resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  return { socket, closed };
}

/** A TLS connection without a certificate: no listener refuses it before it has said what it wants. */
export async function connectSecurely(port: number, from: string, ca: string): Promise<Peer> {
  const { socket: raw } = await connectFrom(port, from);
  const socket = connectTls({ socket: raw, ca, servername: 'localhost' });
  socket.on('error', () => {}).resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'secureConnect');
  return { socket, closed };
}

/** Sends an byte every tenth of a second, and the rest never. */
export function drip({ socket }: Peer, bytes: Uint8Array): void {
  let sent = 0;
  const timer = setInterval(() => {
    if (sent < bytes.length - 1) socket.write(bytes.subarray(sent, ++sent));
  }, DRIP_MS);
  socket.once('close', () => clearInterval(timer));
}

/** The first flight of a TLS client. */
export async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}
