import type { Bus } from '@signet/bus';
import { getMqttPolicy, MqttPolicy, setMqttPolicy } from '@signet/contracts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing } from './shapes.ts';

export function mqttPolicyRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/mqtt-policy',
      summary: 'What the account wants of the MQTT broker beyond certificates',
      permission: 'devices:read',
      params: inAccount,
      query: nothing,
      response: MqttPolicy,
      handle: ({ params }) => bus.request(getMqttPolicy, params),
    }),
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/mqtt-policy',
      summary: 'Change it, for connections from now on; what is left out stays',
      permission: 'profiles:write',
      params: inAccount,
      query: nothing,
      body: MqttPolicy.partial(),
      response: MqttPolicy,
      handle: ({ params, body, operator }) =>
        bus.request(setMqttPolicy, { ...params, change: body, by: operator.name }),
    }),
  ];
}
