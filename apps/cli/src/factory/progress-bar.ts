import type { Writable } from 'node:stream';

const WIDTH = 30;
const REDRAW_MS = 100;
const LINE_MS = 10_000;

/** A stream, which may be a terminal. */
export type ProgressOutput = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** How far a long command is: a bar on a terminal, a line now and then anywhere else, nothing where `quiet`. */
export class ProgressBar {
  readonly #total: number;
  readonly #out: ProgressOutput;
  readonly #quiet: boolean;
  readonly #startedAt = performance.now();
  #done = 0;
  #skipped = 0;
  #drawnAt = performance.now();

  constructor(total: number, out: ProgressOutput, options: { readonly quiet: boolean }) {
    this.#total = total;
    this.#out = out;
    this.#quiet = options.quiet;
  }

  /** `skipped`: was done before, and says nothing of the speed. */
  add(done: number, skipped = 0): void {
    this.#done += done;
    this.#skipped += skipped;
    const wait = this.#out.isTTY ? REDRAW_MS : LINE_MS;
    if (performance.now() - this.#drawnAt >= wait) this.#draw();
  }

  end(): void {
    if (this.#quiet || !this.#out.isTTY) return;
    this.#draw();
    this.#out.write('\n');
  }

  #draw(): void {
    if (this.#quiet) return;
    this.#drawnAt = performance.now();
    const so = this.#done + this.#skipped;
    const share = this.#total === 0 ? 1 : so / this.#total;
    const perSecond = this.#done / ((performance.now() - this.#startedAt) / 1000);
    const left = perSecond > 0 ? `, ${Math.ceil((this.#total - so) / perSecond)} s left` : '';
    const figures = `${so} of ${this.#total}, ${Math.round(perSecond)}/s${left}`;
    if (!this.#out.isTTY) return void this.#out.write(`${figures}\n`);
    const bar = '#'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '.');
    this.#out.write(`\r[${bar}] ${figures}\u001b[K`);
  }
}
