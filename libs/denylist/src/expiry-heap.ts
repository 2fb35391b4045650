/** What a heap orders; `place` belongs to the heap, -1 while the item is in none. */
export type Expiring = { readonly notAfter: number; place: number };

/** Binary min-heap by `notAfter` from which any item can be taken out in O(log n). */
export class ExpiryHeap<T extends Expiring> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    this.#items.push(item);
    this.#up(item, this.#items.length - 1);
  }

  remove(item: T): void {
    const place = item.place;
    if (place < 0) return;
    item.place = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#up(last, place);
    this.#down(last, last.place);
  }

  #up(item: T, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#items[above];
      if (parent === undefined || parent.notAfter <= item.notAfter) break;
      this.#set(parent, place);
      place = above;
    }
    this.#set(item, place);
  }

  #down(item: T, from: number): void {
    let place = from;
    for (;;) {
      const left = this.#items[2 * place + 1];
      const right = this.#items[2 * place + 2];
      const least =
        right !== undefined && left !== undefined && right.notAfter < left.notAfter ? right : left;
      if (least === undefined || least.notAfter >= item.notAfter) break;
      const below = least.place;
      this.#set(least, place);
      place = below;
    }
    this.#set(item, place);
  }

  #set(item: T, place: number): void {
    this.#items[place] = item;
    item.place = place;
  }
}
