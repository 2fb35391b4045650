import { z } from 'zod';

type Schema = Exclude<Parameters<typeof z.fromJSONSchema>[0], boolean>;

/**
 * What Flotta publishes of its messages to devices, recorded from `swagger.yaml` of project-flotta/flotta-operator at
 * 3591f8dd5ddab23228ef2eb79530d0fc3018390f, which flotta-device-worker 73e0568 is built with. Theirs, not ours: it
 * changes when they change it. `additionalProperties: false` is added here, so that a misspelt member is found.
 *
 * Swagger calls none of these members required, as Go leaves out what is empty. `required` is what their programs read
 * without asking whether it came:
 *   yggdrasil messages.go, transport/http.go     type, message_id, version, sent, directive, content
 *   worker configuration.go GetDeviceConfiguration   configuration
 *   worker heartbeat.go RetrieveInfo              configuration.heartbeat.hardware_profile.include
 *   worker heartbeat.go getMutableHardwareInfoDelta  …hardware_profile.scope
 *   worker heartbeat.go getInterval               …heartbeat.period_seconds
 *   worker registration.go parseRegistrationResponse content.certificate
 */
const hardwareProfile: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: { include: { type: 'boolean' }, scope: { type: 'string', enum: ['full', 'delta'] } },
  required: ['include', 'scope'],
};

const heartbeatConfiguration: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: { period_seconds: { type: 'integer' }, hardware_profile: hardwareProfile },
  required: ['period_seconds', 'hardware_profile'],
};

const deviceConfiguration: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    'ansible-manager': { type: 'object', properties: { period_seconds: { type: 'integer' } } },
    heartbeat: heartbeatConfiguration,
    storage: { type: 'object' },
    metrics: { type: 'object' },
    os: { type: 'object' },
    'log-collection': { type: 'object' },
    mounts: { type: 'array' },
  },
  required: ['heartbeat'],
};

const deviceConfigurationMessage: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    device_id: { type: 'string' },
    version: { type: 'string' },
    configuration: deviceConfiguration,
    workloads: { type: 'array' },
    workloads_monitoring_interval: { type: 'integer', exclusiveMinimum: 0 },
    secrets: { type: 'array' },
  },
  required: ['device_id', 'version', 'configuration'],
};

const message: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    type: { type: 'string', enum: ['connection-status', 'command', 'event', 'data'] },
    message_id: { type: 'string' },
    response_to: { type: 'string' },
    version: { type: 'integer' },
    sent: { type: 'string', format: 'date-time' },
    directive: { type: 'string' },
    metadata: { type: 'object' },
    content: {},
  },
  required: ['type', 'message_id', 'response_to', 'version', 'sent', 'content'],
};

const messageResponse: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    message_id: { type: 'string' },
    directive: { type: 'string' },
    content: {},
    metadata: { type: 'object' },
  },
  required: ['message_id', 'directive', 'content', 'metadata'],
};

const registrationResponse: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: { certificate: { type: 'string' } },
  required: ['certificate'],
};

/** Definitions of theirs, by the names that they have there. */
export const flotta = {
  message: z.fromJSONSchema(message),
  'message-response': z.fromJSONSchema(messageResponse),
  'device-configuration-message': z.fromJSONSchema(deviceConfigurationMessage),
  'registration-response': z.fromJSONSchema(registrationResponse),
} as const;
