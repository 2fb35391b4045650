import { openTestFixture } from '@signet/service/testing';
import { registrationRequests } from './support/registration-requests.ts';

registrationRequests((now) => openTestFixture({ now, serve: [], loaded: false }));
