import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { requireServer } from '@signet/tests/servers';

export type GoRequest = {
  /** Unix milliseconds. */
  readonly at: number;
  /** PEM. */
  readonly anchors: string;
} & (
  | { readonly leaf: string; readonly between: string }
  | {
      readonly url: string;
      readonly body?: string;
      readonly user?: string;
      readonly password?: string;
      readonly certificate?: string;
      readonly key?: string;
    }
);

export type GoAnswer = {
  /** Why the chain, or the server's, is not believed. */
  readonly error?: string;
  readonly status?: number;
  readonly body?: string;
  /** What the server showed, PEM. */
  readonly chain?: readonly string[];
};

/** Go's TLS and its verifier, at whatever time they are told. */
export type GoClient = AsyncDisposable & { ask(request: GoRequest): Promise<GoAnswer> };

export function openGoClient(folder: string): GoClient {
  const program = join(folder, 'years');
  execFileSync(requireServer('go'), ['build', '-o', program, join(import.meta.dirname, 'years.go')], {
    cwd: folder,
  });
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await answers.next();
      if (done === true) throw new Error('the Go client has ended');
      return JSON.parse(value) as GoAnswer;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(child, 'close');
      child.stdin.end();
      await closed;
    },
  };
}
