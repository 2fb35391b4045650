import type { Bus } from '@signet/bus';
import type { Health } from '@signet/service';
import type { Collection } from '@signet/store';
import { z } from 'zod';
import type { Accounts } from '../domain/account/account.ts';
import type { AuditEntry } from '../domain/audit/audit-log.ts';
import type { Budgets } from '../domain/budget/budget.ts';
import type { DeviceViewer } from '../domain/device/device-view.ts';
import type { RefusalRecord } from '../domain/device/refusal-record.ts';
import type { PullDeps } from '../domain/queue/pull.ts';
import type { QueueDeps } from '../domain/queue/queues.ts';
import type { ApiToken } from '../domain/token/api-token.ts';
import { claimCsvRoute } from './claim-csv/route.ts';
import { eventStreamRoute } from './event-stream.ts';
import type { AnyRoute, DescribedRoute } from './route.ts';
import { accountRoutes } from './routes/accounts.ts';
import { artifactRoutes } from './routes/artifacts.ts';
import { attestationCaRoutes } from './routes/attestation-cas.ts';
import { authorityRoutes } from './routes/authorities.ts';
import { certificateRoutes } from './routes/certificates.ts';
import { commandRoutes } from './routes/commands.ts';
import { crlSourceRoutes } from './routes/crl-sources.ts';
import { denylistRoutes } from './routes/denylist.ts';
import { deviceRoutes } from './routes/devices.ts';
import { factoryRoutes } from './routes/factory.ts';
import { groupRoutes } from './routes/groups.ts';
import { mqttPolicyRoutes } from './routes/mqtt-policy.ts';
import { onboardingRoutes } from './routes/onboarding.ts';
import { platformRoutes } from './routes/platform.ts';
import { profileRoutes } from './routes/profiles.ts';
import { provisioningRoutes } from './routes/provisioning.ts';
import { provisioningRequestRoutes } from './routes/provisioning-requests.ts';
import { queueRoutes } from './routes/queues.ts';
import { recordRoutes } from './routes/records.ts';
import { registrationCertificateRoutes } from './routes/registration-certificates.ts';
import { renewalRoutes } from './routes/renewals.ts';
import { requestRoutes } from './routes/requests.ts';
import { rootCrlRoutes } from './routes/root-crls.ts';
import { rotationRoutes } from './routes/rotations.ts';
import { nothing } from './routes/shapes.ts';
import { tokenRoutes } from './routes/tokens.ts';

export type RouteParts = {
  readonly bus: Bus;
  readonly health: Health;
  readonly now: () => number;
  readonly accounts: Accounts;
  readonly tokens: Collection<ApiToken>;
  readonly audit: Collection<AuditEntry, 'byAccount'>;
  readonly refusals: Collection<RefusalRecord, 'byAccount' | 'byDevice' | 'byFingerprint'>;
  readonly viewDevice: DeviceViewer;
  readonly budgets: Budgets;
  readonly queues: QueueDeps & PullDeps;
};

/** Every route of the API but the event stream, which is no JSON. */
export function allRoutes(parts: RouteParts): AnyRoute[] {
  const { bus, viewDevice, budgets } = parts;
  return [
    ...accountRoutes(parts),
    ...factoryRoutes(bus, budgets),
    ...deviceRoutes(bus, viewDevice, budgets),
    ...commandRoutes(parts),
    ...onboardingRoutes(bus),
    ...certificateRoutes(bus),
    ...renewalRoutes(bus),
    ...authorityRoutes(bus),
    ...attestationCaRoutes(bus),
    ...rootCrlRoutes(bus),
    ...profileRoutes(bus),
    ...requestRoutes(bus),
    ...registrationCertificateRoutes(bus),
    ...denylistRoutes(bus),
    ...crlSourceRoutes(bus),
    ...mqttPolicyRoutes(bus),
    ...provisioningRoutes(bus),
    ...groupRoutes(bus),
    ...rotationRoutes(bus),
    ...artifactRoutes(bus),
    ...provisioningRequestRoutes(bus),
    ...queueRoutes(parts.queues),
    ...recordRoutes(parts),
    ...tokenRoutes(parts),
    ...platformRoutes(parts),
  ];
}

/** The routes with those that are no plain exchange of JSON: what OpenAPI describes. */
export function describedRoutes(routes: readonly AnyRoute[]): readonly DescribedRoute[] {
  return [...routes, eventStreamRoute, claimCsvRoute, openApiRoute];
}

const openApiRoute = {
  method: 'GET',
  path: '/openapi.json',
  summary: 'This description',
  params: nothing,
  query: nothing,
  response: z.record(z.string(), z.unknown()),
} as const satisfies DescribedRoute;
