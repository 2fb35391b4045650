/** One line that a service logged. */
export type LogLine = { readonly service?: string; readonly level: string; readonly msg: string } & Readonly<
  Record<string, unknown>
>;

const DEADLINE_MS = 20_000;

/** What the services log, to be waited for. */
export class ServiceLog {
  readonly lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();

  /** Takes a line of JSON; what is none becomes a line of level `output`. */
  write(line: string): void {
    if (line.trim() === '') return;
    this.lines.push(parsed(line));
    for (const wake of this.#waiting) wake();
  }

  /** The first line at or after `from` (an earlier `lines.length`) that `which` picks, waited for. */
  async find(which: (line: LogLine) => boolean, from = 0, deadlineMs = DEADLINE_MS): Promise<LogLine> {
    const late = AbortSignal.timeout(deadlineMs);
    for (let seen = from; ; ) {
      for (; seen < this.lines.length; seen++) {
        const line = this.lines[seen];
        if (line !== undefined && which(line)) return line;
      }
      if (late.aborted) {
        const end = this.lines.slice(-20).map(({ service, level, msg }) => `${service} ${level} ${msg}`);
        throw new Error(`log: no such line within ${deadlineMs} ms; the last were:\n${end.join('\n')}`);
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      late.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      this.#waiting.delete(resolve);
    }
  }
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { level: 'output', msg: line };
  }
}
