/**
 * Which node has the connection of a device whose session ends with it. Such a session has no queue: what is stored for
 * it may be given up only if no node has it, not where a node merely cannot be reached over the bus at the moment.
 */
export type CleanSessions = {
  /** This node has it. */
  opened(key: string): Promise<void>;
  closed(key: string): void;
  /** Whether another node, which lives, has it. */
  isElsewhere(key: string): Promise<boolean>;
};
