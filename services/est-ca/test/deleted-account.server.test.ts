import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuthorityDetails, createAuthorities, describeAuthorities, newEvent } from '@signet/contracts';
import { parseCertificatePem, parseCrl } from '@signet/pki';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openEstFixture } from './support/est-fixture.ts';
import type { Ask } from './support/replacing-process.ts';
import { run } from './support/run.ts';
import { enrolledDevice } from './support/scene.ts';

vi.setConfig({ testTimeout: 120_000 });

const account = 'gone';
const by = 'ada';
const WITHIN = { timeout: 60_000, interval: 100 };

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'signet-deleted-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

it('CRL and OCSP of the CAs of a deleted account are served, and say that its certificates are revoked', async () => {
  const est = await openEstFixture();
  onTestFinished(() => est[Symbol.asyncDispose]());
  const { bus } = est.fixture.deps;
  await bus.request(createAuthorities, { account, by });
  const { issued } = await enrolledDevice(est, 'pump', account);
  const describe = async () => (await bus.request(describeAuthorities, { account })).authorities;
  const issuer = (await describe()).find(
    ({ certificate }) => parseCertificatePem(certificate).subjectKeyId === issued.authorityKeyId,
  );
  expect(issuer).toMatchObject({ account, kind: 'issuing' });

  await bus.publish([
    newEvent('ACCOUNT_DELETED', { account, subject: account, time: Date.now(), data: { by } }),
  ]);
  await vi.waitFor(
    async () => expect((await describe()).filter(({ state }) => state !== 'revoked')).toEqual([]),
    WITHIN,
  );

  const [url = ''] = issued.crlUrls;
  await vi.waitFor(async () => {
    const crl = parseCrl(new Uint8Array(await (await fetch(url)).arrayBuffer()));
    expect(crl.entries.map(({ serialNumber }) => serialNumber)).toContain(issued.serialNumber);
  }, WITHIN);

  const folder = await temporaryFolder();
  const root = (await describe()).find(({ kind }) => kind === 'root')?.certificate ?? '';
  await writeFile(join(folder, 'issuer.pem'), issuer?.certificate ?? '');
  await writeFile(join(folder, 'root.pem'), root);
  await writeFile(join(folder, 'device.pem'), issued.pem());
  const { stdout, stderr } = await run(
    'openssl',
    [
      ...['ocsp', '-issuer', 'issuer.pem', '-cert', 'device.pem', '-CAfile', 'root.pem'],
      ...['-url', `http://127.0.0.1:${est.service.httpPort}/ocsp`],
    ],
    { cwd: folder },
  );
  const said = stdout.toString() + stderr;
  expect(said).toContain('Response verify OK');
  expect(said).toMatch(/device\.pem: revoked/);
});

it('est-ca that is killed while it ends a deleted account goes on after the restart, until no CA is in force', async () => {
  const dataDir = await temporaryFolder();
  const first = await startProcess(dataDir);
  await first.ask({ operation: 'create', account });
  await first.ask({ operation: 'create', account: 'stays' });
  first.send({ operation: 'delete', account, killBefore: 2 });
  expect(await first.ended).toMatchObject({ signal: 'SIGKILL' });

  const second = await startProcess(dataDir);
  const statesOf = async (of: string) => {
    const { authorities } = (await second.ask({ operation: 'describe', account: of })) as {
      authorities: readonly AuthorityDetails[];
    };
    return authorities.map(({ state }) => state);
  };
  await vi.waitFor(async () => {
    const states = await statesOf(account);
    expect(states).toEqual(states.map(() => 'revoked'));
  }, WITHIN);
  expect(new Set(await statesOf('stays'))).toEqual(new Set(['active']));
});

/** est-ca as a process of its own on a folder. */
async function startProcess(dataDir: string) {
  const child: ChildProcess = fork(join(import.meta.dirname, 'support', 'replacing-process.ts'), [dataDir], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
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
