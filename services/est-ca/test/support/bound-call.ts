import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import type { EstCall, EstReply } from './est-client.ts';
import type { EstFixture } from './est-fixture.ts';

/**
 * A call whose body is made on the connection that it goes over, from that connection's channel binding: tls-unique on
 * TLS 1.2, tls-exporter on TLS 1.3, in base64.
 */
export async function boundCall(
  est: EstFixture,
  version: 'TLSv1.2' | 'TLSv1.3',
  make: (binding: string) => EstCall,
): Promise<EstReply> {
  const probe = make('');
  const socket = connect({
    host: '127.0.0.1',
    port: est.service.estPort,
    ca: est.anchors,
    minVersion: version,
    maxVersion: version,
    ...(probe.identity === undefined
      ? {}
      : {
          cert: probe.identity.certificate,
          key: probe.identity.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
        }),
  });
  await once(socket, 'secureConnect');
  const { path, body, headers, basic } = make(bindingOf(socket));
  const { promise, resolve, reject } = Promise.withResolvers<EstReply>();
  const outgoing = request(
    {
      path,
      method: 'POST',
      headers: { Host: 'localhost', 'User-Agent': 'test', ...headers },
      ...(basic === undefined ? {} : { auth: basic.join(':') }),
      createConnection: () => socket,
    },
    (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        socket.destroy();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          body: Buffer.concat(chunks).toString('latin1'),
        });
      });
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

function bindingOf(socket: TLSSocket): string {
  const binding =
    socket.getProtocol() === 'TLSv1.3'
      ? socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
      : socket.getFinished();
  return (binding ?? Buffer.alloc(0)).toString('base64');
}
