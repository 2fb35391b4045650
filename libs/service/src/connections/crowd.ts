/**
 * Members by group, each group in order of arrival, that knows its largest group at any time. Every step takes the same
 * short time, however many groups there are: it is used while somebody floods.
 */
export class Crowd<M extends { readonly group: string }> {
  readonly #groups = new Map<string, Set<M>>();
  /** Groups by their size; the last of a size that was reached last. */
  readonly #bySize = new Map<number, Set<string>>();
  #largest = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  sizeOf(group: string): number {
    return this.#groups.get(group)?.size ?? 0;
  }

  has(member: M): boolean {
    return this.#groups.get(member.group)?.has(member) === true;
  }

  add(member: M): void {
    const members = this.#groups.get(member.group) ?? new Set<M>();
    if (members.has(member)) return;
    this.#groups.set(member.group, members.add(member));
    this.#size++;
    this.#resized(member.group, members.size - 1, members.size);
  }

  remove(member: M): void {
    const members = this.#groups.get(member.group);
    if (members?.delete(member) !== true) return;
    if (members.size === 0) this.#groups.delete(member.group);
    this.#size--;
    this.#resized(member.group, members.size + 1, members.size);
  }

  /** The member of `group` that came first. */
  oldestOf(group: string): M | undefined {
    return this.#groups.get(group)?.values().next().value;
  }

  /** Of the largest group, the member that came first. */
  oldestOfLargest(): M | undefined {
    const group = this.#bySize.get(this.#largest)?.values().next().value;
    return group === undefined ? undefined : this.oldestOf(group);
  }

  #resized(group: string, before: number, after: number): void {
    const old = this.#bySize.get(before);
    if (old?.delete(group) === true && old.size === 0) this.#bySize.delete(before);
    if (after > 0) {
      const same = this.#bySize.get(after) ?? new Set<string>();
      this.#bySize.set(after, same.add(group));
    }
    // a group changes by one member at a time, so the largest does too
    if (after > this.#largest) this.#largest = after;
    else if (before === this.#largest && !this.#bySize.has(before)) this.#largest = after;
  }
}
