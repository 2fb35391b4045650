import { connect } from 'node:tls';
import type { RegistrationFixture } from './registration-fixture.ts';

export type LmpAnswer = { readonly status: number; readonly head: string; readonly text: string };

/** What `lmp-device-register` knows of its device; every value is text, tables nest by one. */
export type DeviceInfo = Readonly<
  Record<string, string | Readonly<Record<string, Readonly<Record<string, string>>>>>
>;

/**
 * Sends, byte for byte, what lmp-device-register sends: libcurl's HEAD as the ping, then its POST with JSON as
 * boost::property_tree writes it, on a connection of its own, without a client certificate.
 */
export class LmpClient {
  readonly #fixture: RegistrationFixture;
  readonly #header: string;

  constructor(fixture: RegistrationFixture, header: string) {
    this.#fixture = fixture;
    this.#header = header;
  }

  ping(): Promise<LmpAnswer> {
    return this.#exchange(`HEAD /sign HTTP/1.1\r\nHost: ${this.#host}\r\nAccept: */*\r\n\r\n`);
  }

  register(info: DeviceInfo): Promise<LmpAnswer> {
    return this.post(`${boostJson(info)}\n`);
  }

  post(body: string): Promise<LmpAnswer> {
    const head = [
      'POST /sign HTTP/1.1',
      `Host: ${this.#host}`,
      'Accept: */*',
      'Content-type: application/json',
      ...(this.#header === '' ? [] : [this.#header]),
      `Content-Length: ${Buffer.byteLength(body)}`,
    ];
    return this.#exchange(`${head.join('\r\n')}\r\n\r\n${body}`);
  }

  get #host(): string {
    return `localhost:${this.#fixture.port}`;
  }

  #exchange(bytes: string): Promise<LmpAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<LmpAnswer>();
    const socket = connect({
      ...{ host: '127.0.0.1', port: this.#fixture.port, servername: 'localhost' },
      ca: this.#fixture.base.fixture.pki.trustAnchors,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    let received = '';
    socket
      .setEncoding('utf8')
      .on('secureConnect', () => socket.write(bytes))
      .on('error', reject)
      .on('data', (chunk: string) => {
        received += chunk;
        const [head = '', ...rest] = received.split('\r\n\r\n');
        const text = rest.join('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        const isWhole = rest.length > 0 && (bytes.startsWith('HEAD') || Buffer.byteLength(text) >= length);
        if (!isWhole) return;
        socket.destroy();
        resolve({ status: Number(head.split(' ')[1]), head, text });
      });
    return promise;
  }
}

/** JSON as boost::property_tree::write_json writes it: four spaces, a slash escaped, nothing but strings and tables. */
function boostJson(value: unknown, indent = ''): string {
  if (typeof value === 'string') return JSON.stringify(value).replaceAll('/', '\\/');
  const inner = `${indent}    `;
  const members = Object.entries(value as object).map(
    ([name, child]) => `${inner}${JSON.stringify(name)}: ${boostJson(child, inner)}`,
  );
  return members.length === 0 ? '""' : `{\n${members.join(',\n')}\n${indent}}`;
}
