import { DeliverPolicy } from '@nats-io/jetstream';
import { EVENT_STREAM, type EventType, eventFilter, type SignetEvent } from '@signet/contracts';
import type { Subscription, TailFrom } from '../bus.ts';
import { decodeEvent } from '../event-codec.ts';
import type { Log } from '../log.ts';
import { underTrace } from '../trace-context.ts';
import type { Connected, Link } from './link.ts';
import { supervise } from './supervise.ts';

type TailOptions = {
  readonly types: readonly EventType[];
  readonly from: TailFrom;
  readonly account?: string;
};
type TailHandler = (event: SignetEvent, position: number) => void | Promise<void>;

/** An ordered consumer of its own. A position is a sequence number of the stream. */
export function tail(
  parts: { readonly link: Link; readonly log: Log },
  options: TailOptions,
  handler: TailHandler,
): Promise<Subscription> {
  const { log } = parts;
  let reached: Reached | undefined;
  let busy: Promise<void> = Promise.resolve();

  const hand = async (text: string, position: number) => {
    const decoded = decodeEvent(text);
    if (decoded.event === undefined) {
      log.error({ position, problem: decoded.problem }, 'a tail passed over a malformed event');
      return;
    }
    const { event } = decoded;
    try {
      await underTrace(event.traceparent, () => handler(event, position));
    } catch (err) {
      log.error({ err, event: event.id, position }, 'the handler of a tail failed; the tail goes on');
    }
  };

  return supervise(parts, 'tail', {
    async start(connected, { signal, started }) {
      reached = await startingPoint(connected, reached, options.from, log);
      const { stream, next } = reached;
      const consumer = await connected.js.consumers.get(EVENT_STREAM, {
        filter_subjects: options.types.map((type) =>
          eventFilter({ type, ...(options.account === undefined ? {} : { account: options.account }) }),
        ),
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: next,
      });
      // a consumer or stream that is gone ends the loop: where to go on is for startingPoint() to say
      const messages = await consumer.consume({
        max_messages: 256,
        abort_on_missing_resource: true,
        expires: 30_000,
        idle_heartbeat: 5000,
      });
      const stop = () => messages.stop();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      started();
      try {
        for await (const message of messages) {
          if (signal.aborted) break;
          busy = hand(message.string(), message.seq);
          await busy;
          reached = { stream, next: message.seq + 1 };
        }
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
    stop: () => busy,
  });
}

/** Where a tail is: in which incarnation of the stream (its time of creation), and before which position. */
type Reached = { readonly stream: string; readonly next: number };

async function startingPoint(
  { jsm }: Connected,
  reached: Reached | undefined,
  from: TailFrom,
  log: Log,
): Promise<Reached> {
  const { created: stream, state } = await jsm.streams.info(EVENT_STREAM);
  const end = state.last_seq + 1;
  const next = reached?.next ?? (from === 'new' ? end : from === 'start' ? 1 : from.after + 1);
  if (next <= end && (reached?.stream ?? stream) === stream) return { stream, next: Math.max(1, next) };
  log.warn({ next, end }, 'the event stream was made anew; the tail starts at its beginning');
  return { stream, next: 1 };
}
