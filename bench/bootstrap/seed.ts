import { createHash } from 'node:crypto';
import { join } from 'node:path';
import process from 'node:process';
import { uuidv7 } from '@signet/contracts';
import { openStore } from '@signet/store';
import { type DeviceRecord, deviceRecords } from '../../services/bootstrap/src/collections.ts';

/** Leaves in the store what a factory leaves that made so many devices: `seed.ts <folder> <count> <certificate>`. */
const [folder = '', count = '0', certificate = ''] = process.argv.slice(2);

const ACCOUNT = 'bench';

const AT_A_TIME = 2048;

/** The fingerprint of the n-th. */
const fingerprintOf = (n: number) => createHash('sha256').update(`device ${n}`).digest('hex');

function recordOf(n: number): DeviceRecord {
  const name = `seed-${String(n).padStart(7, '0')}`;
  return {
    id: fingerprintOf(n),
    deviceId: name,
    factoryAccount: ACCOUNT,
    deviceSerialNumber: name,
    model: 'P200',
    certificate,
    certificateSerial: fingerprintOf(n).slice(0, 32),
    publicKeyHash: fingerprintOf(n),
    authorityId: 'factory-seed',
    made: uuidv7(Date.now()),
    manufacturedAt: new Date().toISOString(),
    state: 'manufactured',
  };
}

const store = await openStore({
  url: `sqlite:${join(folder, 'signet.db')}`,
  publish: async () => undefined,
});

const devices = await store.collection(deviceRecords);

for (let from = 0; from < Number(count); from += AT_A_TIME) {
  const size = Math.min(AT_A_TIME, Number(count) - from);
  await Promise.all(Array.from({ length: size }, (_, i) => devices.insert(recordOf(from + i))));
}

await store[Symbol.asyncDispose]();
