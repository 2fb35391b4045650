export { type GroundOptions, openTestGround, type TestGround } from './testing/ground.ts';
export { SwitchableStore } from './testing/switchable-store.ts';
