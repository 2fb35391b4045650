import { type ChildProcess, fork } from 'node:child_process';

/** A process that answers one message after the other. */
export type Child = Disposable & { ask<T>(message: object): Promise<T>; readonly process: ChildProcess };

/** Starts a module of this folder. */
export function startChild(
  module: string,
  options: { env?: Record<string, string>; execArgv?: string[] } = {},
): Child {
  const child = fork(new URL(module, import.meta.url), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, ...options.env },
    execArgv: options.execArgv ?? [],
  });
  let last: Promise<unknown> = Promise.resolve();
  const answer = async (): Promise<unknown> => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const ended = (code: number | null) => reject(new Error(`${module} ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (message: { value?: unknown; error?: string }) => {
      child.off('exit', ended);
      if (message.error === undefined) resolve(message.value);
      else reject(new Error(message.error));
    });
    return promise;
  };
  return {
    process: child,
    ask<T>(message: object) {
      const asked = last.then(() => {
        const answered = answer();
        if (Object.keys(message).length > 0) child.send(message);
        return answered;
      });
      last = asked.catch(() => undefined);
      return asked as Promise<T>;
    },
    [Symbol.dispose]: () => {
      if (child.connected) child.disconnect();
    },
  };
}
