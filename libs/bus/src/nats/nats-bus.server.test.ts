import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { describe } from 'vitest';
import { busContract } from '../../test/contract.ts';
import { openNatsHarness } from '../../test/nats-harness.ts';

const binary = requireServer('nats-server');

describe.skipIf(binary === '')('over NATS', () => {
  busContract('NATS', () => openNatsHarness((options) => startNats(binary, options)));
});
