import type { Command } from 'commander';
import { action, type Environment } from '../context.ts';
import { wholeNumber } from '../parse-number.ts';

export function eventCommands(program: Command, environment: Environment): void {
  program
    .command('events')
    .description('the event stream')
    .command('tail')
    .description('print events as they happen')
    .option('--types <types>', 'only these, separated by commas')
    .option('--from <position>', '"new", "start", or a position', 'new')
    .option('--count <n>', 'exit after this many events', wholeNumber(1))
    .action(
      action(
        program,
        environment,
        async ({ api, say, stopped }, options: { types?: string; from: string; count?: number }) => {
          const { count = Number.POSITIVE_INFINITY, from, types } = options;
          const over = new AbortController();
          let seen = 0;
          for await (const event of api.events(
            { from, ...(types === undefined ? {} : { types }) },
            AbortSignal.any([stopped, over.signal]),
          )) {
            const { time, type, account, subject, data } = event;
            say(event, () => `${time} ${type} ${account}/${subject} ${JSON.stringify(data)}`);
            if (++seen >= count) break;
          }
          over.abort();
        },
      ),
    );
}
