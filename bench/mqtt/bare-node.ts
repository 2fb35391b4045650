import process from 'node:process';
import { createServer } from 'node:tls';
import { deviceTlsOptions } from '@signet/pki';
import type { Pki } from './broker-node.ts';

/**
 * What a TLS connection costs Node before there is any broker: a server with the options of our listener that accepts
 * whatever CONNECT it is sent. Told its certificate it listens and answers its port; any other message has it collect garbage.
 */
const CONNACK = Buffer.from([0x20, 2, 0, 0]);

process.on('message', (asked: { readonly server?: Pki['server'] }) => {
  if (asked.server === undefined) {
    globalThis.gc?.();
    process.send?.({ value: true });
    return;
  }
  const server = createServer(deviceTlsOptions(asked.server), (socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', ([first]) => {
      if (first === 0x10) socket.write(CONNACK);
      else socket.end();
    });
  });
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ value: (server.address() as { port: number }).port });
  });
});
process.on('disconnect', () => process.exit());
process.send?.({ value: true });
