import { expect, it } from 'vitest';
import { DenialDebt } from './denial-debt.ts';

const fails = () => Promise.reject(new Error('disk full'));

it('denials that cannot be put into the list are owed since the first of them was told', async () => {
  let time = 1000;
  const debt = new DenialDebt(() => time);
  expect(debt.owedMs()).toBe(0);
  await expect(debt.taking(fails)).rejects.toThrow('disk full');
  time += 31_000;
  await expect(debt.taking(fails)).rejects.toThrow('disk full');
  expect(debt.owedMs()).toBe(31_000);
  await debt.taking(async () => 1);
  expect(debt.owedMs()).toBe(0);
});

it('while the stream cannot be read, denials are owed since the last look at it', async () => {
  let time = 1000;
  const debt = new DenialDebt(() => time);
  await debt.look(async () => 0);
  time += 5000;
  await expect(debt.look(fails)).rejects.toThrow('disk full');
  time += 26_000;
  await expect(debt.look(fails)).rejects.toThrow('disk full');
  expect(debt.owedMs()).toBe(31_000);
  await debt.look(async () => 0);
  expect(debt.owedMs()).toBe(0);
});

it('a long queue that is being worked off is no debt of its whole length', async () => {
  let time = 1000;
  const debt = new DenialDebt(() => time);
  await debt.look(async () => 0);
  for (let i = 0; i < 10; i++) {
    time += 5000;
    await debt.taking(async () => 1);
    await debt.look(async () => 5000 - i);
  }
  expect(debt.owedMs()).toBeLessThanOrEqual(5000);
  time += 31_000;
  await debt.look(async () => 4990);
  expect(debt.owedMs()).toBeGreaterThan(30_000);
});
