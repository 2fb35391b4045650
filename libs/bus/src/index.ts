export type {
  Bus,
  Consumer,
  DeadLetter,
  DeadLetters,
  EventsAfter,
  Handler,
  ListenOptions,
  Message,
  StoredMessage,
  Subscription,
  TailFrom,
  TakeDown,
} from './bus.ts';
export { BusError, type BusErrorCode } from './bus-error.ts';
export { type LocalBus, type LocalBusOptions, openLocalBus } from './local/open.ts';
export type { LocalLimits } from './local/retention.ts';
export type { Log } from './log.ts';
export { type NatsBusOptions, openNatsBus } from './nats/open.ts';
export type { StreamLimits } from './nats/streams.ts';
export { noteOwed, trackOwed } from './owed.ts';
