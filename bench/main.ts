import { parseArgs } from 'node:util';
import { agent } from './agent.ts';
import { bootstrap } from './bootstrap.ts';
import { crl } from './crl.ts';
import { crlSource } from './crl-source.ts';
import { denylist } from './denylist.ts';
import { est } from './est.ts';
import { gateway } from './gateway.ts';
import { issuance } from './issuance.ts';
import { mqtt } from './mqtt.ts';
import { mqttIdle } from './mqtt-idle.ts';
import { ocsp } from './ocsp.ts';
import { platform } from './platform.ts';
import { revoke } from './revoke.ts';
import { rotation } from './rotation.ts';

type Options = {
  readonly sessions?: string;
  readonly minutes?: string;
  readonly backbone?: string;
  readonly short?: boolean;
};

/** What a bench tells: its name and numbers, one JSON line with `--json`. */
const benches: Record<string, (options: Options) => Promise<object>> = {
  platform,
  agent,
  bootstrap,
  crl,
  'crl-source': crlSource,
  denylist,
  est,
  gateway,
  issuance,
  mqtt,
  'mqtt-idle': mqttIdle,
  ocsp,
  rotation,
  revoke,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    // of platform: embedded (default) or nats; fewer devices
    backbone: { type: 'string' },
    short: { type: 'boolean' },
    // of mqtt-idle
    sessions: { type: 'string' },
    minutes: { type: 'string' },
  },
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
