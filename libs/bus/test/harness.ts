import type { Bus, Log } from '../src/index.ts';

export type LogLine = {
  readonly level: 'info' | 'warn' | 'error';
  readonly facts: object;
  readonly message: string;
};

/** One engine with storage of its own. Disposing of it ends every replica. */
export interface BusHarness extends AsyncDisposable {
  /** What all replicas logged. */
  readonly lines: LogLine[];
  /** A replica: another process' bus over the same storage, as far as the engine has such. */
  replica(): Promise<Bus>;
  /** Bounds the event log so that it takes a few hundred small events at most, before any replica is opened. */
  bound(): void;
  /** Removes all events. */
  makeRoom(): Promise<void>;
  /** Puts bytes that are no event where consumers of `DEVICE_FIRST_SEEN` look. */
  publishMalformed(device: string): Promise<void>;
  /** Arguments with which `consumer-process.ts` opens a replica. */
  readonly childArguments: readonly string[];
  /** Ends the replicas of this process, where the engine allows only one process. */
  leaveToChild(): Promise<void>;
}

export function recorder(lines: LogLine[]): Log {
  const at = (level: LogLine['level']) => (facts: object, message: string) => {
    lines.push({ level, facts, message });
  };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
