import type { RefusalCode } from '@signet/contracts';

/** What a check found wrong. */
export type Finding = { readonly code: RefusalCode; readonly message: string };

/** A time in a message. */
export function timeText(time: number): string {
  return new Date(time).toISOString();
}
