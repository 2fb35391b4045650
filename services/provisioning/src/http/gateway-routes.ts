import type { FastifyInstance } from 'fastify';
import { configRoutes } from './config-routes.ts';
import { deviceRoutes } from './device-routes.ts';
import { eventRoutes } from './event-routes.ts';
import type { Gateway } from './gateway.ts';

/** The device gateway: `/device`, `/config` and `/events` of the device that asks (device-gateway.md). */
export function gatewayRoutes(app: FastifyInstance, gateway: Gateway): void {
  deviceRoutes(app, gateway);
  configRoutes(app, gateway);
  eventRoutes(app, gateway);
}
