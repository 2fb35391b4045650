export { AccountState, type AccountStates, followAccounts } from './account-states.ts';
export { type Admission, type AdmissionOptions, openAdmission } from './admission.ts';
export { AdmissionGate, type GateOptions } from './admission-gate.ts';
export { type Backbone, type BackboneOptions, openBackbone } from './backbone.ts';
export { type ClockWatch, watchClock } from './clock-watch.ts';
export { type CommonConfig, commonConfig } from './common-config.ts';
export {
  type ConfigRow,
  type ConfigSchema,
  carriesSecret,
  describeConfig,
  type Environment,
  flag,
  followsPort,
  list,
  parseConfig,
  port,
  secret,
  wholeNumber,
} from './config.ts';
export { ConfigError, type ConfigProblem } from './config-error.ts';
export { openConfiguredAdmission, openConfiguredCertificate, withAdmission } from './configured.ts';
export { addressGroup } from './connections/address-group.ts';
export { ConnectionGuard, finishConnection } from './connections/connection-guard.ts';
export {
  type ConnectionLimits,
  type ConnectionOptions,
  connectionsOf,
  defaultConnectionLimits,
} from './connections/connection-limits.ts';
export type { DenialSource } from './denials.ts';
export type { DeviceServiceDeps, RunningService, ServiceDeps } from './deps.ts';
export { refusalProblem, startDeviceHttps } from './device-http.ts';
export {
  type Erasure,
  eraseById,
  eraseByIndex,
  eraseFound,
  eraseOne,
  followDeletions,
} from './erase-account.ts';
export { EventQueue } from './event-queue.ts';
export { hangUp } from './hang-up.ts';
export { type Check, type CheckResult, Health, type HealthReport } from './health.ts';
export { type HealthServer, startHealthServer } from './health-server.ts';
export { defaultLimits, type HttpLimits, type HttpListener, sendProblem } from './http-app.ts';
export { type RequestSpan, startRequestSpan } from './http-tracing.ts';
export { LineWriter } from './line-writer.ts';
export { Listeners } from './listeners.ts';
export { createLogger, type Logger } from './logger.ts';
export { type Counter, createMetrics, type Histogram, type Metrics } from './metrics.ts';
export { fetchOutbound, type OutboundCall, type OutboundResponse, streamOutbound } from './outbound/call.ts';
export { callWebhook } from './outbound/call-webhook.ts';
export { isPrivateAddress } from './outbound/private-address.ts';
export { unfitUrl } from './outbound/unfit-url.ts';
export { signedHeaders } from './outbound/webhook-signature.ts';
export { startPlainHttp } from './plain-http.ts';
export { Problem } from './problem.ts';
export { problemOf } from './problem-of.ts';
export { takeProcessLock } from './process-lock.ts';
export { below, originOf, publicHost, publicUrl } from './public-url.ts';
export { type Listener, type RefusalFacts, RefusalReporter } from './refusals.ts';
export { type Repetition, repeatedly } from './repeated.ts';
export { type ProcessHost, runProcess, runService } from './run.ts';
export {
  announcePlatform,
  findRunningPlatform,
  type PlatformAddresses,
  type PlatformNotice,
  type RunningPlatform,
} from './running-platform/index.ts';
export { instanceName, openRuntime, type Runtime } from './runtime.ts';
export {
  type IssueServerCertificate,
  openServerCertificate,
  type ServerCertificate,
  type ServerCertificateOptions,
} from './server-certificate.ts';
export {
  admissionOf,
  peerOf,
  type SessionEnd,
  type SocketAdmission,
  sessionEndOf,
} from './socket-admission.ts';
export { StartError, startFailureLine } from './start-error.ts';
export { startMetrics, startTelemetry, type Telemetry } from './telemetry.ts';
export { processTicks, Ticks } from './ticks.ts';
export { startTlsHttp } from './tls-http.ts';
export type { TlsIdentity } from './tls-identity.ts';
export { openTrust, type Trust } from './trust.ts';
export { whenAvailable } from './when-available.ts';
export { whenServed } from './when-served.ts';
