import { errors, type Msg } from '@nats-io/nats-core';
import { deadlineIn } from '@signet/async';
import type { Message } from '../bus.ts';
import { BusError } from '../bus-error.ts';
import type { Log } from '../log.ts';
import type { Link } from './link.ts';

const TAKEN = 'taken';

/** Gives a message to whoever listens for its subject, and waits until that one is done with it. */
export async function requestRaw(
  link: Link,
  { subject, payload }: Message,
  deadlineMs: number,
): Promise<'taken' | 'nobody' | 'silent'> {
  const { nc } = await link.connected(deadlineIn(deadlineMs));
  let answer: string;
  try {
    answer = (await nc.request(subject, payload, { timeout: deadlineMs })).string();
  } catch (error) {
    if (error instanceof errors.NoRespondersError) return 'nobody';
    if (error instanceof errors.RequestError && error.isNoResponders()) return 'nobody';
    if (error instanceof errors.TimeoutError) return 'silent';
    throw new BusError('unavailable', `${subject}: not delivered`, { cause: error });
  }
  if (answer !== TAKEN) throw new BusError('unavailable', `${subject}: ${answer}`);
  return 'taken';
}

/** Calls a listener; whoever handed it the message is told how that went. */
export function heard(message: Msg, handler: (message: Message) => void | Promise<void>, log: Log): void {
  const { subject, data: payload, reply } = message;
  const failed = (err: unknown) => log.error({ err, subject }, 'a listener failed');
  try {
    const outcome = handler({ subject, payload });
    if (reply === undefined || reply === '') {
      if (outcome !== undefined) outcome.catch(failed);
      return;
    }
    Promise.resolve(outcome).then(
      () => message.respond(TAKEN),
      (err: unknown) => {
        log.warn({ err, subject }, 'a message was not taken');
        message.respond(err instanceof Error ? err.message : String(err));
      },
    );
  } catch (err) {
    failed(err);
  }
}
