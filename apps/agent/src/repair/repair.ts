import { AgentError } from '../agent-error.ts';
import { systemNow } from '../clock.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { configFindings } from './config-findings.ts';
import type { Finding } from './finding.ts';
import { holderFindings } from './holder-findings.ts';
import { factoryFindings, identityFindings, journalFindings } from './identity-findings.ts';
import { modeFindings } from './mode-findings.ts';
import { otherFindings } from './other-findings.ts';

/** A finding, what is to be done about it, and whether it was done. */
export type Repaired = {
  readonly file: string;
  readonly reason: string;
  /** Absent where only people can do something. */
  readonly remedy?: string;
  readonly advice?: string;
  readonly done: boolean;
};

/**
 * What is wrong with a device folder, what can be done about it, and, with `apply`, does it. It asks no server: what is
 * to be fetched again the agent fetches at its next run. Nothing is thrown away, but moved to `set-aside/`. Each finding
 * is mended before the next is looked for, since a file may only be read with another.
 * @throws AgentError `bad-key` where a key lies in a token that is not named
 */
export async function repair(
  folder: DeviceFolder,
  { apply = false, now = systemNow }: { readonly apply?: boolean; readonly now?: () => number } = {},
): Promise<Repaired[]> {
  const kinds = [
    modeFindings,
    factoryFindings,
    identityFindings,
    journalFindings,
    holderFindings,
    configFindings,
    (of: DeviceFolder) => otherFindings(of, now),
  ];
  const repaired: Repaired[] = [];
  const closed = new Set<string>();
  for (const find of kinds)
    for (const finding of await find(folder)) {
      if (closed.has(finding.file)) continue;
      if (finding.unreadable === true && !apply) closed.add(finding.file);
      repaired.push(await mended(finding, apply));
    }
  return repaired;
}

async function mended(finding: Finding, apply: boolean): Promise<Repaired> {
  const { file, reason } = finding;
  if ('advice' in finding) return { file, reason, advice: finding.advice, done: false };
  const { says, apply: mend } = finding.remedy;
  if (apply) await mend().catch((cause: unknown) => notDone(file, cause));
  return { file, reason, remedy: says, done: apply };
}

function notDone(file: string, cause: unknown): never {
  const why = cause instanceof Error ? cause.message : String(cause);
  throw new AgentError('broken-folder', `${file}: cannot be mended: ${why}`, { cause });
}
