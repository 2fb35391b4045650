import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A directory that goes when the suite ends. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'signet-sqlite-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
