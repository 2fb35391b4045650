import type { OcspReply } from './answer-ocsp.ts';

/** Answers that are kept at most; each has about a KiB. */
const MAX_ANSWERS = 20_000;

/**
 * Signed answers by the bytes of the request. What is kept for a certificate goes as soon as its status changes;
 * whatever else is over its time, or was made by a clock that was ahead and is set back, goes when it is asked for.
 */
export class AnswerCache {
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly serialNumber: string; readonly reply: OcspReply }>();
  readonly #askedFor = new Map<string, Set<string>>();
  #changes = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get(asked: string): OcspReply | undefined {
    const found = this.#answers.get(asked);
    if (found === undefined) return undefined;
    const { thisUpdate = 0, until = 0 } = found.reply.fresh ?? {};
    const now = this.#now();
    if (thisUpdate <= now && now < until) return found.reply;
    this.#forget(asked, found.serialNumber);
    return undefined;
  }

  /** Changes with each revocation: an answer that was begun before one must not be kept after it. */
  get state(): number {
    return this.#changes;
  }

  /** Keeps an answer that was begun at `state`. */
  keep(asked: string, state: number, reply: OcspReply): void {
    const { fresh } = reply;
    if (fresh === undefined || state !== this.#changes) return;
    const [oldest] = this.#answers;
    if (this.#answers.size >= MAX_ANSWERS && oldest !== undefined)
      this.#forget(oldest[0], oldest[1].serialNumber);
    const { serialNumber } = fresh;
    this.#answers.set(asked, { serialNumber, reply });
    const others = this.#askedFor.get(serialNumber);
    if (others === undefined) this.#askedFor.set(serialNumber, new Set([asked]));
    else others.add(asked);
  }

  /** The status of this certificate has changed. */
  changed(serialNumber: string): void {
    this.#changes++;
    for (const asked of this.#askedFor.get(serialNumber) ?? []) this.#answers.delete(asked);
    this.#askedFor.delete(serialNumber);
  }

  /** The status of any may have changed: that of a CA, which has several certificates. */
  clear(): void {
    this.#changes++;
    this.#answers.clear();
    this.#askedFor.clear();
  }

  #forget(asked: string, serialNumber: string): void {
    this.#answers.delete(asked);
    const others = this.#askedFor.get(serialNumber);
    others?.delete(asked);
    if (others?.size === 0) this.#askedFor.delete(serialNumber);
  }
}
