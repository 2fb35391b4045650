import { commonConfig, followsPort, port, publicUrl, wholeNumber } from '@signet/service';
import type { z } from 'zod';

/** Configuration of the provisioning service and its device gateway. */
export const provisioningConfig = commonConfig.extend({
  SIGNET_GATEWAY_PORT: port(8445).describe('Port of the device gateway (HTTPS, mutual TLS)'),
  SIGNET_EST_URL: followsPort(publicUrl({ schemes: ['https'] }).default('https://localhost:8443'), {
    port: 'SIGNET_EST_PORT',
    scheme: 'https',
  }).describe(
    'Base URL of the EST service, as devices reach it; where it is not set it follows `SIGNET_EST_PORT` and the first of `SIGNET_SERVER_NAMES`',
  ),
  SIGNET_ROTATION_STALLED_HOURS: wholeNumber(24, 1, 8760).describe(
    'How long an announced key may wait for its first contact before its rotation is shown as stalled',
  ),
  SIGNET_CAMPAIGN_TICK_MS: wholeNumber(1000, 50, 60_000).describe(
    'How often campaigns are looked at, in milliseconds',
  ),
});
export type ProvisioningConfig = z.output<typeof provisioningConfig>;
