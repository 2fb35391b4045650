import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { MQTT_DOWN_STREAM } from '@signet/contracts';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestApi } from './api.ts';
import { serveCommandOwners } from './command-owners.ts';

const binary = requireServer('nats-server');
const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

describe.skipIf(binary === '')('while the stream of messages for devices takes nothing', () => {
  it('a command is answered 503 "full", and is sent once there is room', { timeout: 60_000 }, async () => {
    const nats = stack.use(await startNats(binary));
    const api = stack.use(await startTestApi({ fixture: { bus: nats.url, serve: [], loaded: false } }));
    stack.use(await serveCommandOwners(api.fixture.deps.bus));
    const nc = await connect({ servers: nats.url });
    stack.defer(() => nc.close());
    const { streams } = await jetstreamManager(nc);
    const { config } = await streams.info(MQTT_DOWN_STREAM);
    const send = () =>
      api.call('POST', '/v1/accounts/acme/devices/dev-1/commands', { body: { name: 'reboot' } });

    await streams.update(MQTT_DOWN_STREAM, { ...config, max_bytes: 1 });
    const refused = await send();
    expect(refused).toMatchObject({ status: 503, body: { code: 'full' } });
    expect(refused.body.detail).toMatch(/is full/);
    await streams.update(MQTT_DOWN_STREAM, config);
    expect(await send()).toMatchObject({ status: 201 });
  });
});
