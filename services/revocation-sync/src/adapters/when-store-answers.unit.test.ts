import { createLogger } from '@signet/service';
import { StoreError } from '@signet/store';
import { describe, expect, it } from 'vitest';
import { whenStoreAnswers } from './when-store-answers.ts';

const log = createLogger({ service: 'test', level: 'silent' });

describe('a start while the store is away', () => {
  it('waits for it', async () => {
    let tries = 0;
    const work = async () => {
      tries++;
      if (tries < 3) throw new StoreError('unavailable', 'connection refused');
      return 'loaded';
    };
    expect(await whenStoreAnswers(work, log)).toBe('loaded');
    expect(tries).toBe(3);
  });

  it('fails with whatever else is wrong', async () => {
    const work = async () => {
      throw new StoreError('invalid-document', 'number: expected a number');
    };
    await expect(whenStoreAnswers(work, log)).rejects.toMatchObject({
      code: 'invalid-document',
      message: 'number: expected a number',
    });
  });
});
