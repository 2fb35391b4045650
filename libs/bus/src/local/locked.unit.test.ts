import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openDatabase } from '@signet/sqlite';
import { expect, it, onTestFinished, vi } from 'vitest';
import { numbered } from '../../test/events.ts';
import { openLocalBus } from './open.ts';

it('stores what devices publish although another process holds the file for longer than its busy timeout', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'signet-locked-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'signet.db');
  await using database = openDatabase(path);
  await using bus = await openLocalBus({ database });
  const other = new DatabaseSync(path);
  onTestFinished(() => other.close());
  other.exec('BEGIN IMMEDIATE');

  const up = (deadlineMs: number) =>
    bus.send('signet.mqtt.acme.dev-1.up.a', Buffer.from('x'), { stored: true, deadlineMs });
  const down = (deadlineMs: number) =>
    bus.send('signet.mqtt.acme.dev-1.down.a', Buffer.from('x'), { stored: true, deadlineMs });
  const hasty = Promise.allSettled([up(50), down(50)]);
  const patient = Promise.all([down(60_000), bus.publish([numbered('dev-1', 1)])]);
  // the writer has given up once: from here on it is the retry that has to store them
  await vi.waitFor(() => expect(bus.failure()).toMatch(/locked/), { timeout: 30_000 });
  const later = up(60_000);
  for (const outcome of await hasty)
    expect(outcome).toMatchObject({ reason: { name: 'BusError', code: 'unavailable' } });
  other.exec('ROLLBACK');
  await patient;
  await later;
  expect(bus.failure()).toBeUndefined();
}, 90_000);
