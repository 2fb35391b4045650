import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { StandaloneProcess } from './child.ts';

async function folder(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'signet-urls-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return join(root, 'data');
}

it('reached by an IPv6 address, it says URLs that can be used, and its certificate holds for the address', async () => {
  await using signet = new StandaloneProcess(await folder(), {
    SIGNET_SERVER_NAMES: '[0:0::1],127.0.0.1',
    SIGNET_BIND: '::',
  });
  await signet.ready();
  for (const name of ['bootstrap', 'est', 'mqtt', 'gateway', 'crl'])
    expect(new URL(signet.url(name)).hostname).toBe('[::1]');
  const anchors = await fetch(`${signet.url('operators')}/account`).catch(() => undefined);
  expect(anchors?.status).toBe(401);
  const { port } = new URL(signet.url('est'));
  const socket = connect({ host: '::1', port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerX509Certificate();
  socket.destroy();
  expect(certificate?.checkIP('::1')).toBe('::1');
});

it('with URLs that devices could not use it says one line for each and exits 2', async () => {
  await using signet = new StandaloneProcess(await folder(), {
    SIGNET_SERVER_NAMES: 'https://signet.example',
    SIGNET_EST_URL: 'https://signet.example/est',
    SIGNET_MQTT_URL: 'signet.example:8883',
    SIGNET_EST_HTTP_URL: 'https://signet.example',
  });
  expect(await signet.ended()).toBe(2);
  const lines = signet.err.trimEnd().split('\n').slice(1);
  expect(lines.map((line) => /^ {2}(SIGNET_[A-Z_]+): must /.exec(line)?.[1]).sort()).toEqual([
    'SIGNET_EST_HTTP_URL',
    'SIGNET_EST_URL',
    'SIGNET_MQTT_URL',
    'SIGNET_SERVER_NAMES',
  ]);
});
