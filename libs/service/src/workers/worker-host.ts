import nodeProcess from 'node:process';
import type { ProcessHost, ReadyService } from '../run.ts';

/** What a supervisor tells a worker. */
export const STOP = 'stop';

/** What a worker tells its supervisor. */
export type WorkerMessage = { readonly ready: ReadyService };

/**
 * The process of a worker as a service's main sees it. It is told to stop by its supervisor; a terminal or a process
 * manager that signals all processes at once reaches it too, so that of several calls to stop it heeds the first.
 */
export function workerHost(): ProcessHost {
  const stopListeners = new Set<(argument: unknown) => void>();
  let told = false;
  const stop = (cause: unknown): void => {
    if (told) return;
    told = true;
    for (const listener of stopListeners) listener(cause);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) nodeProcess.on(signal, stop);
  nodeProcess.on('message', (message) => {
    if (message === STOP) stop('supervisor');
  });
  return {
    env: nodeProcess.env,
    stderr: nodeProcess.stderr,
    exit: (code) => nodeProcess.exit(code),
    on(event, listener) {
      if (event === 'SIGTERM') stopListeners.add(listener);
      else if (event !== 'SIGINT') nodeProcess.on(event, listener);
    },
    off(event, listener) {
      if (event === 'SIGTERM') stopListeners.delete(listener);
      else if (event !== 'SIGINT') nodeProcess.off(event, listener);
    },
    ready: (service) => void nodeProcess.send?.({ ready: service } satisfies WorkerMessage),
  };
}
