import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, type ContextManager, context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { operation } from '@signet/contracts';
import { expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { numbered, numberOf } from '../events.ts';
import type { BusHarness } from '../harness.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

/** The context manager that a service installs with the OpenTelemetry SDK, as far as the bus needs it. */
function installContextManager(): void {
  const storage = new AsyncLocalStorage<Context>();
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, work, self, ...args) => storage.run(active, () => work.apply(self, args)),
    bind: (_active, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  context.setGlobalContextManager(manager);
  onTestFinished(() => context.disable());
}

const activeTrace = () => trace.getSpanContext(context.active())?.traceId;

export function traceContract(harness: () => BusHarness): void {
  it('runs handlers of consumers and tails in the trace of their event, which publishing leaves alone', async () => {
    installContextManager();
    const bus = await harness().replica();
    const seen: unknown[] = [];
    const note = async (who: string, n: number) => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(`${who} ${n} ${activeTrace()}`);
    };
    const types = ['DEVICE_FIRST_SEEN'] as const;
    await bus.consume({ durable: 'traced', types }, (event) => note('consumer', numberOf(event)));
    await bus.tail({ types, from: 'start' }, (event) => note('tail', numberOf(event)));
    const elsewhere = { traceId: 'f'.repeat(32), spanId: 'f'.repeat(16), traceFlags: 1 };
    await context.with(trace.setSpanContext(ROOT_CONTEXT, elsewhere), () =>
      bus.publish([numbered('dev-1', 1, `00-${TRACE}-${SPAN}-01`), numbered('dev-1', 2)]),
    );
    await vi.waitFor(() => {
      expect(seen.toSorted()).toEqual([
        `consumer 1 ${TRACE}`,
        'consumer 2 undefined',
        `tail 1 ${TRACE}`,
        'tail 2 undefined',
      ]);
    }, 10_000);
  });

  it('carries the trace of a request to the handler that serves it', async () => {
    installContextManager();
    const bus = await harness().replica();
    const which = operation('testing.which', { input: z.null(), output: z.string(), errors: [] });
    await bus.serve(which, async () => activeTrace() ?? 'none');
    const span = { traceId: TRACE, spanId: SPAN, traceFlags: 1 };
    const answer = context.with(trace.setSpanContext(ROOT_CONTEXT, span), () => bus.request(which, null));
    expect(await answer).toBe(TRACE);
    expect(await bus.request(which, null)).toBe('none');
  });
}
