import { z } from 'zod';
import { wholeNumber } from '../config.ts';
import type { Metrics } from '../metrics.ts';

/** Configuration of {@link ConnectionLimits}, the same for every listener. */
export const connectionConfig = {
  SIGNET_HANDSHAKE_SECONDS: wholeNumber(10, 1, 300).describe(
    'How long a connection may take from its acceptance to the end of its TLS handshake',
  ),
  SIGNET_FIRST_REQUEST_SECONDS: wholeNumber(10, 1, 300).describe(
    'How long a connection may take from its TLS handshake to a whole CONNECT, or request line with headers',
  ),
  SIGNET_UNFINISHED_CONNECTIONS: wholeNumber(4096, 1).describe(
    'Connections of one listener that may be amid their TLS handshake or first request; with more, the oldest of the address that has most of them is closed',
  ),
  SIGNET_UNFINISHED_PER_ADDRESS: wholeNumber(2048, 1).describe(
    'The same for one network address (IPv6: one /64); with more, its own oldest is closed',
  ),
  SIGNET_CONNECTIONS_PER_ADDRESS: wholeNumber(0, 0).describe(
    'Connections of one listener that one network address (IPv6: one /64) may hold; further ones are closed. 0 for no bound: thousands of devices may share an address',
  ),
  SIGNET_BODY_BYTES_PER_SECOND: wholeNumber(200, 0).describe(
    'Least rate at which the body of a request must come, after its first ten seconds; 0 for none',
  ),
} as const;

const Config = z.object(connectionConfig);

/** Bounds on peers that connect and then do not go on; times in ms. */
export type ConnectionLimits = {
  /** From the accepted connection to the finished TLS handshake. */
  readonly handshakeMs: number;
  /** From there to CONNECT, or to the request line and headers. */
  readonly requestMs: number;
  /** Connections amid either, or amid a request's body. */
  readonly unfinished: number;
  readonly unfinishedPerAddress: number;
  /** Connections of one address, finished or not; 0 for no bound. */
  readonly perAddress: number;
  /** Bytes a second of a request's body; 0 for no bound. */
  readonly bodyRate: number;
};

/** What a listener needs to guard its connections; see `connectionsOf`. */
export type ConnectionOptions = {
  /** The label of its metrics. */
  readonly listener: string;
  readonly limits?: Partial<ConnectionLimits>;
  readonly metrics?: Metrics;
};

/** The limits as configured. */
export function connectionLimits(config: z.output<typeof Config>): ConnectionLimits {
  return {
    handshakeMs: config.SIGNET_HANDSHAKE_SECONDS * 1000,
    requestMs: config.SIGNET_FIRST_REQUEST_SECONDS * 1000,
    unfinished: config.SIGNET_UNFINISHED_CONNECTIONS,
    unfinishedPerAddress: config.SIGNET_UNFINISHED_PER_ADDRESS,
    perAddress: config.SIGNET_CONNECTIONS_PER_ADDRESS,
    bodyRate: config.SIGNET_BODY_BYTES_PER_SECOND,
  };
}

export const defaultConnectionLimits: ConnectionLimits = connectionLimits(Config.parse({}));

/** The guard options of one listener. */
export function connectionsOf(
  config: z.output<typeof Config>,
  { metrics }: { readonly metrics: Metrics },
  listener: string,
): ConnectionOptions {
  return { listener, metrics, limits: connectionLimits(config) };
}
