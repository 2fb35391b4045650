import { OperationError, operation } from '@signet/contracts';
import { expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { BusHarness } from '../harness.ts';

const halve = operation('testing.halve', {
  input: z.object({ whole: z.number(), label: z.string().max(5).default('none') }),
  output: z.object({ half: z.number(), label: z.string() }),
  errors: ['odd'],
});

export function operationContract(harness: () => BusHarness): void {
  it('answers a request, with defaults filled in on the serving side', async () => {
    const [server, caller] = [await harness().replica(), await harness().replica()];
    await server.serve(halve, async ({ whole, label }) => ({ half: whole / 2, label }));
    expect(await caller.request(halve, { whole: 8 })).toEqual({ half: 4, label: 'none' });
  });

  it('fails with the code, text and field that the operation was refused with', async () => {
    const bus = await harness().replica();
    await bus.serve(halve, async () => {
      throw new OperationError('odd', 'whole: 3 is odd', { field: 'whole' });
    });
    await expect(bus.request(halve, { whole: 3 })).rejects.toMatchObject({
      name: 'OperationError',
      code: 'odd',
      message: 'whole: 3 is odd',
      field: 'whole',
    });
  });

  it('refuses invalid input naming the field, before the handler sees it', async () => {
    const bus = await harness().replica();
    const handler = vi.fn(async () => ({ half: 0, label: '' }));
    await bus.serve(halve, handler);
    await expect(bus.request(halve, { whole: 1, label: 'too long' })).rejects.toMatchObject({
      code: 'invalid-input',
      field: 'label',
      message: expect.stringMatching(/^label: /),
    });
    expect(handler).not.toHaveBeenCalled();
  });

  it('answers an unforeseen failure with "internal" and logs it, without telling its text', async () => {
    const bus = await harness().replica();
    await bus.serve(halve, async ({ whole }) => {
      if (whole === 1) throw new OperationError('not-declared', 'password is hunter2');
      if (whole === 2) return { half: 'one' } as never;
      throw new Error('password is hunter2');
    });
    for (const whole of [1, 2, 3]) {
      await expect(bus.request(halve, { whole })).rejects.toMatchObject({
        code: 'internal',
        message: 'testing.halve failed',
      });
    }
    expect(harness().lines.filter(({ level }) => level === 'error')).toHaveLength(3);
  });

  it('fails with "unavailable" at once when nobody serves, and again when the last server is gone', async () => {
    const bus = await harness().replica();
    const unavailable = { name: 'OperationError', code: 'unavailable' };
    const before = performance.now();
    await expect(bus.request(halve, { whole: 2 })).rejects.toMatchObject(unavailable);
    expect(performance.now() - before).toBeLessThan(2000);
    const serving = await bus.serve(halve, async () => ({ half: 1, label: '' }));
    await bus.request(halve, { whole: 2 });
    await serving[Symbol.asyncDispose]();
    await expect(bus.request(halve, { whole: 2 })).rejects.toMatchObject(unavailable);
  });

  it('fails with "deadline-exceeded" when the answer takes too long', async () => {
    const bus = await harness().replica();
    const release = Promise.withResolvers<void>();
    await bus.serve(halve, async () => {
      await release.promise;
      return { half: 1, label: '' };
    });
    await expect(bus.request(halve, { whole: 2 }, { deadlineMs: 100 })).rejects.toMatchObject({
      code: 'deadline-exceeded',
      message: 'testing.halve: no answer within 100 ms',
    });
    release.resolve();
  });

  it('shares requests among the replicas that serve, and finishes those in flight before one leaves', async () => {
    const replicas = [await harness().replica(), await harness().replica()];
    const served = new Set<number>();
    for (const [replica, bus] of replicas.entries()) {
      await bus.serve(halve, async ({ whole }) => {
        served.add(replica);
        return { half: whole / 2, label: '' };
      });
    }
    const caller = await harness().replica();
    for (let i = 0; i < 40; i++) await caller.request(halve, { whole: i });
    expect(served).toEqual(new Set([0, 1]));
    const answers = Array.from({ length: 20 }, (_, i) => caller.request(halve, { whole: i }));
    await replicas[0]?.[Symbol.asyncDispose]();
    expect((await Promise.all(answers)).map(({ half }) => half * 2)).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
  });
}
