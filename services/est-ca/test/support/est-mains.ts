import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createLogger, openBackbone } from '@signet/service';
import { startFerretdb, startNats } from '@signet/tests/servers/start';

type Line = Readonly<Record<string, unknown>> & { readonly msg: string };

/** A service's main as a process of its own, and what it logged. */
export class Main implements AsyncDisposable {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  readonly exited: Promise<number | null>;
  readonly lines: Line[] = [];
  stderr = '';
  #heard = Promise.withResolvers<void>();

  constructor(service: string, env: Readonly<Record<string, string>>) {
    const path = join(import.meta.dirname, '..', '..', '..', service, 'src', 'main.ts');
    this.process = spawn(process.execPath, [path], {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.exited = once(this.process, 'close').then(([code]) => code as number | null);
    this.process.stderr.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
    createInterface(this.process.stdout).on('line', (text) => {
      this.lines.push(JSON.parse(text) as Line);
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    });
  }

  /** The first line that `which` picks, waited for. */
  async line(which: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(which);
      if (found !== undefined) return found;
      const ended = await Promise.race([this.#heard.promise, this.exited.then((code) => ({ code }))]);
      if (ended !== undefined) throw new Error(`ended with ${ended.code}: ${this.stderr}`);
    }
  }

  /** What it exits with once it was told to stop. */
  async stop(): Promise<number | null> {
    this.process.kill('SIGTERM');
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode !== null) return;
    this.process.kill('SIGTERM');
    await this.exited;
  }
}

/** NATS and FerretDB of a test's own, a folder, and the environment of services that use them. */
export async function openServers(binaries: { readonly nats: string; readonly ferretdb: string }) {
  await using stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'signet-est-mains-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const directory = async (name: string) => {
    await mkdir(join(root, name));
    return { directory: join(root, name) };
  };
  const nats = await startNats(binaries.nats, await directory('nats'));
  stack.defer(() => nats.stop());
  const mongo = await startFerretdb(binaries.ferretdb, await directory('mongo'));
  stack.defer(() => mongo.stop());
  const env = {
    SIGNET_STORE: `${mongo.url}signet`,
    SIGNET_BUS: nats.url,
    SIGNET_DATA_DIR: join(root, 'data'),
    SIGNET_BIND: '127.0.0.1',
    SIGNET_HEALTH_BIND: '127.0.0.1',
    SIGNET_HEALTH_PORT: '0',
    SIGNET_EST_PORT: '0',
    SIGNET_EST_HTTP_PORT: '0',
  };
  const backbone = stack.use(
    await openBackbone({
      store: env.SIGNET_STORE,
      bus: env.SIGNET_BUS,
      dataDir: join(root, 'test'),
      name: 'test',
      log: createLogger({ service: 'test', level: 'silent' }),
    }),
  );
  const rest = stack.move();
  return { env, backbone, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
