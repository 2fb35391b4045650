import process from 'node:process';
import { fuzzCsr } from './csr.ts';
import { fuzzMqtt } from './mqtt.ts';

/** `npm run fuzz -- <target> [seconds] [seed]`: one JSON line of what was tried; exit 1 with what shows a fault. */
const targets: Record<string, (seconds: number, seed: number) => Promise<object>> = {
  csr: fuzzCsr,
  mqtt: fuzzMqtt,
};
const [target = '', seconds = '60', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
const fuzz = targets[target];
if (fuzz === undefined || !(Number(seconds) > 0)) {
  process.stderr.write(`usage: npm run fuzz -- <${Object.keys(targets).join('|')}> [seconds] [seed]\n`);
  process.exitCode = 2;
} else {
  try {
    process.stdout.write(`${JSON.stringify(await fuzz(Number(seconds), Number(seed)))}\n`);
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  }
}
