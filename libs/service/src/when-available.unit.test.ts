import { BusError } from '@signet/bus';
import { StoreError } from '@signet/store';
import { expect, test } from 'vitest';
import { createLogger } from './logger.ts';
import { whenAvailable } from './when-available.ts';

function logTo(lines: string[]) {
  const destination = { write: (line: string) => void lines.push(line) };
  return createLogger({ service: 'test', level: 'warn', destination });
}

test('a start waits for a store and a bus that are unavailable, and says so each time', async () => {
  const lines: string[] = [];
  const failures = [new StoreError('unavailable', 'no server'), new BusError('unavailable', 'no server')];
  const step = async () => {
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    return 'open';
  };
  expect(await whenAvailable(logTo(lines), step)).toBe('open');
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
    'start: store or bus is unavailable, trying again',
    'start: store or bus is unavailable, trying again',
  ]);
});

test('a start does not hide any other failure behind a retry', async () => {
  const failure = new StoreError(
    'duplicate',
    'bootstrap.devices: documents violate the unique index byAccount',
  );
  await expect(whenAvailable(logTo([]), () => Promise.reject(failure))).rejects.toBe(failure);
});
