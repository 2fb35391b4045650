import { parseArgs } from 'node:util';
import { ConfigError } from '@signet/service';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where each listener is behind the base; with 8000 all but the health port are where they usually are. */
const OFFSETS = {
  SIGNET_HEALTH_PORT: 64,
  SIGNET_ADMIN_PORT: 80,
  SIGNET_EST_HTTP_PORT: 81,
  SIGNET_EST_PORT: 443,
  SIGNET_BOOTSTRAP_PORT: 444,
  SIGNET_GATEWAY_PORT: 445,
  SIGNET_MQTT_PORT: 883,
  SIGNET_MQTT_PROVISIONING_PORT: 884,
} as const;
const LARGEST = 65_535 - 884;

/**
 * `npm start -- --port-base 9000`: every listener moves, and with each what devices are told, so that a second platform
 * runs beside one. A port that is set stays where it is set.
 * @throws ConfigError for what is no such option
 */
export function withPortBase(env: Environment, args: readonly string[]): Environment {
  const base = baseOf(args);
  if (base === undefined) return env;
  const ports = Object.entries(OFFSETS).map(([variable, offset]) => [
    variable,
    env[variable] || String(base + offset),
  ]);
  return { ...env, ...Object.fromEntries(ports) };
}

function baseOf(args: readonly string[]): number | undefined {
  let text: string | undefined;
  try {
    text = parseArgs({ args: [...args], options: { 'port-base': { type: 'string' } } }).values['port-base'];
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new ConfigError([{ variable: 'npm start', reason: `${reason}; there is --port-base <port>` }]);
  }
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1024 && Number(text) <= LARGEST) return Number(text);
  throw new ConfigError([{ variable: '--port-base', reason: `must be a port, 1024 to ${LARGEST}` }]);
}
