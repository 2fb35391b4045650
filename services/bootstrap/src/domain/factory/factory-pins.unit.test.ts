import type { Authority } from '@signet/contracts';
import { describe, expect, it } from 'vitest';
import { factoryPins, voidingPin } from './factory-pins.ts';

const pin = (account: string, state: Authority['state'] = 'active', subjectKeyId = 'aa') =>
  ({ authorityId: `factory-${account}`, kind: 'factory', account, state, subjectKeyId }) as Authority;

describe('the pins of a factory CA', () => {
  it('are all that have its key id, whichever of them is named', () => {
    const pins = factoryPins(() => [pin('b'), pin('a'), pin('c', 'active', 'bb')]);
    expect(pins.siblings('factory-b').map(({ account }) => account)).toEqual(['a', 'b']);
    expect(pins.byKeyId('bb').map(({ account }) => account)).toEqual(['c']);
    expect(pins.siblings('factory-held')).toEqual([]);
  });

  it('put out of force what is their own account’s alone, and what nobody else has in force', () => {
    const made = { authorityId: 'factory-a' };
    const void1 = [pin('a', 'revoked'), pin('b')];
    expect(voidingPin({ ...made, account: 'a' }, void1)).toMatchObject({ account: 'a' });
    expect(voidingPin({ ...made, account: 'b' }, void1)).toBeUndefined();
    expect(voidingPin({ ...made, account: 'buyer' }, void1)).toBeUndefined();
    expect(voidingPin(made as never, void1)).toBeUndefined();
    const none = [pin('a', 'revoked'), pin('b', 'disabled')];
    expect(voidingPin({ ...made, account: 'buyer' }, none)).toMatchObject({ account: 'a' });
    expect(voidingPin({ ...made, account: 'b' }, none)).toMatchObject({ account: 'b', state: 'disabled' });
  });
});
