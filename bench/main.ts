import { parseArgs } from 'node:util';
import { bootstrap } from './bootstrap.ts';
import { crl } from './crl.ts';
import { denylist } from './denylist.ts';
import { est } from './est.ts';
import { estWorkers } from './est-workers.ts';
import { gateway } from './gateway.ts';
import { issuance } from './issuance.ts';
import { mqtt } from './mqtt.ts';
import { ocsp } from './ocsp.ts';
import { revoke } from './revoke.ts';
import { rotation } from './rotation.ts';

/** What a bench tells: its name and numbers, one JSON line with `--json`. */
const benches: Record<string, (options: { readonly workers?: string }) => Promise<object>> = {
  bootstrap,
  crl,
  denylist,
  est: ({ workers }) => (workers === undefined ? est() : estWorkers(Number(workers))),
  gateway,
  issuance,
  mqtt,
  ocsp,
  rotation,
  revoke,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  // --workers N: est over NATS and FerretDB, by one process and by N
  options: { json: { type: 'boolean' }, workers: { type: 'string' } },
});
const [name = ''] = positionals;
const bench = benches[name];
if (bench === undefined) {
  process.stderr.write(`usage: npm run bench -- <${Object.keys(benches).join('|')}> [--json]\n`);
  process.exitCode = 2;
} else {
  const result = await bench(values);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else
    for (const [key, value] of Object.entries(result))
      process.stdout.write(`${key.padEnd(20)} ${JSON.stringify(value)}\n`);
}
