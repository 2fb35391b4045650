export { type DevEnv, type DevEnvOptions, type Engines, startDevEnv } from './dev-env.ts';
export {
  askReadiness,
  type Environment,
  openOperator,
  type Ports,
  type ServiceName,
  serviceNames,
  trustAnchors,
  untilReady,
} from './environment.ts';
export { EventLog } from './event-log.ts';
export { type ApiAnswer, OperatorClient } from './operator-client.ts';
export { type LogLine, ServiceLog } from './service-log.ts';
