import { openTestGround } from '@signet/service/testing';
import { registrationRequests } from './support/registration-requests.ts';

registrationRequests((now) => openTestGround({ now, serve: [], loaded: false }));
