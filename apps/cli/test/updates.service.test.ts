import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ArtifactEntry, ArtifactStatement } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 120_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
  await writeFile(join(terminal.folder, 'app.bin'), 'software');
});
afterAll(() => stack.disposeAsync());

const sign = (...more: string[]) =>
  terminal.signet(...['updates', 'sign', 'app.bin', '--name', 'app', '--version', '1.0.0'], ...more);

describe('signet updates sign', () => {
  it('F28: prints the config file that names the artifact, with what the account signs of it', async () => {
    const { code, out, err } = await sign(
      '--from',
      'https://example.test/app',
      '--handler',
      'install',
      'now',
    );
    expect([code, err]).toEqual([0, '']);
    const [entry] = JSON.parse(out) as ArtifactEntry[];
    const facts = {
      ...{ name: 'app', version: '1.0.0', size: 8 },
      sha256: createHash('sha256').update('software').digest('hex'),
    };
    expect(entry).toEqual({
      ...facts,
      ...{ url: 'https://example.test/app', handler: ['install', 'now'], timeoutSeconds: 600 },
      jws: expect.any(String),
    });
    const payload = Buffer.from(entry?.jws.split('.')[1] ?? '', 'base64url').toString();
    expect(ArtifactStatement.parse(JSON.parse(payload))).toEqual(facts);
  });

  it('F28: signs nothing that a device would refuse', async () => {
    const plain = await sign('--from', 'http://example.test/app', '--handler', 'install');
    expect([plain.code, plain.err]).toEqual([1, 'signet: url: https:// is needed\n']);
    const taken = await sign(
      '--name',
      'certs-1',
      '--from',
      'https://example.test/app',
      '--handler',
      'install',
    );
    expect([taken.code, taken.err]).toEqual([1, expect.stringMatching(/^signet: .*name: letters/)]);
    const gone = await sign(
      '--name',
      'x',
      '--from',
      'https://example.test/',
      '--handler',
      'x',
      '--timeout',
      '0',
    );
    expect([gone.code, gone.err]).toEqual([1, expect.stringMatching(/^signet: /)]);
  });
});
