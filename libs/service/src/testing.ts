export { type GroundOptions, openTestGround, type TestGround } from './testing/ground.ts';
