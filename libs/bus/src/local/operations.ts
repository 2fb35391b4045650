import { withDeadline } from '@signet/async';
import { type Operation, OperationError } from '@signet/contracts';
import type { z } from 'zod';
import type { Subscription } from '../bus.ts';
import type { Log } from '../log.ts';
import { answerHere } from '../operation-codec.ts';
import { activeTraceparent, underTrace } from '../trace-context.ts';

type Server = {
  readonly respond: (request: string) => Promise<unknown>;
  readonly inFlight: Set<Promise<unknown>>;
};

const DEFAULT_DEADLINE_MS = 5000;

/** Request/reply within the process. Values cross as JSON, so that nobody shares an object with the other side. */
export class Operations {
  readonly #log: Log;
  readonly #servers = new Map<string, Server[]>();

  constructor(log: Log) {
    this.#log = log;
  }

  serve(operation: Operation, handler: (input: unknown) => Promise<unknown>): Subscription {
    const { name } = operation;
    const server: Server = {
      respond: (request) => answerHere(operation, handler, request, this.#log),
      inFlight: new Set(),
    };
    this.#servers.set(name, [...(this.#servers.get(name) ?? []), server]);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#servers.set(
          name,
          (this.#servers.get(name) ?? []).filter((other) => other !== server),
        );
        await Promise.allSettled(server.inFlight);
      },
    };
  }

  async request<O extends z.ZodType>(
    operation: Operation<z.ZodType, O>,
    input: unknown,
    deadlineMs = DEFAULT_DEADLINE_MS,
  ): Promise<z.output<O>> {
    const [server, ...others] = this.#servers.get(operation.name) ?? [];
    if (server === undefined) throw new OperationError('unavailable', `${operation.name}: nobody serves it`);
    this.#servers.set(operation.name, [...others, server]);
    const request = JSON.stringify(input) ?? 'null';
    const run = underTrace(activeTraceparent(), () => server.respond(request));
    server.inFlight.add(run);
    const done = () => void server.inFlight.delete(run);
    run.then(done, done);
    return await withDeadline(run as Promise<z.output<O>>, deadlineMs, () => {
      throw new OperationError('deadline-exceeded', `${operation.name}: no answer within ${deadlineMs} ms`);
    });
  }
}
