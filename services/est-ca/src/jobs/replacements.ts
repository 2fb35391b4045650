import { repeatedly } from '@signet/async';
import type { ServiceDeps } from '@signet/service';
import { resumeReplacements } from '../domain/root-rollover/finish-replacement.ts';

/** What a change that nobody heard of is made good by. */
const LOOK_EVERY_MS = 3_600_000;

/**
 * Goes through with replacements of roots that were cut off: at the start, when a CA changes, and every hour. `/ready`
 * warns of what keeps one from its end.
 */
export async function watchReplacements(
  { bus, health, log }: Pick<ServiceDeps, 'bus' | 'health' | 'log'>,
  deps: Parameters<typeof resumeReplacements>[0],
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  let problems: readonly string[] = [];
  const job = stack.use(
    repeatedly(
      async () => {
        problems = await resumeReplacements(deps);
      },
      {
        everyMs: LOOK_EVERY_MS,
        onError: (error) =>
          log.warn({ err: error }, 'replacements of roots: could not look; tried again in an hour'),
      },
    ),
  );
  stack.use(await bus.tail({ types: ['CA_CREATED', 'CA_CHANGED'], from: 'new' }, job.wake));
  stack.use(
    health.register('est-ca.replacements', () =>
      problems.length === 0 ? undefined : { warning: problems.join('; ') },
    ),
  );
  return stack.move();
}
