/** Packet identifiers of messages that are in the session's queue come from their number in it: they stay the same. */
const QUEUED = 32_767;
const MOST = 65_535;

/** Gives packet identifiers (3.1.1 §2.3.1) to what leaves for one device. */
export class PacketIds {
  readonly #isTaken: (id: number) => boolean;
  #last = QUEUED;

  constructor(isTaken: (id: number) => boolean) {
    this.#isTaken = isTaken;
  }

  /** `known`: under which the message was sent before; `seq`: its number in the session's queue. */
  next({
    packetId: known,
    seq,
  }: {
    readonly packetId?: number | undefined;
    readonly seq?: number | undefined;
  }): number {
    const wanted = known ?? (seq === undefined || !Number.isInteger(seq) ? undefined : (seq % QUEUED) + 1);
    if (wanted !== undefined && !this.#isTaken(wanted)) return wanted;
    do {
      this.#last = this.#last >= MOST ? QUEUED + 1 : this.#last + 1;
    } while (this.#isTaken(this.#last));
    return this.#last;
  }
}
