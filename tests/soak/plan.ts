import type { Mode, Result } from './results.ts';

export type Run = { readonly file: string; readonly round: number; readonly mode: Mode };

/**
 * What is left to do: `times` rounds over the files, load and idle in turn, without the runs that this commit has
 * results of. Rounds go over all files before the next begins, so that a soak that is ended early has seen each.
 */
export function planRuns(
  files: readonly string[],
  times: number,
  done: readonly Pick<Result, 'file' | 'round' | 'mode'>[],
  only?: Mode,
): Run[] {
  const key = ({ file, round, mode }: Run) => `${file} ${round} ${mode}`;
  const has = new Set(done.map(key));
  const rounds = Array.from({ length: times }, (_, index) => index + 1);
  return rounds
    .flatMap((round) =>
      files.map((file) => ({ file, round, mode: only ?? (round % 2 === 1 ? 'load' : 'idle') }) as const),
    )
    .filter((run) => !has.has(key(run)));
}

/** One line a file: how many runs of each kind were green, and what failed with which seed. */
export function summary(files: readonly string[], results: readonly Result[]): string {
  const width = Math.max(...files.map((file) => file.length));
  return files
    .flatMap((file) => {
      const own = results.filter((result) => result.file === file);
      const of = (mode: Mode) => {
        const such = own.filter((result) => result.mode === mode);
        return `${mode} ${such.filter(isGreen).length}/${such.length}`;
      };
      const red = own.filter((result) => !isGreen(result));
      return [`${file.padEnd(width)}  ${of('load')}  ${of('idle')}`, ...red.map((one) => failureLines(one))];
    })
    .join('\n');
}

/** A run in which nothing passed has shown nothing, so it is not green. */
export const isGreen = ({ failures, passed }: Result): boolean => failures.length === 0 && passed > 0;

/** What failed, and how to run it so again. */
export function failureLines({ file, round, mode, seed, failures, log }: Result): string {
  const shown = failures.map(({ title, message }) => `    ${title}\n      ${message.split('\n')[0]}`);
  return [
    `  round ${round}, ${mode}, seed ${seed}: ${failures.length === 0 ? 'nothing ran' : `${failures.length} failed`}`,
    ...shown,
    `    again: npm run test:soak -- ${file} --times 1 --${mode} --seed ${seed}${log === undefined ? '' : `; log: ${log}`}`,
  ].join('\n');
}
