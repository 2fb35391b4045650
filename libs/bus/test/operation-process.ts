import { openNatsBus } from '../src/index.ts';
import { addOne, whoAnswers } from './frozen-operations.ts';

// A replica to be frozen: serves both operations, and prints `ready`, then `did <n>` for each that it carries out.
const [url = ''] = process.argv.slice(2);
const bus = await openNatsBus({ url, name: 'to-be-frozen' });
await bus.serve(whoAnswers, async () => process.pid);
await bus.serve(addOne, async (n) => {
  process.stdout.write(`did ${n}\n`);
  return process.pid;
});
process.stdout.write('ready\n');
