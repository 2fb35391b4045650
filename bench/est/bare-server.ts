import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { deviceTlsOptions } from '@signet/pki';

/**
 * What mutual TLS alone costs: an https server of the same Node with the options of our device listeners, which reads
 * a request and answers 200. Takes `{cert, key}` as its first message.
 */
process.once('message', (identity: { readonly cert: string; readonly key: string }) => {
  const server = createServer(deviceTlsOptions(identity), (request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(200, { 'Content-Length': '0' }).end());
  });
  server.listen(0, '127.0.0.1', () => process.send?.({ value: (server.address() as AddressInfo).port }));
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ value: (user + system) / 1000 });
  });
});
process.on('disconnect', () => process.exit());
