import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeviceFolder } from '../device-folder.ts';
import { tellUsers } from './tell-users.ts';
import { parseUsers } from './users.ts';

let folder: DeviceFolder;
let handlers: { folder: string; deadlineMs: number };
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = new DeviceFolder(await mkdtemp(join(tmpdir(), 'signet-users-')));
  handlers = { folder: join(folder.path, 'handlers'), deadlineMs: 10_000 };
  await mkdir(handlers.folder);
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(folder.path, { recursive: true, force: true });
});

const users = (list: unknown) => writeFile(join(folder.path, 'users.json'), JSON.stringify(list));
const shared = (certificate: string, crl = 'crl') => ({
  path: '/run/signet/identity',
  contents: { 'certificate.pem': certificate, 'key.pem': 'key', 'trust.pem': 'trust', 'crl.pem': crl },
});
const tell = (certificate: string, crl?: string) => tellUsers(folder, shared(certificate, crl), handlers);

async function program(name: string, script: string): Promise<void> {
  const path = join(handlers.folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

describe('users of the shared identity', () => {
  it('F37: are told by a program once of each change, with what has changed', async () => {
    const log = join(folder.path, 'log');
    await program('reload', `echo "$1 $CHANGED $IDENTITY_FOLDER" >> ${log}`);
    await users([{ name: 'api', command: ['reload', 'now'] }]);
    expect(await tell('one')).toMatchObject([{ name: 'api', success: true }]);
    expect(await tell('one')).toEqual([]);
    await tell('two');
    await tell('two', 'other crl');
    expect((await readFile(log, 'utf8')).trim().split('\n')).toEqual([
      'now certificate trust crl /run/signet/identity/current',
      'now certificate /run/signet/identity/current',
      'now crl /run/signet/identity/current',
    ]);
  });

  it('that want to hear of the CRL alone hear of nothing else', async () => {
    await program('reload', 'true');
    await users([{ name: 'checks', command: ['reload'], on: ['crl'] }]);
    expect(await tell('one')).toHaveLength(1);
    expect(await tell('two')).toEqual([]);
    expect(await tell('two', 'other crl')).toHaveLength(1);
  });

  it('that could not be told are told at the next call', async () => {
    await program('reload', 'echo not yet; exit 1');
    await users([{ name: 'api', command: ['reload'] }]);
    expect(await tell('one')).toEqual([{ name: 'api', success: false, details: 'not yet' }]);
    await program('reload', 'true');
    expect(await tell('one')).toMatchObject([{ success: true }]);
    expect(await tell('one')).toEqual([]);
  });

  it('get the signal that they ask for, if the number is that of their process', async () => {
    child = spawn('/bin/sh', ['-c', 'trap "exit 7" USR1; echo ready; while :; do sleep 0.05; done']);
    const exited = once(child, 'exit');
    await once(child.stdout ?? expect.unreachable(), 'data');
    const pidFile = join(folder.path, 'api.pid');
    const user = { name: 'api', pidFile, signal: 'SIGUSR1' };
    await users([user]);
    expect(await tell('one')).toMatchObject([{ success: false, details: `${pidFile}: not there` }]);
    await writeFile(pidFile, 'none\n');
    expect(await tell('one')).toMatchObject([{ details: `${pidFile}: no number of another process` }]);
    await writeFile(pidFile, `${child.pid}\n`);
    await users([{ ...user, process: 'nginx' }]);
    expect(await tell('one')).toMatchObject([{ details: `process ${child.pid} is "sh", not nginx` }]);
    await users([user]);
    expect(await tell('one')).toMatchObject([{ success: true }]);
    expect(await exited).toEqual([7, null]);
  });

  it.each([
    ['{', /^users\.json: .*JSON/],
    ['{}', /^users\.json: .*expected array/],
    ['[{"name":"a/b","command":["x"]}]', /^users\.json: \[0\]\.name: must be 1 to 64 of A-Z a-z 0-9 _ \. -/],
    ['[{"name":"a","pidFile":"run.pid"}]', /must be an absolute path/],
    ['[{"name":"a","pidFile":"/a","signal":"SIGKILL"}]', /^users\.json: \[0\]\.signal: Invalid option/],
    ['[{"name":"a","command":["x"]},{"name":"a","command":["y"]}]', /^users\.json: "a" stands there twice$/],
  ])('are refused where the file says %s', (text, message) => {
    expect(() => parseUsers(text)).toThrow(
      expect.objectContaining({ code: 'bad-users', message: expect.stringMatching(message) }),
    );
  });
});
