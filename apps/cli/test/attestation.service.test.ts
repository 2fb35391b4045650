import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AttestationCa } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 180_000 });

describe('signet attestation ca', () => {
  let env: DevEnv;
  let terminal: Terminal;
  const stack = new AsyncDisposableStack();
  const { root } = createTestPki();
  beforeAll(async () => {
    env = stack.use(await startDevEnv());
    terminal = stack.use(await Terminal.open(env));
    await writeFile(join(terminal.folder, 'vendor.pem'), root.certificate.pem());
  });
  afterAll(() => stack.disposeAsync());

  const signet = (...args: string[]) => terminal.signet('--account', 'acme', ...args);
  const list = async () => {
    const { out } = await signet('attestation', 'ca', 'list', '--json');
    const lines = out.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as AttestationCa);
  };

  it('F6, F81: trusts a maker of TPMs, with rules, lists it, and trusts it no more', async () => {
    expect((await signet('profiles', 'create', 'hardware', '--set', 'attestation=tpm')).code).toBe(0);
    const { fingerprint: id } = root.certificate;
    const added = await signet('attestation', 'ca', 'add', 'vendor.pem');
    expect(added).toMatchObject({ code: 0, err: '' });
    expect(await list()).toMatchObject([{ id, rules: [] }]);

    const rules = ['--rule', 'id:49465800/SLB9670=hardware', '--rule', '*=hardware'];
    expect((await signet('attestation', 'ca', 'add', 'vendor.pem', ...rules)).code).toBe(0);
    expect(await list()).toMatchObject([
      {
        id,
        rules: [
          { manufacturer: 'id:49465800', model: 'SLB9670', profile: 'hardware' },
          { profile: 'hardware' },
        ],
      },
    ]);
    const { out } = await signet('attestation', 'ca', 'list');
    expect(out).toContain('id:49465800/SLB9670=hardware, *=hardware');

    expect((await signet('attestation', 'ca', 'remove', id)).out).toContain(`${id} is no longer trusted`);
    expect(await list()).toEqual([]);
  });

  it('says what is wrong with a rule, a file, and an id', async () => {
    const plain = await signet('attestation', 'ca', 'add', 'vendor.pem', '--rule', '*=default');
    expect([plain.code, plain.err]).toEqual([1, expect.stringContaining('does not ask for attestation')]);
    await writeFile(join(terminal.folder, 'nothing.pem'), 'nothing\n');
    const nothing = await signet('attestation', 'ca', 'add', 'nothing.pem');
    expect([nothing.code, nothing.err]).toEqual([1, expect.stringContaining('bad-certificate')]);
    const unknown = await signet('attestation', 'ca', 'remove', 'a'.repeat(64));
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('unknown-attestation-ca')]);
  });
});
