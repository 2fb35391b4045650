import { join } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { mountSmallDisk } from '@signet/tests/servers/small-disk';
import { describe, expect, it, vi } from 'vitest';
import { openBrokerFixture } from './fixture.ts';

const mount = requireServer('mount');

describe.skipIf(mount === '')('the broker on a disk that is full', () => {
  it('acknowledges nothing that it cannot store, keeps sessions, and stores and acknowledges once there is room', async () => {
    using disk = mountSmallDisk(8);
    vi.stubEnv('TMPDIR', disk.path);
    await using broker = await openBrokerFixture({ env: { SIGNET_MQTT_STORE_SECONDS: '120' } });
    vi.unstubAllEnvs();
    expect(broker.fixture.dataDir.startsWith(join(disk.path, ''))).toBe(true);
    const device = await broker.connected(broker.fixture.pki.operational('acme', 'dev-1'));
    let isClosed = false;
    device.on('close', () => {
      isClosed = true;
    });
    await device.publishAsync('d/acme/dev-1/up/x', 'before', { qos: 1 });
    const acknowledged: string[] = [];
    const publish = async (text: string) => {
      await device.publishAsync('d/acme/dev-1/up/x', text, { qos: 1 });
      acknowledged.push(text);
    };
    disk.fill();
    // what is already in the write-ahead log's file has room; soon nothing has
    let n = 0;
    const waiting: Promise<void>[] = [];
    await vi.waitFor(
      () => {
        disk.fill();
        waiting.push(publish(`${n++}-${'x'.repeat(20_000)}`));
        expect(broker.fixture.deps.bus.failure()).toMatch(/full/);
      },
      { timeout: 60_000, interval: 20 },
    );
    const late = publish('while full');
    await vi.waitFor(async () =>
      expect((await broker.fixture.deps.health.report()).checks.store?.reason).toMatch(/full/),
    );
    expect(acknowledged).not.toContain('while full');
    disk.free();
    await Promise.all([...waiting, late]);
    expect(acknowledged).toHaveLength(n + 1);
    await vi.waitFor(
      async () => expect((await broker.fixture.deps.health.report()).checks.store?.ok).toBe(true),
      {
        timeout: 20_000,
      },
    );
    expect(isClosed).toBe(false);
  }, 180_000);
});
