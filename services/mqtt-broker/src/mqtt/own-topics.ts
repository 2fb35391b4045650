import { isUtf8 } from 'node:buffer';
import { mqttSubject } from '@signet/contracts';
import { type Owner, publishLevels } from '../domain/topic-rules.ts';

/** Topics of one device that are remembered. */
const REMEMBERED = 8;

type Known = { readonly topic: Uint8Array; readonly subject: string };

/**
 * The topics on which a device published last, by their octets: whether it may, and under which subject that goes on
 * the bus, is worked out once for each.
 */
export class OwnTopics {
  readonly #owner: Owner;
  readonly #known: Known[] = [];
  #oldest = 0;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** The subject of the topic that stands from `start` to before `end`; undefined where the device may not publish. */
  subjectOf(bytes: Buffer, start: number, end: number): string | undefined {
    for (const { topic, subject } of this.#known) if (isSame(topic, bytes, start, end)) return subject;
    const topic = Uint8Array.prototype.slice.call(bytes, start, end);
    const subject = this.#work(topic);
    if (subject === undefined) return undefined;
    this.#known[this.#oldest] = { topic, subject };
    this.#oldest = (this.#oldest + 1) % REMEMBERED;
    return subject;
  }

  #work(topic: Uint8Array): string | undefined {
    if (!isUtf8(topic)) return undefined;
    const levels = publishLevels(this.#owner, Buffer.from(topic).toString('utf8'));
    if (levels === undefined) return undefined;
    return mqttSubject(this.#owner.account, this.#owner.deviceId, 'up', levels);
  }
}

/** Topics of one device differ in their last octets. */
function isSame(topic: Uint8Array, bytes: Buffer, start: number, end: number): boolean {
  if (topic.length !== end - start) return false;
  for (let i = topic.length - 1; i >= 0; i--) if (topic[i] !== bytes[start + i]) return false;
  return true;
}
