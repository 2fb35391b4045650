import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { ApiClient } from '../src/api-client.ts';

it('a server that drips its answer does not hold a command for ever', async () => {
  const timers: NodeJS.Timeout[] = [];
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    timers.push(setInterval(() => response.write(' '), 20));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const api = new ApiClient({ url, token: 'x', account: 'acme' }, undefined, 300);
  await expect(api.get('/v1/status')).rejects.toMatchObject({
    message: `${url}: no whole answer within 0.3 s`,
  });
  for (const timer of timers) clearInterval(timer);
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});
