import { randomUUID } from 'node:crypto';
import { requireServer } from '@signet/tests/servers';
import { describe, vi } from 'vitest';
import { queueScenes } from './queue-scenes.ts';

const nats = requireServer('nats');
const mongo = requireServer('mongo');

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe.skipIf(nats === '' || mongo === '')('on servers', () => {
  queueScenes('NATS, and a server that speaks MongoDB’s protocol', () => {
    const store = new URL(mongo);
    store.pathname = `/queues-${randomUUID().slice(0, 8)}`;
    return { bus: nats, store: store.href };
  });
});
