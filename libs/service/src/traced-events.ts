import { context, isSpanContextValid, trace } from '@opentelemetry/api';
import type { Bus } from '@signet/bus';
import { OperationError, type SignetEvent } from '@signet/contracts';
import { type Collection, type Store, type Stored, StoreError } from '@signet/store';
import type { DenialCourier } from './denial-courier.ts';
import { isAway } from './when-available.ts';

/** The W3C `traceparent` of the running trace, if there is one. */
export function activeTraceparent(): string | undefined {
  const span = trace.getSpanContext(context.active());
  if (span === undefined || !isSpanContextValid(span)) return undefined;
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}

/**
 * A bus whose published events carry the running trace, and whose operations tell their callers, typed, that the store
 * or the bus that they need is away, or that their cursor is none of the query's; and, by `courier`, that what they
 * denied is not in force yet.
 */
export function tracedBus(bus: Bus, courier?: Pick<DenialCourier, 'during'>): Bus {
  return {
    publish: (events, options) => bus.publish(stamped(events), options),
    consume: (consumer, handler) => bus.consume(consumer, handler),
    pending: (consumer) => bus.pending(consumer),
    forget: (consumer) => bus.forget(consumer),
    countAfter: (want) => bus.countAfter(want),
    position: () => bus.position(),
    tail: (options, handler) => bus.tail(options, handler),
    serve: (operation, handler) =>
      bus.serve(operation, (input) => {
        const run = () => handler(input).catch((error: unknown) => rethrow(operation.name, error));
        return courier === undefined ? run() : courier.during(run);
      }),
    request: (operation, input, options) => bus.request(operation, input, options),
    deadLetters: bus.deadLetters,
    send: (subject, payload, options) => bus.send(subject, payload, options),
    listen: (subject, handler, options) => bus.listen(subject, handler, options),
    takeDown: (handler) => bus.takeDown(handler),
    hand: (subject, payload, options) => bus.hand(subject, payload, options),
    failure: () => bus.failure(),
    serverTime: () => bus.serverTime(),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
}

function rethrow(operation: string, error: unknown): never {
  if (error instanceof StoreError && error.code === 'wrong-cursor')
    throw new OperationError('invalid-input', error.message, { field: 'cursor', cause: error });
  if (!isAway(error)) throw error;
  throw new OperationError('unavailable', `${operation}: store or bus does not answer`, { cause: error });
}

/** A store whose stored events carry the running trace. */
export function tracedStore(store: Store): Store {
  return {
    collection: async (spec) => tracedCollection(await store.collection(spec)),
    failure: () => store.failure(),
    serverTime: () => store.serverTime(),
    unsentMs: () => store.unsentMs(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function tracedCollection<T extends Stored, I extends string>(
  collection: Collection<T, I>,
): Collection<T, I> {
  return {
    get: (id) => collection.get(id),
    insert: (document, events) => collection.insert(document, events === undefined ? [] : stamped(events)),
    update(id, change, options) {
      // Asked here: a repetition of `change` may run elsewhere.
      const traceparent = activeTraceparent();
      return collection.update(
        id,
        (current) => {
          const made = change(current);
          return made?.events === undefined ? made : { ...made, events: stamped(made.events, traceparent) };
        },
        options,
      );
    },
    remove: (id, condition) => collection.remove(id, condition),
    find: (query) => collection.find(query),
    count: (query) => collection.count(query),
  };
}

function stamped(
  events: readonly SignetEvent[],
  traceparent: string | undefined = activeTraceparent(),
): readonly SignetEvent[] {
  if (traceparent === undefined) return events;
  return events.map((event) => (event.traceparent === undefined ? { ...event, traceparent } : event));
}
