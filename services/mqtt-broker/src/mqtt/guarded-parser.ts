import type { Client } from 'aedes';

/** What this file needs of mqtt-packet's parser: its step that reads the length from the fixed header. */
type Parser = {
  packet: { length: number };
  _parseLength(): boolean;
  emit(event: 'error', error: Error): boolean;
};

/** A packet is longer than allowed. */
export class PacketTooLarge extends Error {
  override readonly name = 'PacketTooLarge';

  constructor(bytes: number, maxBytes: number) {
    super(`packet: ${bytes} octets, at most ${maxBytes} are allowed`);
  }
}

/**
 * Ends a session with {@link PacketTooLarge} as soon as a fixed header announces more than `maxBytes`: the packet is
 * neither collected nor handled.
 */
export function guardPacketSize(client: Client, maxBytes: number): void {
  const parser = (client as unknown as { _parser: Parser })._parser;
  const readLength = parser._parseLength.bind(parser);
  parser._parseLength = () => {
    if (!readLength()) return false;
    const { length } = parser.packet;
    if (length <= maxBytes) return true;
    parser.emit('error', new PacketTooLarge(length, maxBytes));
    return false;
  };
}
