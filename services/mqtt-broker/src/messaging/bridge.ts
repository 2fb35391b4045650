import type { Bus, Subscription } from '@signet/bus';
import { deviceTopic, mqttSubject, parseMqttSubject } from '@signet/contracts';
import type { Owner } from '../domain/topic-rules.ts';

/** The bridge between topics and the bus: downstream systems need no MQTT. */
export type Bridge = {
  /** QoS 1: resolves once the bus has stored the message. QoS 0: handed on, not stored. */
  readonly up: (
    owner: Owner,
    levels: readonly string[],
    payload: Uint8Array,
    stored: boolean,
  ) => Promise<void>;
};

export function bridgeUp(bus: Bus, deadlineMs: number): Bridge {
  return {
    up: ({ account, deviceId }, levels, payload, stored) =>
      bus.send(mqttSubject(account, deviceId, 'up', levels), payload, stored ? { stored, deadlineMs } : {}),
  };
}

/** Messages for devices: `signet.mqtt.<account>.<device>.down.…` becomes a publication on the device's topic. */
export function bridgeDown(
  bus: Bus,
  publish: (topic: string, payload: Uint8Array) => void,
): Promise<Subscription> {
  return bus.listen('signet.mqtt.*.*.down.>', ({ subject, payload }) => {
    const parsed = parseMqttSubject(subject);
    if (parsed !== undefined) publish(deviceTopic({ ...parsed }), payload);
  });
}
