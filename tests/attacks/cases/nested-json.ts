import assert from 'node:assert/strict';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { SharedAttack, Target } from '../attack.ts';
import { onboardDevice } from '../device.ts';

const NESTED = Buffer.alloc(8 * 1024 * 1024, '[');
const SMALL = NESTED.subarray(0, 60_000);
const DEEP = /nested deeper than 32 levels/;
const LONG = /longer than \d+ bytes|too long/;

/** JSON that costs its reader seconds, at every listener that reads any. */
export const attack: SharedAttack = {
  number: 7,
  title: 'deeply nested or oversized JSON is refused with the limit that it breaks, at every listener',
  tries: 'megabytes of nested JSON keep the process busy for seconds',
  async run(target) {
    const { ports } = target;
    const { folder } = await onboardDevice(target, 'nested', 'nester');
    const identity = await folder.operational();
    assert(identity !== undefined);
    const device = { cert: identity.certificate, key: identity.key };
    const admin = { authorization: `Bearer ${target.operator.token}` };

    const config = { port: ports.admin, method: 'PUT', path: '/v1/accounts/nested/devices/nester/config' };
    await refused(target, { ...config, headers: admin }, NESTED, 400, DEEP);
    const group = { port: ports.admin, method: 'POST', path: '/v1/accounts/nested/groups' };
    await refused(target, { ...group, headers: admin }, NESTED, 413, LONG);
    await refused(target, { ...group, headers: admin }, SMALL, 400, DEEP);
    await refused(target, group, NESTED, 401, /unauthenticated/);

    await refused(
      target,
      { port: ports.gateway, method: 'PATCH', path: '/config', device },
      NESTED,
      400,
      DEEP,
    );
    await refused(
      target,
      { port: ports.gateway, method: 'POST', path: '/events', device },
      NESTED,
      413,
      LONG,
    );
    await refused(target, { port: ports.gateway, method: 'POST', path: '/events', device }, SMALL, 400, DEEP);

    const sign = { port: ports.bootstrap, method: 'POST', path: '/sign', isSecure: true };
    const token = { 'osf-token': 'none' };
    await refused(target, sign, NESTED, 401, /unauthenticated/);
    await refused(target, { ...sign, headers: token }, NESTED, 413, LONG);
    await refused(target, { ...sign, headers: token }, SMALL, 400, DEEP);

    const attestation = {
      port: ports.est,
      method: 'POST',
      path: '/.well-known/est/nested/attestation',
      device,
    };
    await refused(target, attestation, SMALL, 400, DEEP);
  },
};

type Asked = {
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly device?: { readonly cert: string; readonly key: string };
  readonly isSecure?: boolean;
};

/** Sends it, and holds the answer against what is expected. */
async function refused(
  { roots: ca }: Target,
  { port, method, path, headers, device, isSecure = device !== undefined }: Asked,
  body: Buffer,
  status: number,
  reason: RegExp,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; text: string }>();
  const options = {
    ...{ host: '127.0.0.1', port, method, path, agent: false, servername: 'localhost' },
    // told before it sends, a client reads why
    headers: {
      ...headers,
      ...{ 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' },
    },
  };
  const outgoing = isSecure ? tlsRequest({ ...options, ca, ...device }) : plainRequest(options);
  outgoing.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('end', () => {
      outgoing.destroy();
      resolve({ status: response.statusCode, text });
    });
  });
  outgoing.on('continue', () => outgoing.end(body));
  outgoing.on('error', reject);
  outgoing.flushHeaders();
  const answer = await promise;
  assert.equal(answer.status, status, `${method} ${path}: ${answer.status} ${answer.text}`);
  assert.match(answer.text, reason, `${method} ${path}`);
}
