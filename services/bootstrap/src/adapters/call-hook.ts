import { callWebhook } from '@signet/service';
import type { CallHook } from '../domain/hook/deliver.ts';

/** POSTs notifications to hooks, signed as Standard Webhooks has it. */
export function hookCaller(options: {
  readonly deadlineMs: number;
  readonly allowPrivate: boolean;
  readonly now: () => number;
}): CallHook {
  return ({ url, secret }, { id, body }) => callWebhook({ ...options, url, secret, id, body });
}
