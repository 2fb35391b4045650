import { hash } from 'node:crypto';

/**
 * On which line something stood first, for a million lines in some 25 MB. It remembers 48 bits of each: a match says
 * that it may have been there.
 */
export class SeenLines {
  #keys = new Float64Array(1 << 12);
  #lines = new Uint32Array(1 << 12);
  #size = 0;

  /** The line of the first, if there was one; else it is this line. */
  see(text: string, line: number): number | undefined {
    if (this.#size * 2 >= this.#keys.length) this.#grow();
    const key = keyOf(text);
    const at = this.#placeOf(key);
    if (this.#keys[at] !== 0) return this.#lines[at];
    this.#put(at, key, line);
    return undefined;
  }

  #placeOf(key: number): number {
    const mask = this.#keys.length - 1;
    let at = key % this.#keys.length;
    while (this.#keys[at] !== 0 && this.#keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  #put(at: number, key: number, line: number): void {
    this.#keys[at] = key;
    this.#lines[at] = line;
    this.#size++;
  }

  #grow(): void {
    const [keys, lines] = [this.#keys, this.#lines];
    this.#keys = new Float64Array(keys.length * 2);
    this.#lines = new Uint32Array(keys.length * 2);
    this.#size = 0;
    for (const [i, key] of keys.entries()) {
      if (key !== 0) this.#put(this.#placeOf(key), key, lines[i] ?? 0);
    }
  }
}

/** Never 0, which stands for an empty place. */
function keyOf(text: string): number {
  return hash('sha1', text, 'buffer').readUIntBE(0, 6) || 1;
}
