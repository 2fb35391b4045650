import type { EventQueue, EventQueueState, PulledEvent } from '@signet/contracts';
import { type Command, Option } from 'commander';
import { action, type Environment } from '../context.ts';
import { facts } from '../output.ts';
import { wholeNumber } from '../parse-number.ts';

const BASE = '/v1/accounts/{account}/queues';
const pathOf = (name: string) => `${BASE}/${encodeURIComponent(name)}`;

/** `signet queues …`: events of the account for other systems, pushed to a URL or pulled. */
export function queueCommands(program: Command, environment: Environment): void {
  const queues = program.command('queues').description('event queues: pushed to a URL, or pulled');

  queues
    .command('create <name>')
    .description(
      'create a queue that receives events from now on; repeat with another --push URL to change the URL',
    )
    .option('--push <url>', 'send each event to this URL, signed; the secret is shown only once')
    .addOption(new Option('--pull', 'keep events until they are fetched and acknowledged').conflicts('push'))
    .option('--types <types>', 'only these, separated by commas')
    .action(
      action(
        program,
        environment,
        async ({ api, say }, name: string, { push: url, types }: { push?: string; types?: string }) => {
          const made = await api.put<EventQueue & { secret?: string }>(pathOf(name), {
            kind: url === undefined ? 'pull' : 'push',
            url,
            types: types?.split(','),
          });
          say(made, () => facts({ queue: made.name, kind: made.kind, url: made.url, secret: made.secret }));
        },
      ),
    );

  queues
    .command('list')
    .description('list the queues of the account')
    .action(
      action(program, environment, async ({ api, list }) => {
        await list(api.all<EventQueue>(BASE), {
          queue: (q) => q.name,
          kind: (q) => q.kind,
          url: (q) => q.url,
          types: (q) => q.types?.join(' ') ?? 'all',
          since: (q) => q.since,
          by: (q) => q.by,
        });
      }),
    );

  queues
    .command('show <name>')
    .description('show the pending events of a queue, and its last delivery and failure')
    .action(
      action(program, environment, async ({ api, say }, name: string) => {
        const queue = await api.get<EventQueueState>(pathOf(name));
        const { lastDelivered, lastFailure } = queue;
        say(queue, () =>
          facts({
            queue: queue.name,
            kind: queue.kind,
            url: queue.url,
            types: queue.types?.join(' ') ?? 'all',
            since: queue.since,
            pending: queue.pending,
            acknowledged: queue.acknowledged,
            'last delivered': lastDelivered && `${lastDelivered.at} ${lastDelivered.eventId}`,
            'last failure': lastFailure && `${lastFailure.at} ${lastFailure.eventId}: ${lastFailure.error}`,
            'dead letters': queue.deadLetters,
            consumer: queue.consumer,
          }),
        );
      }),
    );

  queues
    .command('pull <name>')
    .description('print the next events and acknowledge them')
    .option('--max <n>', 'maximum number of events', wholeNumber(1), 100)
    .option('--wait <seconds>', 'how long to wait for the first event, in seconds', wholeNumber(0), 20)
    .action(
      action(
        program,
        environment,
        async ({ api, say, written }, name: string, { max, wait }: { max: number; wait: number }) => {
          const query = { max, waitSeconds: wait };
          const { items } = await api.get<{ items: PulledEvent[] }>(`${pathOf(name)}/events`, query);
          for (const { event } of items) say(event, () => JSON.stringify(event));
          // what nobody could read is not acknowledged
          await written();
          const last = items.at(-1);
          if (last !== undefined) await api.post(`${pathOf(name)}/ack`, { position: last.position });
        },
      ),
    );

  queues
    .command('delete <name>')
    .description('delete a queue and its pending events')
    .action(
      action(program, environment, async ({ api, say }, name: string) => {
        await api.delete(pathOf(name));
        say({ deleted: name }, () => `queue ${name} is deleted`);
      }),
    );
}
