import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a port of 127.0.0.1 that can be cut. */
export type CuttableWay = AsyncDisposable & {
  readonly port: number;
  /** Ends what runs over it, and lets nobody through; `false`: from now on it is whole again. */
  cut(now: boolean): void;
};

/** Opens a port that leads to `port`. */
export async function openCuttableWay(port: number): Promise<CuttableWay> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((inside) => {
    if (isCut) {
      inside.destroy();
      return;
    }
    const outside = connect(port, '127.0.0.1');
    for (const socket of [inside, outside]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        inside.destroy();
        outside.destroy();
      });
    }
    inside.pipe(outside).pipe(inside);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('port: the system gave none');
  const cut = (now: boolean) => {
    isCut = now;
    if (now) for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    cut,
    async [Symbol.asyncDispose]() {
      cut(true);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
