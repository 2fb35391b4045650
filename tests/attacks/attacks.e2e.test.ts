import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadCases } from './cases.ts';
import { AttackedPlatform } from './platform.ts';

const cases = await loadCases();

describe('attacks on the platform as a process', () => {
  let shared: AttackedPlatform;
  beforeAll(async () => {
    shared = await AttackedPlatform.start();
  });
  afterAll(() => shared[Symbol.asyncDispose]());

  for (const { name, attack } of cases) {
    test(`${attack.number} ${name}: ${attack.title}`, { timeout: 240_000 }, async () => {
      if (attack.platform === undefined) return await attack.run(shared);
      await using own = await AttackedPlatform.start(attack.platform.environment);
      await attack.run(own);
    });
  }

  test('the shared platform is still ready after all of them', async () => {
    const ready = await fetch(`http://127.0.0.1:${shared.ports.health}/ready`);
    expect(await ready.json()).toMatchObject({ ready: true });
  });
});
