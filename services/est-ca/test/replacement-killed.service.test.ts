import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthorityDetails } from '@signet/contracts';
import { parseCertificatePem, verifyCertificateSignature } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ask } from './support/replacing-process.ts';

/** Writes of `replace-root`: the id of the new key, the new root, then each of three CAs. */
const HALF_WAY = 3;
const account = 'acme';
let dataDir: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'signet-replacing-'));
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

/** est-ca as a process of its own on the same folder. */
async function start() {
  const child = fork(join(import.meta.dirname, 'support', 'replacing-process.ts'), [dataDir], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.push(child);
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }) as const);
  const failed = ended.then((how) => Promise.reject(new Error(`ended: ${JSON.stringify(how)}`)));
  failed.catch(() => {});
  const answer = async (): Promise<unknown> => (await Promise.race([once(child, 'message'), failed]))[0];
  await answer();
  return {
    ended,
    send: (ask: Ask) => child.send(ask),
    ask: (ask: Ask) => {
      const answered = answer();
      child.send(ask);
      return answered;
    },
  };
}

describe('est-ca that is killed in the middle of replace-root', { timeout: 120_000 }, () => {
  it('F85: completes the replacement after a restart, and every CA stands below the new root', async () => {
    const first = await start();
    await first.ask({ operation: 'create', account });
    first.send({ operation: 'replace', account, killBefore: HALF_WAY });
    expect(await first.ended).toMatchObject({ signal: 'SIGKILL' });

    const second = await start();
    const read = async () =>
      ((await second.ask({ operation: 'describe', account })) as { authorities: AuthorityDetails[] })
        .authorities;
    const between = await read();
    expect(between.map(({ state }) => state)).toEqual(between.map(() => 'active'));
    expect(between.filter(({ kind }) => kind !== 'root').map(({ parent }) => parent)).toEqual(
      Array(3).fill(`root-${account}-1`),
    );
    await second.ask({ operation: 'replace', account });
    await second.ask({ operation: 'finish', account });
    const after = await read();
    const root = after.find(({ authorityId }) => authorityId === `root-${account}-2`);
    expect(root).toMatchObject({ state: 'active', replacement: { finishedAt: expect.any(String) } });
    const below = after.filter(({ kind }) => kind !== 'root');
    expect(below).toHaveLength(3);
    for (const { parent, state, certificate } of below) {
      expect({ parent, state }).toEqual({ parent: `root-${account}-2`, state: 'active' });
      const issuer = parseCertificatePem(root?.certificate ?? '');
      expect(verifyCertificateSignature(parseCertificatePem(certificate), issuer)).toBe(true);
    }
    expect(after.find(({ authorityId }) => authorityId === `root-${account}-1`)?.state).toBe('disabled');
  });
});
