import { z } from 'zod';
import { Account, DeviceId, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/** Where an account is told of each device that was onboarded. */
export const OnboardingHook = z.object({
  account: Account,
  url: z.url({ protocol: /^https?$/ }),
  since: Time,
  by: z.string(),
});
export type OnboardingHook = z.infer<typeof OnboardingHook>;

/** One onboarding on its way to the hook. `notificationId` is the `webhook-id`, the same however often it is sent. */
export const OnboardingNotification = z.object({
  notificationId: z.string(),
  account: Account,
  deviceId: DeviceId,
  state: z.enum(['due', 'delivered', 'dead']),
  attempts: z.number().int(),
  onboardedAt: Time,
  deliveredAt: Time.optional(),
  nextAt: Time.optional().describe('When it is tried again'),
  error: z.string().optional().describe('Why the last attempt failed'),
});
export type OnboardingNotification = z.infer<typeof OnboardingNotification>;

/** Sets the hook, in place of the one that there was. The secret signs calls (Standard Webhooks) and is shown this once. */
export const setHook = operation('bootstrap.set-hook', {
  input: z.object({ account: Account, url: OnboardingHook.shape.url, by: z.string() }),
  output: OnboardingHook.extend({ secret: z.string() }),
  errors: ['bad-url'],
});

export const getHook = operation('bootstrap.get-hook', {
  idempotent: true,
  input: z.object({ account: Account }),
  output: OnboardingHook,
  errors: ['no-hook'],
});

/** What is on its way is dropped. */
export const removeHook = operation('bootstrap.remove-hook', {
  input: z.object({ account: Account, by: z.string() }),
  output: z.object({}),
  errors: ['no-hook'],
});

export const listNotifications = operation('bootstrap.list-notifications', {
  idempotent: true,
  input: PageRequest.extend({ account: Account, state: OnboardingNotification.shape.state }),
  output: pageOf(OnboardingNotification),
  errors: [],
});

/** Tries a dead notification again, with the same id. */
export const retryNotification = operation('bootstrap.retry-notification', {
  input: z.object({ account: Account, notificationId: z.string(), by: z.string() }),
  output: OnboardingNotification,
  errors: ['unknown-notification'],
});
