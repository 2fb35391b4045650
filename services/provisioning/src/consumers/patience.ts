/** Two hours at the longest backoff: for so long an event waits for the store before it becomes a dead letter. */
export const maxDeliveries = 240;
