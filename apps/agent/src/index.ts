export { AgentError, type AgentErrorCode } from './agent-error.ts';
export { type HandOver, requestHandOver } from './bootstrap-client.ts';
export { DeviceFolder, type Identity } from './device-folder.ts';
export { type EstServer, enroll, fetchCaCertificates, leaf, reenroll } from './est-client.ts';
export { type MqttSession, openMqttSession } from './mqtt-session.ts';
export { type OnboardOptions, onboard, type Step } from './onboard.ts';
export { renew, renewalDue } from './renew.ts';
export { type RunEvent, type RunOptions, run } from './run.ts';
export { type AgentStatus, readStatus } from './status.ts';
