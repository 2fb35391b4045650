import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export type BuiltServer = 'nats-server' | 'ferretdb';

const versions = { 'nats-server': 'v2.12.0', ferretdb: 'v1.24.2' } as const satisfies Record<
  BuiltServer,
  string
>;

/** What came of an attempt to bring something: where it is and how it came, or why it did not. */
export type Brought = { readonly path: string; readonly how: string } | { readonly missing: string };

/** The path of an executable on PATH, or undefined. */
export function onPath(name: string): string | undefined {
  const found = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, name));
  return found.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A server of the pinned version, from the cache or built with Go. `say` hears of a build before it begins. */
export function bringBinary(name: BuiltServer, say: (line: string) => void): Brought {
  const version = versions[name];
  const directory = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'signet', 'bin');
  const path = join(directory, name);
  if (reports(path, version)) return { path, how: `${version}, here already` };
  if (onPath('go') === undefined) return { missing: `${name} ${version}: no Go here to build it with` };
  say(`${name.padEnd(28)} ${version}, building with Go (some minutes) …`);
  mkdirSync(directory, { recursive: true });
  const fresh = `${path}.${process.pid}`;
  const failure = name === 'ferretdb' ? buildFerretdb(fresh, version) : buildNats(fresh);
  if (failure !== undefined) return { missing: `${name} ${version}: ${failure}` };
  if (!reports(fresh, version)) return { missing: `${name} ${version}: built, but it does not run` };
  renameSync(fresh, path);
  return { path, how: `${version}, built with Go` };
}

/** Runs `--version`: a broken or an old binary in the cache is built again. */
function reports(path: string, version: string): boolean {
  const answer = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  return answer.status === 0 && answer.stdout.includes(version);
}

function pins(name: BuiltServer): string {
  return join(import.meta.dirname, 'go', name);
}

function buildNats(path: string): string | undefined {
  return go(pins('nats-server'), ['build', '-trimpath', '-o', path, 'github.com/nats-io/nats-server/v2'])
    .error;
}

/**
 * FerretDB refuses to start without the version file that its releases add to its sources, so it is built in a copy
 * of the module that has one. (`go install` builds what then panics, and fails where a module proxy has no answer
 * to the look-up of deprecations.)
 */
function buildFerretdb(path: string, version: string): string | undefined {
  const download = go(pins('ferretdb'), [
    'mod',
    'download',
    '-json',
    `github.com/FerretDB/FerretDB@${version}`,
  ]);
  if (download.error !== undefined) return download.error;
  const { Dir: source } = JSON.parse(download.output) as { Dir: string };
  const copy = mkdtempSync(join(tmpdir(), 'signet-ferretdb-'));
  try {
    cpSync(source, copy, { recursive: true });
    spawnSync('chmod', ['-R', 'u+w', copy]);
    writeFileSync(join(copy, 'build', 'version', 'version.txt'), `${version}\n`);
    return go(copy, ['build', '-mod=readonly', '-trimpath', '-o', path, './cmd/ferretdb']).error;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function go(cwd: string, args: readonly string[]): { output: string; error?: string } {
  const env = { ...process.env, CGO_ENABLED: '0' };
  const { status, stdout, stderr, error } = spawnSync('go', args, { cwd, env, encoding: 'utf8' });
  if (status === 0) return { output: stdout };
  const reason = error?.message ?? (stderr || stdout).trim().split('\n').slice(-3).join(' / ');
  return { output: stdout, error: `go ${args[0]} failed: ${reason}` };
}
