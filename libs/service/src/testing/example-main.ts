import process from 'node:process';
import { commonConfig } from '../common-config.ts';
import { flag, port } from '../config.ts';
import { startPlainHttp } from '../plain-http.ts';
import { runService } from '../run.ts';

const ExampleConfig = commonConfig.extend({
  EXAMPLE_PORT: port(0).describe('Port of the example'),
  EXAMPLE_HANGS: flag(false).describe('Whether the start waits for ever, as for a bus that is unavailable'),
});

/** A service that a test can run as a process: `/slow` answers when stdin says "go", `/crash` leaves a rejection behind. */
await runService('example', ExampleConfig, async (config, { log }) => {
  if (config.EXAMPLE_HANGS) {
    log.info('waiting');
    await new Promise(() => {});
  }
  const listener = await startPlainHttp({
    port: config.EXAMPLE_PORT,
    host: '127.0.0.1',
    log,
    routes(app) {
      app.get('/slow', async () => {
        log.info('slow request started');
        await new Promise((resolve) => process.stdin.once('data', resolve));
        return { done: true };
      });
      app.get('/crash', async () => {
        setImmediate(() => void Promise.reject(new Error('left behind')));
        return {};
      });
    },
  });
  return {
    ports: { http: listener.port },
    [Symbol.asyncDispose]: () => listener.close(60_000),
  };
});
