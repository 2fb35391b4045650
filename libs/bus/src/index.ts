export type {
  Bus,
  Consumer,
  DeadLetter,
  DeadLetters,
  DownlinkHandler,
  EventBus,
  EventsSince,
  Handler,
  ListenOptions,
  Message,
  Messages,
  Rpc,
  StoredMessage,
  Subscription,
  TailFrom,
} from './bus.ts';
export { BusError, type BusErrorCode } from './bus-error.ts';
export { type LocalBus, type LocalBusOptions, openLocalBus } from './local/open.ts';
export type { LocalLimits } from './local/retention.ts';
export type { Log } from './log.ts';
export { type NatsBusOptions, openNatsBus } from './nats/open.ts';
export type { StreamLimits } from './nats/streams.ts';
export { noteOwed, trackOwed } from './owed.ts';
export { type Implementation, type Implementations, serveAll } from './serve-all.ts';
export { activeTraceparent } from './trace-context.ts';
