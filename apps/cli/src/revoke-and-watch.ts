import type { DevicesChanged } from '@signet/contracts';
import type { Context } from './context.ts';

const WATCH_MS = 2000;

/**
 * Revokes, and watches the events for the ends of live sessions: how long after the call the news of each cut was here,
 * in ms of this machine's clock alone (the platform's may be another). Devices without a session are not waited for longer than two seconds.
 */
export async function revokeAndWatch(
  { api, stopped }: Context,
  selection: object,
): Promise<{ done: DevicesChanged; cutAfterMs: Record<string, number> }> {
  const watching = new AbortController();
  const opened = Promise.withResolvers<void>();
  const cutAt = new Map<string, number>();
  const found = new EventTarget();
  const watch = (async () => {
    const signal = AbortSignal.any([watching.signal, stopped]);
    for await (const event of api.events({ types: 'DEVICE_DISCONNECTED' }, signal, opened.resolve)) {
      if (event.type !== 'DEVICE_DISCONNECTED' || event.data.reason !== 'denied') continue;
      cutAt.set(event.subject, performance.now());
      found.dispatchEvent(new Event('cut'));
    }
  })();
  watch.catch(opened.reject);
  await opened.promise;
  const calledAt = performance.now();
  let done: DevicesChanged;
  try {
    done = await api.post<DevicesChanged>('/v1/accounts/{account}/devices/actions/revoke', selection);
    await allCut(done.changed, cutAt, found);
  } finally {
    // A watch that goes on keeps the process alive, also after a refusal.
    watching.abort();
    await watch;
  }
  const cuts = done.changed.flatMap((device) => {
    const at = cutAt.get(device);
    return at === undefined ? [] : [[device, Math.round(at - calledAt)] as const];
  });
  return { done, cutAfterMs: Object.fromEntries(cuts) };
}

function allCut(
  devices: readonly string[],
  cutAt: ReadonlyMap<string, number>,
  found: EventTarget,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, WATCH_MS);
  const check = () => {
    if (devices.every((device) => cutAt.has(device))) resolve();
  };
  found.addEventListener('cut', check);
  check();
  return promise.finally(() => {
    clearTimeout(timer);
    found.removeEventListener('cut', check);
  });
}
