import { openTestFixture } from '@signet/service/testing';
import { requireServer } from '@signet/tests/servers';
import { describe } from 'vitest';
import { registrationRequests } from './support/registration-requests.ts';

const mongo = requireServer('mongo');

describe.skipIf(mongo === '')('on a server of MongoDB’s protocol', () => {
  const store = new URL(`signet-registrations-${process.pid}`, mongo).href;
  registrationRequests((now) => openTestFixture({ now, store, serve: [], loaded: false }));
});
