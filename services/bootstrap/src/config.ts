import { commonConfig, followsPort, port, publicUrl, wholeNumber } from '@signet/service';
import { z } from 'zod';

/** Configuration of the bootstrap service. The URLs are those that devices reach the other services by. */
export const bootstrapConfig = commonConfig.extend({
  SIGNET_BOOTSTRAP_PORT: port(8444).describe('Port of the bootstrap service (HTTPS, mutual TLS)'),
  SIGNET_EST_URL: followsPort(publicUrl({ schemes: ['https'] }).default('https://localhost:8443'), {
    port: 'SIGNET_EST_PORT',
    scheme: 'https',
  }).describe(
    'Base URL of the EST service, as devices reach it; where it is not set it follows `SIGNET_EST_PORT` and the first of `SIGNET_SERVER_NAMES`',
  ),
  SIGNET_MQTT_URL: followsPort(
    publicUrl({ schemes: ['mqtts', 'mqtt', 'ssl', 'tls'] }).default('mqtts://localhost:8883'),
    {
      port: 'SIGNET_MQTT_PORT',
      scheme: 'mqtts',
    },
  ).describe(
    'URL of the MQTT broker, as devices reach it; where it is not set it follows `SIGNET_MQTT_PORT` and the first of `SIGNET_SERVER_NAMES`',
  ),
  SIGNET_GATEWAY_URL: followsPort(publicUrl({ schemes: ['https'] }).default('https://localhost:8445'), {
    port: 'SIGNET_GATEWAY_PORT',
    scheme: 'https',
  }).describe(
    'Base URL of the device gateway, as devices reach it; where it is not set it follows `SIGNET_GATEWAY_PORT` and the first of `SIGNET_SERVER_NAMES`',
  ),
  SIGNET_OSTREE_URL: publicUrl({ schemes: ['https', 'http'], path: true })
    .optional()
    .describe(
      'Where devices of lmp-device-register pull their system from; absent: the device gateway’s /treehub',
    ),
  SIGNET_BOOTSTRAP_RETRY_SECONDS: wholeNumber(30, 1, 86_400).describe(
    'How long a device that is not claimed yet is told to wait before it asks again',
  ),
  SIGNET_HOOK_RETRY_SECONDS: z
    .string()
    .regex(/^\d{1,6}(,\d{1,6})*$/, 'must be seconds, separated by commas')
    .default('5,30,120,600,3600,10800,21600,43200,86400')
    .transform((text) => text.split(',').map(Number))
    .describe('Waits before an onboarding hook that failed is called again; after the last it is given up'),
  SIGNET_REGISTRATION_WAIT_HOURS: wholeNumber(168, 1, 8760).describe(
    'How long a request for registration waits for an operator before it expires',
  ),
  SIGNET_FLOTTA_HEARTBEAT_SECONDS: wholeNumber(60, 1, 86_400).describe(
    'How often devices that speak Flotta’s protocol are told to send a heartbeat',
  ),
});
export type BootstrapConfig = z.output<typeof bootstrapConfig>;
