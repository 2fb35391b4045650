import type { Requirement } from '../servers/requirements.ts';

/** What a block of a guide may need beside the clone: brought by `npm test`, or never there, with the reason. */
export type Need = { readonly brought: Requirement } | { readonly never: string };

export const needs: Readonly<Record<string, Need>> = {
  docker: { never: 'no container can be built where the tests run' },
};
