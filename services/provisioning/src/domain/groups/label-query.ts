import type { Labels } from '@signet/contracts';

/** Whether all terms of a query (`site=hall-3,tier!=test,has-tpm,!retired`) hold for these labels. */
export function fits(query: string, labels: Labels): boolean {
  return query.split(',').every((text) => {
    const [, not = '', key = '', relation, value = ''] =
      /^(!?)([^=!]+)(?:(!?=)(.*))?$/.exec(text.trim()) ?? [];
    const held = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (relation === '=') return held === value;
    if (relation === '!=') return held !== value;
    return not === '' ? held !== undefined : held === undefined;
  });
}
