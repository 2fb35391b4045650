import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { DeviceFolder, onboard } from '@signet/agent';
import { type DevEnv, startDevEnv, trustAnchors } from '@signet/dev-env';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { told } from './manufacturer.ts';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

/** A device that onboarded, with an idle connection to each of the HTTPS listeners. */
async function onboarded(id: string) {
  const { fingerprint } = told<{ fingerprint: string }>(
    await terminal.signet('factory', 'sign', '--new', id, '--json'),
  );
  await env.operator.post('/v1/accounts/acme/devices', { fingerprint });
  const folder = new DeviceFolder(join(terminal.folder, id));
  const operational = await onboard(folder);
  const bootstrap = {
    certificate: await readFile(join(terminal.folder, id, 'bootstrap.crt'), 'utf8'),
    key: await readFile(join(terminal.folder, id, 'bootstrap.key'), 'utf8'),
  };
  const ca = await trustAnchors(env.operator);
  const idle = async (name: 'est' | 'gateway' | 'bootstrap') => {
    const { certificate: cert, key } = name === 'bootstrap' ? bootstrap : operational;
    const socket = connect({ host: 'localhost', port: env.ports[name], ca, cert, key });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 404 /);
    return { name, socket };
  };
  return [await idle('est'), await idle('gateway'), await idle('bootstrap')];
}

it('F39 F72: one call ends the kept connections of a device at EST, gateway and bootstrap, and leaves those of others', async () => {
  const [one, other] = [await onboarded('cut-1'), await onboarded('cut-2')];
  const closed = [...one, ...other].map(({ name, socket }) => {
    return new Promise<string>((resolve) => void socket.once('close', () => resolve(name)));
  });
  const asked = { deviceIds: ['cut-1'], reason: 'stolen' };
  await env.operator.post('/v1/accounts/acme/devices/actions/block', asked);
  expect(await Promise.all(closed.slice(0, 3))).toEqual(['est', 'gateway', 'bootstrap']);
  for (const { socket } of other) {
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 /);
    socket.destroy();
  }
});
