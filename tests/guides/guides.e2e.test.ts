import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { requireServer } from '@signet/tests/servers';
import { describe, expect, it } from 'vitest';
import { guides } from './all.ts';
import { needs } from './needs.ts';
import type { Failure } from './perform.ts';
import { runGuide } from './sandbox.ts';

const root = resolve(import.meta.dirname, '../..');
const unshare = requireServer('unshare');
const pages = guides().filter(({ steps }) => steps.some((step) => step.kind === 'shell'));
const asked = new Set(pages.flatMap(({ steps }) => steps.flatMap((step) => step.needs)));
/** What is brought; what could have been and was not is named at the end of `npm test`. */
const there = [...asked].filter((name) => {
  const need = needs[name];
  return need !== undefined && 'brought' in need && requireServer(need.brought) !== '';
});

describe('what guides say', () => {
  it('has a language on every block, and no need that is unknown', () => {
    const faults = guides().flatMap(({ file, faults }) => faults.map((fault) => `${file}: ${fault}`));
    expect(faults).toEqual([]);
    expect([...asked].filter((name) => !Object.hasOwn(needs, name))).toEqual([]);
  });
});

describe.skipIf(unshare === '')('a reader who does what the page says, on a machine of their own', () => {
  for (const { file, steps } of pages) {
    it.concurrent(`${file} works from top to bottom, as printed`, { timeout: 600_000 }, async () => {
      const { failures, notRun, ran } = await runGuide(resolve(root, file), there);
      expect(failures.map((failure) => told(file, failure)).join('\n\n')).toBe('');
      expect(ran).toBeGreaterThan(0);
      // nothing is left out but for a need that is not there
      const wanting = steps.filter((step) => step.needs.some((name) => !there.includes(name)));
      expect(notRun.map(({ line }) => line)).toEqual(wanting.map(({ line }) => line));
    });
  }
});

it('npx finds the programs that the pages name', async () => {
  const run = promisify(execFile);
  for (const program of ['signet', 'signet-agent']) {
    const { stdout } = await run('npx', ['--no-install', program, '--version'], { cwd: root });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
  }
});

function told(file: string, { line, command, problem, expected, got }: Failure): string {
  const wanted = expected === undefined ? '' : `\nthe page prints:\n${expected.text}`;
  return `${file}:${line}: ${command}\n${problem}${wanted}\ngot:\n${got}`;
}
