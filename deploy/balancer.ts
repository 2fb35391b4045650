import { connect, createServer, type Socket } from 'node:net';

/** Where connections go, by port of this machine. */
export type Balancer = AsyncDisposable & { readonly port: number };

/**
 * Passes TCP connections on to replicas by turns, as a load balancer in front of a listener does: TLS is untouched, and
 * a replica that refuses the connection is passed over. For one machine and for tests; a cluster has its own.
 */
export async function startBalancer(port: number, replicas: readonly number[]): Promise<Balancer> {
  const open = new Set<Socket>();
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  };
  let turn = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (incoming) => {
    keep(incoming);
    // before a replica is chosen, too: a client may go away at once
    incoming.on('error', () => incoming.destroy());
    const first = turn++;
    const passOn = (tried: number): void => {
      const target = replicas[(first + tried) % replicas.length];
      if (target === undefined || tried === replicas.length) return void incoming.destroy();
      const outgoing = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      keep(outgoing);
      outgoing.once('connect', () => {
        outgoing.off('error', next);
        outgoing.on('error', () => outgoing.destroy());
        incoming.once('close', () => outgoing.destroy());
        outgoing.once('close', () => incoming.destroy());
        incoming.pipe(outgoing);
        outgoing.pipe(incoming);
      });
      const next = () => passOn(tried + 1);
      outgoing.once('error', next);
    };
    passOn(0);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
