import { existsSync } from 'node:fs';
import { type BuiltServer, bringBinary } from './binaries.ts';
import { bringPackages, type DebianPackage } from './debian.ts';

/** What a program that is run by hand, such as a bench, needs. */
export type Tool = BuiltServer | 'redis-server' | 'mosquitto' | 'openssl';

/**
 * The path of an executable, brought as the tests bring it: built with Go, or installed as a Debian package where that is
 * possible. Standard error says so where it takes a while.
 * @throws Error in one line, where it cannot be brought
 */
export function bringTool(name: Tool): string {
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const brought =
    name === 'nats-server' || name === 'ferretdb' ? bringBinary(name, say) : bringPackage(name, say);
  if ('missing' in brought) throw new Error(`${name}: ${brought.missing}`);
  return brought.path;
}

function bringPackage(name: DebianPackage & Tool, say: (line: string) => void) {
  // servers lie there, where a user's PATH may not lead
  const aside = `/usr/sbin/${name}`;
  if (existsSync(aside)) return { path: aside };
  const brought = bringPackages([name], () => say(`${name}: installing the Debian package …`)).get(name);
  return existsSync(aside) ? { path: aside } : (brought ?? { missing: 'not brought' });
}
