import { afterAll, beforeAll, describe } from 'vitest';
import type { Platform } from '../support/platform.ts';
import { Scene } from '../support/scene.ts';
import type { Tools } from '../support/tools.ts';
import { approvedEnrolment } from './approved-enrolment.ts';
import { appsSuite } from './apps.ts';
import { processes } from './processes.ts';
import { refusedAtBootstrap } from './refused-at-bootstrap.ts';
import { expiredGrant, refusedAtEst } from './refused-at-est.ts';
import { refusedAtMqtt } from './refused-at-mqtt.ts';
import { refusedElsewhere } from './refused-elsewhere.ts';
import { replicas } from './replicas.ts';
import { serversAway } from './servers-away.ts';
import { serviceAway } from './service-away.ts';
import { wayOfADevice } from './way-of-a-device.ts';

/** The one suite, whichever way the platform runs. It is not run where one of `needs` is missing. */
export function platformSuite(
  name: string,
  needs: Tools & Readonly<Record<string, string>>,
  start: () => Promise<Platform>,
  /** `inProcess`: it runs in this process, on a clock of ours; `servers`: on servers that can be killed. */
  options: { readonly inProcess: boolean; readonly servers: boolean },
): void {
  describe.skipIf(Object.values(needs).includes(''))(name, () => {
    const stack = new AsyncDisposableStack();
    let scene: Scene;
    beforeAll(async () => {
      const platform = stack.use(await start());
      scene = stack.use(await Scene.open(platform, needs));
    });
    afterAll(() => stack.disposeAsync());

    const theScene = () => scene;
    wayOfADevice(theScene);
    refusedAtBootstrap(theScene);
    refusedAtEst(theScene);
    refusedAtMqtt(theScene);
    refusedElsewhere(theScene);
    appsSuite(theScene);
    approvedEnrolment(theScene);
    serviceAway(theScene);
    if (options.inProcess) replicas(theScene);
    if (options.servers) serversAway(theScene);
    if (!options.inProcess) processes(theScene);
    if (options.inProcess) expiredGrant(theScene);
  });
}
