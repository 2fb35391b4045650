import { openDatabase } from '@signet/sqlite';
import { openLocalBus } from '../src/index.ts';
import { numberOf } from './events.ts';

// A replica that dies of the event with the number 1.
const bus = await openLocalBus({ database: openDatabase(process.argv[2] ?? '') });
await bus.consume({ durable: 'poisoned', types: ['DEVICE_FIRST_SEEN'], maxDeliveries: 3 }, async (event) => {
  if (numberOf(event) === 1) process.kill(process.pid, 'SIGKILL');
  await new Promise(() => {});
});
