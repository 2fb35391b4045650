import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A thing and the event that was written with it. */
export type Pair = { readonly thing: string; readonly event: string };

function pairOf(line: string): Pair {
  const [thing = '', event = ''] = line.split(' ');
  return { thing, event };
}

/** Starts a writer and kills it (SIGKILL) once it has so many writes acknowledged. @returns those that it told of */
export async function killWriterAfter(acknowledged: number, url: string, busFile: string): Promise<Pair[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'killed-writer.ts'), url, busFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pairs: Pair[] = [];
  const closed = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    pairs.push(pairOf(line));
    if (pairs.length === acknowledged) child.kill('SIGKILL');
  }
  const [, signal] = await closed;
  if (signal !== 'SIGKILL') throw new Error(`the writer ended by itself after ${pairs.length} writes`);
  return pairs;
}

/** What the killed writer had published. */
export function publishedIn(busFile: string): Pair[] {
  if (!existsSync(busFile)) return [];
  return readFileSync(busFile, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map(pairOf);
}
