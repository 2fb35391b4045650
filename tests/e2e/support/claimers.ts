import { setTimeout } from 'node:timers/promises';
import type { FactoryResult } from '@signet/contracts';
import { createCsr, encodePem } from '@signet/pki';
import { newTestKey } from '@signet/pki/testing';
import { expect } from 'vitest';
import type { Scene } from './scene.ts';

const RETRY_MS = 100;

/** Operators that claim devices one after the other, each until it is answered 201, whatever happens meanwhile. */
export type Claimers = AsyncDisposable & {
  /** Ids whose claim was acknowledged, in that order. */
  readonly done: readonly string[];
  /** Resolves when all are claimed. */
  readonly finished: Promise<void>;
  /** Each acknowledged claim must be a state and an event. */
  check(): Promise<void>;
};

let rounds = 0;

export async function claimers(
  scene: Scene,
  { devices, atATime }: { readonly devices: number; readonly atATime: number },
): Promise<Claimers> {
  const { operator } = scene.platform.env;
  const round = ++rounds;
  const items = Array.from({ length: devices }, (_, i) => ({
    csr: encodePem(
      'CERTIFICATE REQUEST',
      createCsr({ subject: { commonName: `claimed-${round}-${i}` }, privateKey: newTestKey() }),
    ),
  }));
  const { results } = await scene.post<{ results: FactoryResult[] }>('factory/certificates', { items });
  const waiting = [...results];
  const done: string[] = [];
  const stopped = new AbortController();
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { fingerprint, deviceId } = next;
      const claim = () =>
        operator
          .call('POST', `/v1/accounts/${scene.account}/devices`, { fingerprint })
          .catch(() => undefined);
      while ((await claim())?.status !== 201) {
        if (stopped.signal.aborted) return;
        await setTimeout(RETRY_MS);
      }
      done.push(deviceId);
    }
  };
  const finished = Promise.all(Array.from({ length: atATime }, work)).then(() => {});
  return {
    done,
    finished,
    async check() {
      expect(done.length).toBe(devices);
      for (const deviceId of done) {
        const { device } = await scene.get<{ device: { state: string } }>(`devices/${deviceId}`);
        expect({ deviceId, state: device.state }).toEqual({ deviceId, state: 'claimed' });
        await scene.event('DEVICE_CLAIMED', ({ subject }) => subject === deviceId);
      }
    },
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await finished;
    },
  };
}
