import { openDatabase } from '@signet/sqlite';
import { openLocalBus, openNatsBus } from '../src/index.ts';
import { numberOf } from './events.ts';

// A replica to be killed: prints `took <n>` for each event that it is given and never settles one.
const [engine = '', place = ''] = process.argv.slice(2);
const bus =
  engine === 'nats'
    ? await openNatsBus({ url: place, name: 'to-be-killed', ackWaitMs: 1000 })
    : await openLocalBus({ database: openDatabase(place) });
setInterval(() => {}, 1000);
await bus.consume({ durable: 'survivors', types: ['DEVICE_FIRST_SEEN'] }, (event) => {
  process.stdout.write(`took ${numberOf(event)}\n`);
  return new Promise(() => {});
});
