import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Brought, onPath } from './binaries.ts';
import { install } from './debian.ts';
import { lastLine, runTool } from './run-tool.ts';

/** MQTT clients of other makers, each with a small program around it that tests drive (tests/clients). */
export type ForeignClient = 'paho' | 'rumqttc';

const cache = () => join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'signet');
const sources = (name: ForeignClient) => join(import.meta.dirname, '..', 'clients', name);

/** A client of the pinned version, from the cache or made now. `say` hears of it before it begins. */
export function bringClient(name: ForeignClient, say: (line: string) => void): Brought {
  return name === 'paho' ? bringPaho(say) : bringRumqttc(say);
}

/** The Python of a virtual environment that has paho-mqtt. */
function bringPaho(say: (line: string) => void): Brought {
  const requirements = join(sources('paho'), 'requirements.txt');
  const version = /^paho-mqtt==(\S+)/m.exec(readFileSync(requirements, 'utf8'))?.[1] ?? '';
  const directory = join(cache(), `paho-${version}`);
  const path = join(directory, 'bin', 'python');
  const has = () => {
    const { status, stdout } = runTool(path, ['-c', 'import paho.mqtt as m; print(m.__version__)']);
    return status === 0 && stdout.trim() === version;
  };
  if (has()) return { path, how: `${version}, here already` };
  say(`${'paho'.padEnd(28)} ${version}, installing into a virtual environment …`);
  const missing = (reason: string): Brought => ({ missing: `paho ${version}: ${reason}` });
  if (onPath('python3') === undefined) {
    const failure = install(['python3-venv']);
    if (failure !== undefined) return missing(`no Python here, and ${failure}`);
  }
  const make = () => runTool('python3', ['-m', 'venv', '--clear', directory]);
  if (make().status !== 0) {
    const failure = install(['python3-venv']);
    if (failure !== undefined || make().status !== 0)
      return missing(`Python makes no virtual environment (Debian package python3-venv): ${failure ?? ''}`);
  }
  const args = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--require-hashes', '-r', requirements];
  const installed = runTool(path, args);
  if (installed.status !== 0) return missing(`pip failed: ${lastLine(installed.stderr)}`);
  return has() ? { path, how: `${version}, installed with pip` } : missing('installed, but it does not run');
}

/** The program of tests/clients/rumqttc, built for just its sources and versions. */
function bringRumqttc(say: (line: string) => void): Brought {
  const folder = sources('rumqttc');
  const files = ['Cargo.toml', 'Cargo.lock', 'src/main.rs'].map((file) => readFileSync(join(folder, file)));
  const [manifest = Buffer.of()] = files;
  const version = /rumqttc = \{ version = "=([^"]+)"/.exec(manifest.toString())?.[1] ?? '';
  const hash = createHash('sha256');
  for (const file of files) hash.update(file);
  const path = join(cache(), 'bin', `rumqttc-${hash.digest('hex').slice(0, 16)}`);
  if (runTool(path, ['--version']).stdout.includes('rumqttc'))
    return { path, how: `${version}, here already` };
  const cargo = onPath('cargo');
  if (cargo === undefined) return { missing: `rumqttc ${version}: no cargo here to build it with` };
  say(`${'rumqttc'.padEnd(28)} ${version}, building with cargo (some minutes) …`);
  const target = join(cache(), `rumqttc-${process.pid}`);
  try {
    const built = runTool(cargo, ['build', '--locked', '--quiet', '--target-dir', target], folder);
    if (built.status !== 0) return { missing: `rumqttc ${version}: cargo failed: ${lastLine(built.stderr)}` };
    mkdirSync(join(cache(), 'bin'), { recursive: true });
    copyFileSync(join(target, 'debug', 'signet-test-rumqttc'), `${path}.${process.pid}`);
    renameSync(`${path}.${process.pid}`, path);
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
  return { path, how: `${version}, built with cargo` };
}
