import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import { numbered, numberOf } from '../events.ts';
import type { BusHarness } from '../harness.ts';

export function crashContract(harness: () => BusHarness): void {
  it('hands an event out again when the process that had it is killed (kill -9)', async () => {
    const publisher = await harness().replica();
    await publisher.publish([1, 2, 3].map((n) => numbered(`dev-${n}`, n)));
    await harness().leaveToChild();
    const script = fileURLToPath(new URL('../consumer-process.ts', import.meta.url));
    const child = spawn(process.execPath, [script, ...harness().childArguments], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const taken = new Set<number>();
    for await (const line of createInterface({ input: child.stdout })) {
      taken.add(Number(line.split(' ')[1]));
      if (taken.size === 3) break;
    }
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    expect([...taken].sort()).toEqual([1, 2, 3]);

    const survivor = await harness().replica();
    const handled = new Set<number>();
    await survivor.consume({ durable: 'survivors', types: ['DEVICE_FIRST_SEEN'] }, async (event) => {
      handled.add(numberOf(event));
    });
    await vi.waitFor(() => expect([...handled].sort()).toEqual([1, 2, 3]), 20_000);
  });
}
