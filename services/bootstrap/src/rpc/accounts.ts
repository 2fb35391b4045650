import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import { getAccountSettings, setAccountSettings } from '../domain/account/account-settings.ts';
import { addBlockRule, listBlockRules, removeBlockRule } from '../domain/claim/block-rules.ts';
import { getHook, listNotifications, removeHook, retryNotification, setHook } from '../domain/hook/hooks.ts';
import { listRedirects, removeRedirect, setRedirect } from '../domain/redirect/redirects.ts';
import { type Served, served } from './serve.ts';

/** How an account onboards its devices: settings, block rules, redirects, its hook. */
export function accountOperations(ctx: Context): readonly Served[] {
  return [
    served(operations.getAccountSettings, (input) => getAccountSettings(ctx, input)),
    served(operations.setAccountSettings, (input) => setAccountSettings(ctx, input)),

    served(operations.addBlockRule, (input) => addBlockRule(ctx, input)),
    served(operations.listBlockRules, (input) => listBlockRules(ctx, input)),
    served(operations.removeBlockRule, (input) => removeBlockRule(ctx, input)),

    served(operations.setRedirect, (input) => setRedirect(ctx, input)),
    served(operations.listRedirects, (input) => listRedirects(ctx, input)),
    served(operations.removeRedirect, (input) => removeRedirect(ctx, input)),

    served(operations.setHook, (input) => setHook(ctx, input)),
    served(operations.getHook, (input) => getHook(ctx, input)),
    served(operations.removeHook, (input) => removeHook(ctx, input)),
    served(operations.listNotifications, (input) => listNotifications(ctx, input)),
    served(operations.retryNotification, (input) => retryNotification(ctx, input)),
  ];
}
