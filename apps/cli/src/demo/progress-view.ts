import { table } from '../output.ts';
import { type DemoResult, steps } from './fleet.ts';

/** A line for each step that grows as devices pass it; on a terminal it is drawn in place. */
export class ProgressView {
  readonly #out: NodeJS.WriteStream;
  readonly #devices: number;
  #step = '';

  constructor(out: NodeJS.WriteStream, devices: number) {
    this.#out = out;
    this.#devices = devices;
  }

  show(step: string, done: number): void {
    const expected = step === 'revoke' ? Math.floor(this.#devices / 2) : this.#devices;
    if (!this.#out.isTTY) {
      if (done === expected) this.#out.write(`${step.padEnd(10)} ${done} of ${expected}\n`);
      return;
    }
    if (this.#step !== '' && this.#step !== step) this.#out.write('\n');
    this.#step = step;
    const filled = Math.round((done / expected) * 30);
    this.#out.write(
      `\r${step.padEnd(10)} ${'█'.repeat(filled)}${'░'.repeat(30 - filled)} ${done} of ${expected} `,
    );
  }

  end(): void {
    if (this.#out.isTTY && this.#step !== '') this.#out.write('\n');
  }
}

/** The closing table. */
export function resultTable(result: DemoResult): string {
  const rows = steps.map((step) => {
    const { count, p50, p99 } = result.steps[step] ?? { count: 0, p50: 0, p99: 0 };
    return [step === 'revoke' ? 'revoke → cut' : step, count, p50.toFixed(1), p99.toFixed(1)];
  });
  const failures = result.failures.map(({ device, step, reason }) => `${device}: ${step}: ${reason}`);
  return [
    table(['step', 'devices', 'p50 ms', 'p99 ms'], rows),
    ...failures,
    '',
    `${result.ok} of ${result.devices} devices passed`,
  ].join('\n');
}
