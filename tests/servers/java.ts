import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Brought, onPath } from './binaries.ts';
import { install } from './debian.ts';
import { lastLine, runTool } from './run-tool.ts';

/** What only a JDK and Maven bring: programs with a small main of ours around them. */
export type JavaServer = 'mongo-java-server';

/**
 * An executable that runs it: the main class compiled, and the pinned jars beside it, from the cache or brought with
 * Maven. `say` hears of that before it begins.
 */
export function bringJavaServer(name: JavaServer, say: (line: string) => void): Brought {
  const sources = join(import.meta.dirname, 'java', name);
  const files = ['pom.xml', 'Main.java'].map((file) => readFileSync(join(sources, file), 'utf8'));
  const version = /<version>([\d.]+)<\/version>\s*<\/dependency>/.exec(files[0] ?? '')?.[1] ?? '';
  const digest = createHash('sha256').update(files.join('\0')).digest('hex').slice(0, 16);
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'signet');
  const folder = join(cache, `${name}-${digest}`);
  const path = join(folder, name);
  if (runTool(path, ['--version']).stdout.includes(name)) return { path, how: `${version}, here already` };
  const missing = (reason: string): Brought => ({ missing: `${name} ${version}: ${reason}` });
  if (onPath('mvn') === undefined || onPath('javac') === undefined) {
    const failure = install(['maven', 'default-jdk-headless']);
    if (failure !== undefined) return missing(`no JDK with Maven here, and ${failure}`);
  }
  say(`${name.padEnd(28)} ${version}, bringing with Maven …`);
  const fresh = `${folder}.${process.pid}`;
  try {
    mkdirSync(join(fresh, 'lib'), { recursive: true });
    cpSync(join(sources, 'pom.xml'), join(fresh, 'pom.xml'));
    const copy = ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib'];
    const jars = runTool('mvn', copy, fresh);
    if (jars.status !== 0) return missing(`mvn failed: ${lastLine(jars.stdout || jars.stderr)}`);
    const compiled = runTool('javac', ['-cp', 'lib/*', '-d', '.', join(sources, 'Main.java')], fresh);
    if (compiled.status !== 0) return missing(`javac failed: ${lastLine(compiled.stderr)}`);
    const script = `#!/bin/sh\nexec java -Xmx256m -cp "${folder}/lib/*:${folder}" Main "$@"\n`;
    writeFileSync(join(fresh, name), script);
    chmodSync(join(fresh, name), 0o755);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  if (!runTool(path, ['--version']).stdout.includes(name)) return missing('brought, but it does not run');
  return { path, how: `${version}, brought with Maven` };
}
