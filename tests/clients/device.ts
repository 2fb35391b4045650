import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Who a device is, and where its broker is: files in PEM. */
export type DeviceFiles = {
  readonly host: string;
  readonly port: number;
  readonly id: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
};

/** A device that is a process of another maker's client library; it reconnects by itself. */
export type ForeignDevice = AsyncDisposable & {
  /** What it said so far: fields parted by tabs, the first names what happened. */
  readonly said: readonly string[];
  /** `connect <clean> <keep-alive> [<will topic> <will qos> <will text>]` first, then `subscribe <filter> <qos>`, `publish <topic> <qos> <bytes> <text>`, `disconnect`. */
  tell(...fields: (string | number)[]): void;
  /** Resolves when it is gone by itself. */
  readonly exited: Promise<void>;
  /** kill -9: its connection breaks. */
  kill(): Promise<void>;
};

export function startForeignDevice(command: readonly string[], files: DeviceFiles): ForeignDevice {
  const [binary = '', ...args] = command;
  const { host, port, id, ca, cert, key } = files;
  const child: ChildProcess = spawn(binary, [...args, host, String(port), id, ca, cert, key], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then(() => {});
  const said: string[] = [];
  if (child.stdout) createInterface(child.stdout).on('line', (line) => said.push(line));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => said.push(`error\t${text}`));
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    ...{ said, exited, kill },
    tell: (...fields) => void child.stdin?.write(`${fields.join('\t')}\n`),
    [Symbol.asyncDispose]: kill,
  };
}
