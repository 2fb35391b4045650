import { afterAll, beforeAll, describe } from 'vitest';
import type { Platform } from '../support/platform.ts';
import { Scene } from '../support/scene.ts';
import type { Tools } from '../support/tools.ts';
import { wayOfADevice } from './way-of-a-device.ts';

/** The one suite, whichever way the platform runs. It is not run where one of `needs` is missing. */
export function platformSuite(
  name: string,
  needs: Tools & Readonly<Record<string, string>>,
  start: () => Promise<Platform>,
): void {
  describe.skipIf(Object.values(needs).includes(''))(name, () => {
    const stack = new AsyncDisposableStack();
    let scene: Scene;
    beforeAll(async () => {
      const platform = stack.use(await start());
      scene = stack.use(await Scene.open(platform, needs));
    });
    afterAll(() => stack.disposeAsync());

    wayOfADevice(() => scene);
  });
}
