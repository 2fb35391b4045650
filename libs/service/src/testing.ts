export { type FixtureOptions, openTestFixture, type TestFixture } from './testing/fixture.ts';
export { SwitchableStore } from './testing/switchable-store.ts';
