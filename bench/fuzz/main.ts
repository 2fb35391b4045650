import process from 'node:process';
import { fuzzCsr } from './csr.ts';

/** `npm run fuzz -- csr [seconds] [seed]`: one JSON line of what was tried; exit 1 with the request that shows a fault. */
const [target, seconds = '60', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
if (target !== 'csr' || !(Number(seconds) > 0)) {
  process.stderr.write('usage: npm run fuzz -- csr [seconds] [seed]\n');
  process.exitCode = 2;
} else {
  try {
    process.stdout.write(`${JSON.stringify(await fuzzCsr(Number(seconds), Number(seed)))}\n`);
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  }
}
