import { z } from 'zod';
import { Account, DeviceId, Fingerprint, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { ProvisioningState } from '../provisioning-state.ts';
import { Bundle } from './bootstrap.ts';
import { ConfigFiles } from './device-config.ts';
import { PageRequest, pageOf } from './paging.ts';

/** What an operator prepares: a device that comes with its bootstrap certificate and these credentials gets its bundle. */
export const ProvisioningPlan = z.object({
  deviceId: DeviceId,
  clientId: DeviceId.optional().describe('What it calls itself over MQTT; default: the device id'),
  username: z.string().min(1).max(128).optional().describe('With `password`; else an activation key is used'),
  password: z.string().min(12).max(256).optional(),
  activationKey: z
    .string()
    .min(16)
    .max(128)
    .optional()
    .describe('Instead of user name and password; made and told once where neither is given'),
  activatesOn: Time.optional().describe('Start of the window; default: now'),
  expiresOn: Time.optional().describe('End of the window, when it is ABANDONED; default: in 30 days'),
  retryLimit: z.number().int().min(1).max(1000).default(10).describe('Failed attempts that make it FAILED'),
  overwrite: z
    .boolean()
    .default(false)
    .describe('Stop an earlier request, and let a device that is provisioned be so again'),
  config: ConfigFiles.default([]).describe('Files that become the device’s config'),
});
export type ProvisioningPlan = z.infer<typeof ProvisioningPlan>;

export const createProvisioningRequest = operation('provisioning.create-request', {
  input: ProvisioningPlan.extend({ account: Account, by: z.string() }),
  output: z.object({
    requestId: z.string(),
    expiresOn: Time,
    activationKey: z.string().optional().describe('The one that was made; it is not told again'),
  }),
  errors: ['request-exists'],
});

/** A provisioning request as operators see it: no secret of it. */
export const ProvisioningRequestView = z.object({
  requestId: z.string(),
  deviceId: DeviceId,
  clientId: DeviceId,
  credentials: z.enum(['password', 'activation-key']),
  username: z.string(),
  activatesOn: Time,
  expiresOn: Time,
  retryLimit: z.number().int(),
  failedAttempts: z.number().int(),
  overwrite: z.boolean(),
  config: z.array(z.string()).describe('Names of the files'),
  configVersion: z.number().int().optional().describe('Version of the device’s config that has them'),
  state: ProvisioningState,
  reason: z.string().optional().describe('Why it is in that state, or what failed last'),
  createdAt: Time,
  createdBy: z.string(),
  changedAt: Time,
});
export type ProvisioningRequestView = z.infer<typeof ProvisioningRequestView>;

export const listProvisioningRequests = operation('provisioning.list-requests', {
  idempotent: true,
  input: PageRequest.extend({
    account: Account,
    deviceId: DeviceId.optional(),
    state: ProvisioningState.optional(),
  }),
  output: pageOf(ProvisioningRequestView),
  errors: [],
});

export const getProvisioningRequest = operation('provisioning.get-request', {
  idempotent: true,
  input: z.object({ account: Account, requestId: z.string().max(64) }),
  output: ProvisioningRequestView,
  errors: ['unknown-request'],
});

/** It delivers nothing any more. Stopping it again changes nothing. */
export const stopProvisioningRequest = operation('provisioning.stop-request', {
  input: z.object({
    account: Account,
    requestId: z.string().max(64),
    reason: z.string().max(256).optional(),
    by: z.string(),
  }),
  output: ProvisioningRequestView,
  errors: ['unknown-request', 'illegal-transition'],
});

/**
 * Are these the credentials of an open provisioning request, and is the certificate that of its device? Asked by the
 * broker's provisioning listener at CONNECT.
 */
export const authenticateProvisioning = operation('provisioning.authenticate', {
  input: z.object({
    fingerprint: Fingerprint,
    clientId: z.string(),
    username: z.string(),
    password: z.string(),
  }),
  output: z.object({ account: Account, deviceId: DeviceId, clientId: DeviceId, requestId: z.string() }),
  errors: ['unmatched', 'wrong-password', 'request-closed', 'outside-window'],
});

const applicant = z.object({
  account: Account,
  deviceId: DeviceId,
  fingerprint: Fingerprint,
  requestId: z.string(),
});

/** Hands the bundle over, to the device that {@link authenticateProvisioning} let in. Repeating it gives it again. */
export const completeProvisioning = operation('provisioning.complete', {
  input: applicant.extend({
    csr: z.string().max(65_536).optional().describe('PKCS#10, answered where the profile allows'),
  }),
  output: Bundle,
  errors: [
    'unmatched',
    'request-closed',
    'outside-window',
    'already-provisioned',
    'illegal-transition',
    'unclaimed',
    'blocked',
    'retired',
    'wrong-identity',
    'waits-for-operator',
    'unknown-profile',
    'no-issuing-ca',
    'account-suspended',
    'redirected',
  ],
});

/** What a device says of its progress: `$signet/<client id>/provisioning/progress`. */
export const ProvisioningProgress = z.object({
  state: z.enum(['CONF_UPDATED', 'COMPLETED', 'FAILED']),
  details: z.string().max(1024).optional(),
});
export type ProvisioningProgress = z.infer<typeof ProvisioningProgress>;

/** Takes up what the device reports. One that is late, or comes again, changes nothing. */
export const reportProvisioning = operation('provisioning.report', {
  input: applicant.extend({ progress: ProvisioningProgress }),
  output: z.object({ state: ProvisioningState }),
  errors: ['unmatched'],
});
