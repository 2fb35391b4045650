import { guides } from '@signet/tests/guides';
import { needs } from '@signet/tests/guides/needs';
import { code, type Generator, page, table } from './document.ts';

const introduction = `Every shell block of every guide and of the README is run by a test, from top to bottom, as it is printed:
\`npm run guide -- docs/guides/claim.md\` shows one. These are not, each with its reason.`;

/** The blocks whose need is never there. */
export const notRun: Generator = {
  file: '../guides/not-run.md',
  generate() {
    const rows = guides().flatMap(({ file, steps }) =>
      steps.flatMap((step) =>
        step.needs.flatMap((name) => {
          const need = needs[name];
          const first = step.text.trim().split('\n')[0] ?? '';
          return need !== undefined && 'never' in need ? [[code(file), code(first), need.never]] : [];
        }),
      ),
    );
    rows.unshift([
      code('README.md'),
      code('npm ci'),
      'the tests begin with it, and have no registry after that',
    ]);
    return page('What is not run', introduction, [
      table(['page', 'block that begins with', 'because'], rows),
    ]);
  },
};
