import type { Bus, Subscription } from '@signet/bus';
import { ForeignJsonError, readForeignJson } from '@signet/contracts';
import type { Logger } from '@signet/service';
import { z } from 'zod';

/** How long a node waits for another to give a session up: one that does not answer has probably died. */
const TAKE_OVER_MS = 2000;

const Call = z.object({ key: z.string(), claim: z.number().optional() });

export type NodeCallsParts = {
  readonly bus: Bus;
  readonly log: Logger;
  /** Unique for each start. */
  readonly node: string;
  /** There is more in the queue of this session. */
  readonly more: (key: string) => void;
  /** Another node has this claim to the session: resolves when it has been given up here. */
  readonly giveUp: (key: string, claim: number) => Promise<void>;
};

/** Calls between nodes about one session. */
export class NodeCalls implements AsyncDisposable {
  readonly #parts: NodeCallsParts;
  readonly #subscription: Subscription;

  static async open(parts: NodeCallsParts): Promise<NodeCalls> {
    const { bus, node, more, giveUp, log } = parts;
    const subscription = await bus.listen(subjectOf(node, '*'), async ({ subject, payload }) => {
      const call = callIn(payload);
      if (call === undefined) log.warn({ subject }, 'mqtt: failed to parse a call from another node');
      else if (subject.endsWith('.more')) more(call.key);
      else await giveUp(call.key, call.claim ?? 0);
    });
    return new NodeCalls(parts, subscription);
  }

  private constructor(parts: NodeCallsParts, subscription: Subscription) {
    this.#parts = parts;
    this.#subscription = subscription;
  }

  /** Tells a node that there is more in the queue of a session. @throws BusError: it may not know */
  async tell(node: string, key: string): Promise<void> {
    await this.#parts.bus.requestRaw(subjectOf(node, 'more'), encode({ key }));
  }

  /** Has a node give a session up. Resolves in any case: a node that does not answer has died, or will see the claim. */
  async takeOver(node: string, key: string, claim: number): Promise<void> {
    const { bus, log } = this.#parts;
    try {
      const options = { deadlineMs: TAKE_OVER_MS };
      const outcome = await bus.requestRaw(subjectOf(node, 'release'), encode({ key, claim }), options);
      if (outcome === 'silent') log.warn({ key, from: node }, 'mqtt: another node did not release a session');
    } catch (error) {
      log.warn({ err: error, key, from: node }, 'mqtt: another node did not release a session');
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#subscription[Symbol.asyncDispose]());
  }
}

function subjectOf(node: string, what: string): string {
  return `signet.mqtt-broker.node.${node}.${what}`;
}

function callIn(payload: Uint8Array): z.infer<typeof Call> | undefined {
  try {
    return Call.safeParse(readForeignJson(payload, 'call')).data;
  } catch (error) {
    if (error instanceof ForeignJsonError) return undefined;
    throw error;
  }
}

function encode(call: z.input<typeof Call>): Buffer {
  return Buffer.from(JSON.stringify(call));
}
