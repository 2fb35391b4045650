import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EnrollmentError } from '../est/enrollment-error.ts';
import { newSecret } from '../grant/grant.ts';
import { requireChannelBinding } from './csr-policy.ts';
import { wrongPassword } from './dry-run.ts';
import { credentialsOf } from './enroll.ts';

const binding = fc
  .constantFrom(12, 32)
  .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }))
  .map((bytes) => Buffer.from(bytes).toString('base64'));
const password = fc.option(
  fc.oneof(
    binding,
    binding.map((text) => text.slice(1)),
    fc.constant(0).map(() => newSecret()),
    fc.string({ minLength: 1 }),
    fc.base64String(),
  ),
  { nil: undefined },
);

/** Whether an enrolment takes the challengePassword on some connection, with some grant by HTTP Basic. */
function isTaken(given: string | undefined, profile: { popLinking: boolean }, some: string): boolean {
  const looksBound = given !== undefined && [16, 44].includes(given.length);
  for (const connection of looksBound ? [given, some] : [some]) {
    try {
      requireChannelBinding({ id: 'p', ...profile }, given, () => connection);
    } catch (error) {
      if (error instanceof EnrollmentError) continue;
      throw error;
    }
    if (profile.popLinking) return true;
    const credentials = credentialsOf(
      { basic: { username: 'd', password: '' }, channelBinding: () => connection },
      given,
    );
    const { challengePassword } = credentials;
    // findGrant: given in both places, it must be the same grant in both
    if (challengePassword === undefined || /^[0-9a-f]{40}$/.test(challengePassword)) return true;
  }
  return false;
}

test('a dry run refuses a challengePassword that no enrolment would take, and no other', () => {
  fc.assert(
    fc.property(password, fc.boolean(), binding, (given, popLinking, some) => {
      const bytes = Buffer.from(given ?? '', 'base64');
      const isForm = [12, 32].includes(bytes.length) && bytes.toString('base64') === given;
      fc.pre(given === undefined || isForm || ![16, 44].includes(given.length));
      const refused = wrongPassword({ popLinking, authentication: 'grant' }, given) !== undefined;
      expect(refused).toBe(!isTaken(given, { popLinking }, some));
    }),
    { numRuns: 544 },
  );
});
