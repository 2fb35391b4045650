import type { Name } from '../../name.ts';
import type { Lint } from '../lint.ts';

/** ub-organizational-unit-name, ub-state-name, ub-locality-name; `subject` has those of 64 that every certificate has. */
const longest = { organizationalUnit: 64, state: 128, locality: 128 } as const;

export const nameAttributes: Lint = {
  name: 'subject attributes',
  citation: 'RFC 5280 appendix A.1; ISO 3166-1',
  check({ subject }, { continues }) {
    // the name of a CA that there is already cannot be another one
    if (continues !== undefined) return undefined;
    for (const [attribute, most] of Object.entries(longest))
      if ((subject[attribute as keyof Name]?.length ?? 0) > most)
        return `${attribute} is longer than ${most} characters`;
    const { country } = subject;
    if (country !== undefined && !/^[A-Za-z]{2}$/.test(country)) return 'country is not two letters';
    for (const [attribute, text] of Object.entries(subject)) {
      if (text === '') return `${attribute} is empty`;
      if (CONTROL.test(text)) return `${attribute} holds a control character`;
    }
    return undefined;
  },
};

const CONTROL = /\p{Cc}/u;
