import type { Command } from 'commander';
import { action, type Environment } from '../context.ts';

export function eventCommands(program: Command, environment: Environment): void {
  program
    .command('events')
    .description('the event stream')
    .command('tail')
    .description('print events as they come')
    .option('--types <types>', 'only these, separated by commas')
    .option('--from <position>', '"new", "start", or a position', 'new')
    .option('--count <n>', 'end after so many', Number)
    .action(
      action(
        program,
        environment,
        async ({ api, json, stopped }, options: { types?: string; from: string; count?: number }) => {
          const { count = Number.POSITIVE_INFINITY, from, types } = options;
          const over = new AbortController();
          let seen = 0;
          for await (const event of api.events(
            { from, ...(types === undefined ? {} : { types }) },
            AbortSignal.any([stopped, over.signal]),
          )) {
            console.log(
              json
                ? JSON.stringify(event)
                : `${event.time} ${event.type} ${event.account}/${event.subject} ${JSON.stringify(event.data)}`,
            );
            if (++seen >= count) break;
          }
          over.abort();
        },
      ),
    );
}
