export { type BackoffOptions, backoffMs } from './backoff.ts';
export { deadlineIn, withDeadline } from './deadline.ts';
export { type PauseOptions, pause } from './pause.ts';
export { type Repetition, type RepetitionOptions, repeatedly } from './repeatedly.ts';
export { type RetryOptions, retry } from './retry.ts';
export { LONGEST_TIMER_MS, systemTimers, type Timers } from './timers.ts';
