import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { OpensslCa } from './pki.ts';

type Line = {
  readonly change?: number;
  readonly accepted?: string;
  readonly entries?: number;
  readonly size?: number;
  readonly stay?: number;
  readonly started?: { readonly size: number; readonly stay: number };
};

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

/** The authority in a process of its own, and what it says. */
class Authority implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(folder: string, aheadMs: number, url: string) {
    const module = join(import.meta.dirname, 'authority-process.ts');
    this.#child = spawn(process.execPath, [module, folder, String(aheadMs), url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** The next line that fits. */
  async says(fits: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`it ended: ${this.#child.exitCode}`);
      const line = JSON.parse(value as string) as Line;
      if (fits(line)) return line;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

const serial = (n: number) => (0x5a_0000_0000 + n).toString(16);
const entries = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => ({ serialNumber: serial(from + n) }));

it('F30: killed amid the application of a large CRL, the authority applies it whole after its restart; what both CRLs list was denied throughout', async () => {
  const ca = stack.use(await OpensslCa.create());
  // the second drops a quarter of the first, and lists ten thousand more
  const first = await ca.list({ number: 1, entries: entries(0, 4000) });
  const second = await ca.list({ number: 2, entries: entries(1000, 14_000) });
  const stays = entries(1000, 4000).map(({ serialNumber }) => serialNumber);
  await writeFile(join(ca.folder, 'stays.json'), JSON.stringify(stays));
  let served = first;
  const server = createServer((_, response) => response.end(served)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.crl`;
  const start = (aheadMs: number) => stack.use(new Authority(ca.folder, aheadMs, url));

  const one = start(0);
  expect(await one.says(({ started }) => started !== undefined)).toEqual({ started: { size: 0, stay: 0 } });
  expect(await one.says(({ accepted }) => accepted === '1')).toMatchObject({ entries: 4000 });
  await one[Symbol.asyncDispose]();

  served = second;
  // its clock is ahead: the source is due
  const two = start(100_000);
  const before = await two.says(({ started }) => started !== undefined);
  expect(before.started?.stay).toBe(stays.length);
  await two.says(({ change }) => change !== undefined);
  await two.says(({ change }) => change !== undefined);
  await two[Symbol.asyncDispose]();

  // another minute ahead: the lease of the dead one is over
  const three = start(200_000);
  const { started } = await three.says((line) => line.started !== undefined);
  expect(started?.stay).toBe(stays.length);
  expect(started?.size).toBeGreaterThan(4000);
  expect(started?.size).toBeLessThan(14_000);
  expect(await three.says(({ accepted }) => accepted === '2')).toEqual({
    ...{ accepted: '2', entries: 13_000, size: 13_000, stay: stays.length },
  });
}, 120_000);
